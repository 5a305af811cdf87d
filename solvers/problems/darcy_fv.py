r"""Flow through a porous medium by finite volumes on a uniform grid.

The equation of `solvers.problems.darcy` with the five-point (seven-point) stencil of harmonic
means: with the cell width h, :math:`\sum_F K_F (p_i - p_j) = h^2`, where
:math:`K_F = 2 K_i K_j / (K_i + K_j)` at inner faces, and :math:`2 K_i (p_i - 0)` at the boundary.
It is of second order for smooth K. The systems are those of the published comparisons by size:
n = 50, 80, 100, 150, 200 cells a side in Wang et al. (2024, arXiv:2401.09516).

Pressure and permeability belong to the centres of the cells, which are the vertices of the
dataset's mesh, row by row with x fastest.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, final

import numpy as np

from solvers.boxes import cell_centres, grid_mesh
from solvers.fields import CosineTables, grid_tables
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.published_matrices import darcy_5_point, darcy_7_point
from solvers.random_medium import RandomMedium, RandomMediumSettings, require_variation
from solvers.sequence.traits import Grid, Traits
from solvers.steady_case import Coefficient, MatrixEquation, Quantity, SteadyCase, Unknown

__all__ = ["DarcyFiniteVolumes"]


@final
class DarcyFiniteVolumes(Problem):
    """Pressure in a random medium."""

    name: ClassVar[str] = "darcy-fv"
    title: ClassVar[str] = "Flow through a porous medium, finite volumes"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = (
        "$-\\nabla\\cdot(K\\nabla p) = 1$, $p = 0$ on the boundary; finite volumes with harmonic "
        "means of K at the faces"
    )
    Settings: ClassVar[type[ProblemSettings]] = RandomMediumSettings

    def __init__(self, settings: RandomMediumSettings) -> None:
        self.settings = settings
        self._medium = RandomMedium(settings)
        self._tables: CosineTables | None = None

    @property
    def defaults(self) -> Mapping[str, float]:
        """Contrast 25, and the smoothest mode alone."""
        return self._medium.defaults

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """The coefficients of the random field."""
        return self._medium.field.names

    def space(self) -> ParameterSpace:
        """Return contrast and coefficients."""
        return self._medium.space

    def reference_mesh(self) -> ReferenceMesh:
        """Return a mesh through the centres of the cells, in the order of the grid."""
        return grid_mesh([cell_centres(self.settings.cells)] * self.settings.dimension)

    def check(self, mu: Mapping[str, float]) -> None:
        """Refuse a field without any variation."""
        require_variation(self._medium.field, mu)

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        """Return numbers whose distance is that of the fields and contrasts."""
        return self._medium.features(mus)

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:  # noqa: ARG002
        """Return the pressure that a uniform source drives."""
        values = self._medium.permeability(mu, self._grid_tables())
        # The field's first axis is x, which is the last and fastest one of the matrix.
        values = np.ascontiguousarray(values.T)
        cells, dimension = self.settings.cells, self.settings.dimension
        assemble = darcy_5_point if dimension == 2 else darcy_7_point
        width = 1.0 / cells
        grid = Grid((cells,) * dimension, (width,) * dimension)
        return SteadyCase(
            unknowns=(Unknown("pressure", "1", "pressure in the cell"),),
            equation=MatrixEquation(assemble(values), np.full(values.size, width**2)),
            traits=Traits(symmetric=True, definite=True, dimension=dimension, grid=grid),
            coefficients=(
                Coefficient(
                    "permeability", "1", "permeability of the cell", values.ravel(), "vertex"
                ),
            ),
            quantities=(
                Quantity("mean_pressure", "1", "mean pressure", lambda p: float(p.mean())),
            ),
            context={"log_contrast": float(np.log(mu["contrast"]))},
        )

    def _grid_tables(self) -> CosineTables:
        if self._tables is None:
            axes = [cell_centres(self.settings.cells)] * self.settings.dimension
            self._tables = grid_tables(axes, self._medium.field.largest)
        return self._tables
