r"""The matrices that SKR's published code calls Darcy: they are not Darcy matrices.

Wang et al. (2024, arXiv:2401.09516) compare solvers on matrices whose column j carries the
coefficient :math:`a_j`, and one of whose diagonals is shifted by two cells: they are close to
:math:`-\Delta (a u)` with an error that makes them nonsymmetric, indefinite and nearly singular,
and their solutions for f = 1 change sign. They are offered to compare solvers on equal terms, never
as data; the equation itself is `darcy` or `darcy-fv`. See `solvers.published_matrices`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, final

import numpy as np

from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.published_matrices import skr_darcy
from solvers.sequence.traits import Traits
from solvers.skr_field import SkrField, SkrSettings
from solvers.steady_case import Coefficient, MatrixEquation, SteadyCase, Unknown

__all__ = ["SkrDarcy"]


@final
class SkrDarcy(Problem):
    """SKR's published systems; not Darcy."""

    name: ClassVar[str] = "skr-darcy"
    title: ClassVar[str] = "SKR's published 'Darcy' matrices (not Darcy)"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = (
        "None: the matrices of the published code of arXiv:2401.09516, which calls them Darcy. "
        "They are close to $-\\Delta(a u)$, nonsymmetric and indefinite: only for comparing solvers"
    )
    Settings: ClassVar[type[ProblemSettings]] = SkrSettings

    def __init__(self, settings: SkrSettings) -> None:
        self.settings = settings
        self._medium = SkrField(settings)

    @property
    def defaults(self) -> Mapping[str, float]:
        """The smoothest mode alone."""
        return self._medium.field.defaults

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """The coefficients of the random field."""
        return self._medium.field.names

    def space(self) -> ParameterSpace:
        """Return the coefficients."""
        return ParameterSpace(self._medium.field.parameters)

    def reference_mesh(self) -> ReferenceMesh:
        """Return a mesh through the points of the grid, in its order."""
        return self._medium.mesh()

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        """Return numbers whose distance is that of the fields."""
        return self._medium.features(mus)

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:  # noqa: ARG002
        """Return the published system with the right-hand side of f = 1."""
        values = self._medium.coefficient(mu)
        right = np.full(values.size, self._medium.width**2)
        return SteadyCase(
            unknowns=(Unknown("solution", "1", "solution of the published system"),),
            equation=MatrixEquation(skr_darcy(values), right),
            traits=Traits(),
            coefficients=(
                Coefficient("coefficient", "1", "exp of the field", values.ravel(), "vertex"),
            ),
        )
