r"""The matrices that SKR's published code calls Helmholtz: no wave fits into their square.

As `skr-darcy`, with :math:`4 a_j - h^2 k^2` on the diagonal and k in [0, 1]: a wave needs
:math:`k \ge \sqrt 2 \pi` to fit into the unit square, so that these are the matrices of `skr-darcy`
but for a ten-thousandth. They are offered to compare solvers on equal terms, never as data; waves
are in `helmholtz`. See `solvers.published_matrices`; Wang et al. (2024, arXiv:2401.09516).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, final

import numpy as np

from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.published_matrices import skr_helmholtz
from solvers.sequence.traits import Traits
from solvers.skr_field import SkrField, SkrSettings
from solvers.steady_case import Coefficient, MatrixEquation, SteadyCase, Unknown

__all__ = ["SkrHelmholtz"]


@final
class SkrHelmholtz(Problem):
    """SKR's published systems; no waves."""

    name: ClassVar[str] = "skr-helmholtz"
    title: ClassVar[str] = "SKR's published 'Helmholtz' matrices (no waves)"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = (
        "None: the matrices of the published code of arXiv:2401.09516, which calls them Helmholtz. "
        "With wave numbers of at most one they have no waves: only for comparing solvers"
    )
    Settings: ClassVar[type[ProblemSettings]] = SkrSettings

    def __init__(self, settings: SkrSettings) -> None:
        self.settings = settings
        self._medium = SkrField(settings)

    @property
    def defaults(self) -> Mapping[str, float]:
        """The smoothest mode alone, and the largest wave number."""
        return {"wavenumber": 1.0, **self._medium.field.defaults}

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """The coefficients of the random field."""
        return self._medium.field.names

    def space(self) -> ParameterSpace:
        """Return wave number and coefficients."""
        wavenumber = Parameter("wavenumber", 0.0, 1.0, "m-1", "wave number")
        return ParameterSpace((wavenumber, *self._medium.field.parameters))

    def reference_mesh(self) -> ReferenceMesh:
        """Return a mesh through the points of the grid, in its order."""
        return self._medium.mesh()

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        """Return the fields' coefficients and the wave number, as the published sorting does."""
        numbers = [mu["wavenumber"] for mu in mus]
        return np.column_stack([self._medium.features(mus), numbers])

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:  # noqa: ARG002
        """Return the published system with the right-hand side of f = 1."""
        values = self._medium.coefficient(mu)
        right = np.full(values.size, self._medium.width**2)
        return SteadyCase(
            unknowns=(Unknown("solution", "1", "solution of the published system"),),
            equation=MatrixEquation(skr_helmholtz(values, mu["wavenumber"]), right),
            traits=Traits(),
            coefficients=(
                Coefficient("coefficient", "1", "exp of the field", values.ravel(), "vertex"),
            ),
        )
