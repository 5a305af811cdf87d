r"""Steady heat conduction in a square plate with a circular hole.

.. math:: -\nabla\cdot(\lambda \nabla T) = 0

on a plate of side 1 m with :math:`\lambda = 1` W/(m K). The left and the right side and the hole
have given temperatures, the bottom and the top given fluxes into the plate. Only data change from
sample to sample, the operator does not: one factorisation serves a study. Annular plates with
random boundary data are the thermal problem of Wang et al. (2024, arXiv:2401.09516).
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from solvers.functionals import Functionals, Remembered
from solvers.grids import tagged
from solvers.mesh import FloatArray, IntArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import Problem, ProblemSettings
from solvers.sequence.traits import Traits
from solvers.steady_case import (
    Prescribed,
    Robin,
    SteadyCase,
    TransportEquation,
    Unknown,
    constant,
)

__all__ = ["Thermal", "ThermalSettings"]

_HELD = ("left", "right", "hole")
_HEATED = ("bottom", "top")


@final
class ThermalSettings(ProblemSettings):
    """Resolution and geometry of the plate."""

    cells: int = Field(32, ge=4, le=1024, description="cells along each side of the plate, even")
    radius: float = Field(0.2, ge=0.05, le=0.4, description="radius of the hole, m")


@final
class Thermal(Problem):
    """A plate with a hole, heated at its boundary."""

    name: ClassVar[str] = "thermal"
    title: ClassVar[str] = "Heat conduction in a plate with a hole"
    kind: ClassVar[Literal["flow", "steady"]] = "steady"
    equations: ClassVar[str] = (
        "$-\\nabla\\cdot(\\lambda\\nabla T) = 0$; $T$ given on the left, the right and the hole, "
        "$\\lambda\\,\\partial_n T$ at the bottom and the top"
    )
    Settings: ClassVar[type[ProblemSettings]] = ThermalSettings
    defaults: ClassVar[Mapping[str, float]] = {
        "temperature_left": 293.15,
        "temperature_right": 293.15,
        "temperature_hole": 353.15,
        "flux_bottom": 0.0,
        "flux_top": 0.0,
    }

    def __init__(self, settings: ThermalSettings) -> None:
        self.settings = settings
        self._functionals = Remembered(Functionals)

    @property
    def random_parameters(self) -> tuple[str, ...]:
        """All of them: a study that names none varies the whole boundary."""
        return tuple(self.defaults)

    def space(self) -> ParameterSpace:
        """Return temperatures and fluxes."""
        held = (
            Parameter(f"temperature_{part}", 273.15, 373.15, "K", f"temperature, {part}")
            for part in _HELD
        )
        heated = (
            Parameter(f"flux_{part}", -100.0, 100.0, "W m-2", f"heat flux into the plate, {part}")
            for part in _HEATED
        )
        return ParameterSpace((*held, *heated))

    def reference_mesh(self) -> ReferenceMesh:
        """Return rings between hole and sides."""
        cells = self.settings.cells + self.settings.cells % 2
        outer = _outline(cells)
        radius = np.linalg.norm(outer, axis=1, keepdims=True)
        inner = self.settings.radius * outer / radius
        layers = max(2, cells // 2)
        s = np.linspace(0.0, 1.0, layers + 1)[:, None, None]
        # Exact ends: the parts are found by comparing positions.
        points = np.where(s == 1.0, outer, inner + s * (outer - inner)).reshape(-1, 2)
        x, y = points.T
        parts = {
            "left": x == -0.5,
            "right": x == 0.5,
            "bottom": y == -0.5,
            "top": y == 0.5,
            "hole": np.arange(len(points)) < len(outer),
        }
        return tagged(points, _rings(len(outer), layers), parts)

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
        """Return the plate with these boundary data."""
        n_cells = len(mesh.cells)
        equation = TransportEquation(
            diffusion=np.ones(n_cells),
            source=np.zeros(n_cells),
            prescribed=tuple(Prescribed(p, constant(mu[f"temperature_{p}"])) for p in _HELD),
            robin=tuple(Robin(p, constant(mu[f"flux_{p}"])) for p in _HEATED),
        )
        functionals = self._functionals(mesh)
        return SteadyCase(
            unknowns=(Unknown("temperature", "K", "temperature"),),
            equation=equation,
            traits=Traits(symmetric=True, definite=True, dimension=2, constant=True),
            quantities=(
                functionals.mean("mean_temperature", "K", "mean temperature"),
                functionals.outflow(
                    "heat_into_hole", "W m-1", "heat flow out through the hole", "hole", equation
                ),
            ),
        )


def _outline(cells: int) -> FloatArray:
    """Return the (4 cells, 2) points of the square's boundary, counter-clockwise."""
    t = np.linspace(-0.5, 0.5, cells + 1)[:-1]
    end = np.full(cells, 0.5)
    sides = [(t, -end), (end, t), (-t, end), (-end, -t)]
    return np.concatenate([np.stack(side, axis=1) for side in sides])


def _rings(around: int, layers: int) -> IntArray:
    """Return triangles between layers + 1 closed rings of points; the diagonals alternate."""
    i, j = (a.ravel() for a in np.meshgrid(np.arange(layers), np.arange(around), indexing="ij"))
    a, b = i * around + j, i * around + (j + 1) % around
    c, d = a + around, b + around
    rising = ((i + j) % 2 == 0)[:, None, None]
    up = np.stack([np.stack([a, b, d], 1), np.stack([a, d, c], 1)], 1)
    down = np.stack([np.stack([a, b, c], 1), np.stack([b, d, c], 1)], 1)
    return np.where(rising, up, down).reshape(-1, 3).astype(np.int64)
