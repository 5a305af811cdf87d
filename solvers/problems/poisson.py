r"""Poisson's equation on the unit square with polynomial data.

.. math:: -\Delta u = f, \qquad u = g \text{ on the boundary},

where f and g are sums of :math:`T_i(2x - 1)\, T_j(2y - 1)` with :math:`i + j \le d` and Chebyshev
polynomials T; g is the trace of such a sum, so that it is continuous at the corners. The operator
is the same for all samples: one factorisation serves a study. Chebyshev data are those of the
Poisson problem of Wang et al. (2024, arXiv:2401.09516).
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, final

import numpy as np
from numpy.polynomial import chebyshev
from pydantic import Field

from solvers.boxes import box_mesh
from solvers.functionals import Functionals, Remembered
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.sequence.traits import Traits
from solvers.steady_case import Coefficient, Prescribed, SteadyCase, TransportEquation, Unknown

__all__ = ["Poisson", "PoissonSettings"]


@final
class PoissonSettings(ProblemSettings):
    """Resolution, and degree of the data."""

    cells: int = Field(64, ge=2, le=2048, description="cells along each side")
    degree: int = Field(3, ge=0, le=20, description="largest total degree of source and boundary")


@final
class Poisson(Problem):
    """A square with polynomial source and boundary values."""

    name: ClassVar[str] = "poisson"
    title: ClassVar[str] = "Poisson's equation with Chebyshev data"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = (
        "$-\\Delta u = f$, $u = g$ on the boundary; $f$ and $g$ are sums of Chebyshev polynomials"
    )
    Settings: ClassVar[type[ProblemSettings]] = PoissonSettings

    def __init__(self, settings: PoissonSettings) -> None:
        self.settings = settings
        degrees = range(settings.degree + 1)
        self._degrees = [(i, total - i) for total in degrees for i in range(total + 1)]
        self._functionals = Remembered(Functionals)

    @property
    def defaults(self) -> Mapping[str, float]:
        """A uniform source and zero boundary values."""
        return {name: float(name == "source_0") for name in self.random_parameters}

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """All coefficients."""
        numbers = range(len(self._degrees))
        return tuple(f"{part}_{i}" for part in ("source", "boundary") for i in numbers)

    def space(self) -> ParameterSpace:
        """Return the coefficients of source and boundary values."""
        return ParameterSpace(
            tuple(
                Parameter(f"{part}_{n}", -1.0, 1.0, "1", f"coefficient of T{i}(x) T{j}(y), {part}")
                for part in ("source", "boundary")
                for n, (i, j) in enumerate(self._degrees)
            )
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return the unit square."""
        return box_mesh(2, self.settings.cells)

    def polynomial(self, part: str, mu: Mapping[str, float], points: FloatArray) -> FloatArray:
        """Return the ``source`` or the ``boundary`` polynomial at points (n, 2)."""
        size = self.settings.degree + 1
        coefficients = np.zeros((size, size))
        for n, place in enumerate(self._degrees):
            coefficients[place] = mu[f"{part}_{n}"]
        x, y = 2.0 * points.T - 1.0
        return np.asarray(chebyshev.chebval2d(x, y, coefficients))

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
        """Return the problem with these data."""
        functionals = self._functionals(mesh)
        source = self.polynomial("source", mu, functionals.centres)

        def boundary(points: FloatArray) -> FloatArray:
            return self.polynomial("boundary", mu, points)

        equation = TransportEquation(
            diffusion=np.ones(len(source)),
            source=source,
            prescribed=tuple(Prescribed(side, boundary) for side in mesh.names),
        )
        return SteadyCase(
            unknowns=(Unknown("solution", "1", "solution"),),
            equation=equation,
            traits=Traits(symmetric=True, definite=True, dimension=2, constant=True),
            coefficients=(Coefficient("source", "1", "source", source),),
            quantities=(functionals.mean("mean_solution", "1", "mean of the solution"),),
        )
