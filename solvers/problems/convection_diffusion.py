r"""Heat carried through a closed square by a random wind.

.. math::
   -\nabla\cdot(D \nabla T) + w\cdot\nabla T = 0, \qquad T = 1 \text{ on the left}, \quad
   T = 0 \text{ on the right}, \quad D\,\partial_n T = 0 \text{ elsewhere.}

The wind is :math:`w = (\partial_y \psi, -\partial_x \psi)` with the stream function
:math:`\psi = x (1 - x) y (1 - y)\, g`, interpolated linearly, and a random field g: it has no
divergence, does not cross the boundary, and is scaled to a largest speed of one. So the diffusivity
D is the inverse of the Peclet number of the square. Cells whose own Peclet number is above one get
streamline diffusion (Brooks and Hughes, 1982, 10.1016/0045-7825(82)90071-8).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from solvers.boxes import box_mesh
from solvers.fields import RandomField, cosine_tables
from solvers.functionals import Functionals, Remembered
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.random_medium import require_variation
from solvers.sequence.traits import Traits
from solvers.steady_case import (
    Coefficient,
    Prescribed,
    SteadyCase,
    TransportEquation,
    Unknown,
    constant,
)

__all__ = ["ConvectionDiffusion", "ConvectionDiffusionSettings"]

_DIFFUSIVITY = (1e-4, 1.0)


@final
class ConvectionDiffusionSettings(ProblemSettings):
    """Resolution, and the statistics of the stream function."""

    cells: int = Field(64, ge=2, le=1024, description="cells along each side")
    modes: int = Field(32, ge=1, le=4096, description="modes of the stream function")
    tau: float = Field(3.0, gt=0, le=100.0, description="inverse correlation length, 1/m")
    alpha: float = Field(3.0, gt=1, le=10.0, description="smoothness, more than 1")


@final
class ConvectionDiffusion(Problem):
    """Temperature between a hot and a cold wall in a random wind."""

    name: ClassVar[str] = "convection-diffusion"
    title: ClassVar[str] = "Transport by a random wind"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = (
        "$-\\nabla\\cdot(D\\nabla T) + w\\cdot\\nabla T = 0$, $\\nabla\\cdot w = 0$; $T = 1$ on "
        "the left, $T = 0$ on the right, $\\partial_n T = 0$ elsewhere"
    )
    Settings: ClassVar[type[ProblemSettings]] = ConvectionDiffusionSettings

    def __init__(self, settings: ConvectionDiffusionSettings) -> None:
        self.settings = settings
        self._field = RandomField(2, settings.modes, settings.tau, settings.alpha)
        self._functionals = Remembered(Functionals)
        self._tables = Remembered(lambda mesh: cosine_tables(mesh.points, self._field.largest))

    @property
    def defaults(self) -> Mapping[str, float]:
        """Peclet number 100, and the smoothest mode alone."""
        return {"diffusivity": 0.01, **self._field.defaults}

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """The diffusivity and the coefficients of the stream function."""
        return ("diffusivity", *self._field.names)

    def space(self) -> ParameterSpace:
        """Return diffusivity and coefficients."""
        text = "diffusivity over largest speed times side: one over the Peclet number"
        diffusivity = Parameter("diffusivity", *_DIFFUSIVITY, "1", text, "log")
        return ParameterSpace((diffusivity, *self._field.parameters))

    def reference_mesh(self) -> ReferenceMesh:
        """Return the unit square."""
        return box_mesh(2, self.settings.cells)

    def check(self, mu: Mapping[str, float]) -> None:
        """Refuse a stream function without any variation."""
        require_variation(self._field, mu)

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        """Return the directions of the stream functions and the logarithm of the diffusivity."""
        rows = np.stack([self._field.coefficients(mu) for mu in mus])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        spread = np.log(_DIFFUSIVITY[1] / _DIFFUSIVITY[0]) / np.sqrt(12.0)
        return np.column_stack([rows, np.log([mu["diffusivity"] for mu in mus]) / spread])

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
        """Return the temperature of one sample."""
        wind, n_cells = self.wind(mu, mesh), len(mesh.cells)
        equation = TransportEquation(
            diffusion=np.full(n_cells, mu["diffusivity"]),
            source=np.zeros(n_cells),
            wind=wind,
            prescribed=(
                Prescribed("left", constant(1.0)),
                Prescribed("right", constant(0.0)),
            ),
            streamline=True,
        )
        functionals = self._functionals(mesh)
        return SteadyCase(
            unknowns=(Unknown("temperature", "1", "temperature"),),
            equation=equation,
            traits=Traits(dimension=2),
            coefficients=(
                Coefficient("wind_x", "1", "wind along x", wind[:, 0].copy()),
                Coefficient("wind_y", "1", "wind along y", wind[:, 1].copy()),
            ),
            quantities=(
                functionals.mean("mean_temperature", "1", "mean temperature"),
                functionals.outflow(
                    "heat_flow", "1", "heat flow out on the right", "right", equation
                ),
            ),
            context={"log_diffusivity": float(np.log(mu["diffusivity"]))},
        )

    def wind(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> FloatArray:
        """Return the wind in the cells, (n_cells, 2)."""
        x, y = mesh.points.T
        bubble = x * (1 - x) * y * (1 - y)
        stream = bubble * self._field.evaluate(mu, self._tables(mesh))
        gradients = self._functionals(mesh).elements.gradients
        slope = np.einsum("nid,ni->nd", gradients, stream[mesh.cells])
        wind = np.stack([slope[:, 1], -slope[:, 0]], axis=1)
        return np.asarray(wind / np.sqrt((wind**2).sum(axis=1).max()))
