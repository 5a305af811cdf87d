r"""Flow around a cylinder in a channel, a family around the benchmark of Schaefer and Turek.

Channel of 2.2 m by 0.41 m, cylinder of radius 0.05 m at (0.2, 0.2) in the reference geometry
(Schaefer and Turek, 1996, 10.1007/978-3-322-89849-4_39). Parameters move and scale the
cylinder, set the Reynolds number :math:`Re = \bar U \, 2r / \nu` and modulate the parabolic
inflow :math:`u_x = 6 U(t) \, y (H - y) / H^2`, with

- ``modulated``: :math:`U(t) = \bar U (1 + a \sin 2 \pi f t)`, and
- ``pulse``: :math:`U(t) = \bar U \sin 2 \pi f t` (2D-3 of the benchmark with f = 1/16 Hz).
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from infra.errors import UserError
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
from solvers.problems.cylinder_mesh import CENTRE, HEIGHT, RADIUS, channel_mesh

__all__ = ["Cylinder", "CylinderSettings"]

# The mesh moves only in a box around the cylinder that ends here downstream.
_BOX_END = 0.7
# Room that must be left between cylinder and walls, in radii.
_GAP = 0.5


@final
class CylinderSettings(ProblemSettings):
    """Resolution and kind of inflow."""

    size: float = Field(0.0125, ge=2e-4, le=0.05, description="edge length at the cylinder, m")
    far_size: float = Field(0.035, ge=1e-3, le=0.1, description="edge length far away, m")
    inflow: Literal["modulated", "pulse"] = Field("modulated", description="kind of inflow")
    mean_velocity: float = Field(1.0, gt=0, description="mean inflow velocity, m/s")
    start: Literal["inflow", "rest"] = Field(
        "inflow", description="initial velocity: the inflow profile everywhere, or zero"
    )


@final
class Cylinder(Problem):
    """Channel flow around a cylinder of variable position and radius."""

    name: ClassVar[str] = "cylinder"
    title: ClassVar[str] = "Flow around a cylinder in a channel"
    defaults: ClassVar[Mapping[str, float]] = {
        "reynolds": 100.0,
        "amplitude": 0.0,
        "frequency": 0.0,
        "centre_x": CENTRE[0],
        "centre_y": CENTRE[1],
        "radius": RADIUS,
    }
    Settings: ClassVar[type[ProblemSettings]] = CylinderSettings

    def __init__(self, settings: CylinderSettings) -> None:
        self.settings = settings

    def space(self) -> ParameterSpace:
        """Return Reynolds number, inflow modulation, and the cylinder's position and radius."""
        return ParameterSpace(
            (
                Parameter("reynolds", 1.0, 400.0, "1", "mean velocity times diameter / viscosity"),
                Parameter("amplitude", 0.0, 0.9, "1", "relative amplitude of the inflow"),
                Parameter("frequency", 0.0, 20.0, "s-1", "frequency of the inflow"),
                Parameter("centre_x", 0.05, 0.5, "m", "cylinder centre along the channel"),
                Parameter("centre_y", 0.02, 0.39, "m", "cylinder centre above the lower wall"),
                Parameter("radius", 0.02, 0.1, "m", "cylinder radius"),
            )
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return gmsh's mesh of the benchmark geometry."""
        return channel_mesh(self.settings.size, self.settings.far_size)

    def deform(self, points: FloatArray, mu: Mapping[str, float]) -> FloatArray:
        r"""Move and scale the cylinder, and let the surroundings follow.

        A point at distance :math:`d_c` from the reference cylinder and :math:`d_w` from the
        walls moves by the fraction :math:`d_w / (d_w + d_c)` of the cylinder's motion: nearly
        linear across every gap, which strains the cells as little as can be.
        """
        centre = np.array(CENTRE)
        arm = points - centre
        to_cylinder = np.maximum(np.linalg.norm(arm, axis=1) - RADIUS, 0.0)
        x, y = points.T
        to_walls = np.minimum.reduce([x, y, HEIGHT - y, _BOX_END - x]).clip(min=0.0)
        weight = to_walls / np.maximum(to_walls + to_cylinder, 1e-12)
        shift = np.array([mu["centre_x"], mu["centre_y"]]) - centre
        return np.asarray(points + weight[:, None] * (shift + (mu["radius"] / RADIUS - 1.0) * arm))

    def check(self, mu: Mapping[str, float]) -> None:
        """Refuse a cylinder close to walls or inlet, and an inflow that ignores its parameters."""
        if self.settings.inflow == "pulse" and mu["frequency"] == 0.0:
            raise UserError(
                "inflow pulse: expected frequency > 0 s-1 (its default is zero), received 0: the "
                "fluid would rest for ever. Give the study a frequency, 0.0625 for the benchmark."
            )
        modulated = self.settings.inflow == "modulated"
        if mu["amplitude"] != 0.0 and (mu["frequency"] == 0.0 or not modulated):
            raise UserError(
                f"amplitude {mu['amplitude']:g}: expected zero, for it has no effect in a pulse or "
                "at frequency 0 s-1 (its default). Give the study a frequency, or leave the "
                "amplitude out."
            )
        x, y, radius = mu["centre_x"], mu["centre_y"], mu["radius"]
        room = min(x, y, HEIGHT - y) - radius
        if room < _GAP * radius:
            raise UserError(
                f"cylinder at ({x:g}, {y:g}) m with radius {radius:g} m: expected at least "
                f"{_GAP:g} radii ({_GAP * radius:.4g} m) of fluid between it and the channel's "
                f"inlet and walls (0 <= y <= {HEIGHT} m), received {room:.4g} m. "
                "Move the cylinder inwards or make it smaller."
            )

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> FlowCase:
        """Return the channel flow with drag, lift and pressure difference."""
        mean, diameter = self.settings.mean_velocity, 2 * mu["radius"]
        scale = 2.0 / (mean**2 * diameter)
        inflow = self._inflow(mu)
        front, back = (mesh.nearest_vertex((CENTRE[0] + s * RADIUS, CENTRE[1])) for s in (-1, 1))
        return FlowCase(
            viscosity=mean * diameter / mu["reynolds"],
            conditions=(
                Inflow("inlet", inflow),
                Inflow("walls", at_rest),
                Inflow("cylinder", at_rest),
            ),
            outflow=("outlet",),
            velocity=at_rest if self.settings.start == "rest" else inflow,
            pressure=no_pressure,
            forces=(
                Force("drag", "drag coefficient", "cylinder", 0, scale),
                Force("lift", "lift coefficient", "cylinder", 1, scale),
            ),
            differences=(
                PressureDifference(
                    "pressure_difference", "kinematic pressure, front minus back", front, back
                ),
            ),
        )

    def _inflow(self, mu: Mapping[str, float]) -> "_Profile":
        rate = 2 * np.pi * mu["frequency"]
        if self.settings.inflow == "pulse":
            return _Profile(self.settings.mean_velocity, 0.0, 1.0, rate)
        return _Profile(self.settings.mean_velocity, 1.0, mu["amplitude"], rate)


@final
class _Profile:
    """Parabolic velocity ``6 mean (base + amplitude sin(rate t)) y (H - y) / H^2`` along x."""

    def __init__(self, mean: float, base: float, amplitude: float, rate: float) -> None:
        self._mean, self._base, self._amplitude, self._rate = mean, base, amplitude, rate

    def __call__(self, points: FloatArray, time: float) -> FloatArray:
        factor = self._base + self._amplitude * np.sin(self._rate * time)
        y = points[:, 1]
        along = 6.0 * self._mean * factor * y * (HEIGHT - y) / HEIGHT**2
        return np.stack([along, np.zeros(len(points))], axis=1)
