r"""Laminar flow over a backward-facing step.

A channel of height 1 m opens behind a step of height :math:`s`; the inflow of mean velocity
1 m/s is parabolic over :math:`h = 1 - s`, and :math:`Re = \bar U \, 2h / \nu` as in Armaly, Durst,
Pereira and Schoenung (1983, 10.1017/S0022112083002839).
"""

from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from pydantic import Field

from solvers.grids import structured, tagged
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import (
    FlowCase,
    Force,
    Inflow,
    PressureDifference,
    Problem,
    ProblemSettings,
    at_rest,
    no_pressure,
)

__all__ = ["BackwardStep", "BackwardStepSettings"]

# Height of the step in the reference geometry, metres.
_STEP = 0.5


@final
class BackwardStepSettings(ProblemSettings):
    """Resolution and extent of the channel."""

    cells: int = Field(16, ge=4, le=128, description="squares over the channel's height, even")
    upstream: float = Field(2.0, ge=0.5, le=100.0, description="length before the step, m")
    downstream: float = Field(12.0, ge=4.0, le=200.0, description="length behind the step, m")


@final
class BackwardStep(Problem):
    """A sudden expansion on the lower side."""

    name: ClassVar[str] = "backward-step"
    title: ClassVar[str] = "Flow over a backward-facing step"
    defaults: ClassVar[Mapping[str, float]] = {"step_height": _STEP, "reynolds": 100.0}
    Settings: ClassVar[type[ProblemSettings]] = BackwardStepSettings

    def __init__(self, settings: BackwardStepSettings) -> None:
        self.settings = settings

    def space(self) -> ParameterSpace:
        """Return step height and Reynolds number."""
        return ParameterSpace(
            (
                Parameter("step_height", 0.2, 0.8, "m", "height of the step"),
                Parameter("reynolds", 10.0, 800.0, "1", "mean velocity times 2 h / viscosity"),
            )
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return a structured mesh whose cells lengthen downstream."""
        rows = self.settings.cells + self.settings.cells % 2
        y = np.linspace(0.0, 1.0, rows + 1)
        y[rows // 2] = _STEP  # exactly: the step's nodes are found by their height
        x = np.concatenate([self._upstream(rows), self._downstream(rows)])
        keep = (x[1:] > 1e-12)[None, :] | (y[1:] > _STEP + 1e-12)[:, None]
        points, cells = structured(x, y, keep)
        px, py = points.T
        parts = {
            "inlet": px == x[0],
            "outlet": px == x[-1],
            "bottom": (py == 0.0) & (px >= 0.0),
            "step": ((px == 0.0) & (py <= _STEP)) | ((py == _STEP) & (px <= 0.0)),
            "top": py == 1.0,
        }
        return tagged(points, cells, parts)

    def deform(self, points: FloatArray, mu: Mapping[str, float]) -> FloatArray:
        """Stretch the parts below and above the step's edge."""
        x, y = points.T
        height = np.interp(y, [0.0, _STEP, 1.0], [0.0, mu["step_height"], 1.0])
        return np.stack([x, height], axis=1)

    def check(self, mu: Mapping[str, float]) -> None:
        """Accept every step within bounds."""

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> FlowCase:
        """Return the flow that starts from rest behind the step."""
        step = mu["step_height"]
        gap = 1.0 - step

        def inflow(points: FloatArray, time: float) -> FloatArray:  # noqa: ARG001
            s = ((points[:, 1] - step) / gap).clip(0.0, 1.0)
            return np.stack([6.0 * s * (1.0 - s), np.zeros(len(points))], axis=1)

        def start(points: FloatArray, time: float) -> FloatArray:
            return np.where(points[:, :1] <= 0.0, inflow(points, time), 0.0)

        first, last = mesh.points[:, 0].min(), mesh.points[:, 0].max()
        ends = mesh.nearest_vertex((first, 1.0)), mesh.nearest_vertex((last, 1.0))
        return FlowCase(
            viscosity=2.0 * gap / mu["reynolds"],
            conditions=(
                Inflow("inlet", inflow),
                Inflow("bottom", at_rest),
                Inflow("step", at_rest),
                Inflow("top", at_rest),
            ),
            outflow=("outlet",),
            velocity=start,
            pressure=no_pressure,
            forces=(
                Force(
                    "bottom_friction", "force on the lower wall along x", "bottom", 0, 1.0, "m3 s-2"
                ),
            ),
            differences=(
                PressureDifference(
                    "pressure_difference", "kinematic pressure, inlet minus outlet", *ends
                ),
            ),
        )

    def _upstream(self, rows: int) -> FloatArray:
        columns = max(4, round(self.settings.upstream * rows * 0.5))
        return np.linspace(-self.settings.upstream, 0.0, columns + 1)[:-1]

    def _downstream(self, rows: int) -> FloatArray:
        """Return points from the step on, four times longer cells at the outlet than there."""
        columns = max(8, round(self.settings.downstream * rows * 0.5))
        s = np.linspace(0.0, 1.0, columns + 1)
        return np.asarray(self.settings.downstream * (0.4 * s + 0.6 * s**2))
