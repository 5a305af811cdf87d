"""Lid-driven cavity (Ghia, Ghia and Shin, 1982, 10.1016/0021-9991(82)90058-4)."""

from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from pydantic import Field

from solvers.grids import graded, rectangle
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import FlowCase, Inflow, Problem, ProblemSettings, at_rest, no_pressure

__all__ = ["Cavity", "CavitySettings"]


@final
class CavitySettings(ProblemSettings):
    """Resolution of the cavity."""

    cells: int = Field(32, ge=4, le=512, description="squares along each side")
    grading: float = Field(1.2, ge=0.0, le=3.0, description="clustering of cells at the walls")


@final
class Cavity(Problem):
    """A box of width 1 m whose lid slides; height = aspect ratio times width."""

    name: ClassVar[str] = "cavity"
    title: ClassVar[str] = "Lid-driven cavity"
    defaults: ClassVar[Mapping[str, float]] = {
        "lid_speed": 1.0,
        "viscosity": 0.01,
        "aspect_ratio": 1.0,
    }
    Settings: ClassVar[type[ProblemSettings]] = CavitySettings

    def __init__(self, settings: CavitySettings) -> None:
        self.settings = settings

    def space(self) -> ParameterSpace:
        """Return lid speed, viscosity and aspect ratio."""
        return ParameterSpace(
            (
                Parameter("lid_speed", 0.1, 10.0, "m s-1", "speed of the lid"),
                Parameter("viscosity", 1e-4, 1.0, "m2 s-1", "kinematic viscosity", "log"),
                Parameter("aspect_ratio", 0.25, 4.0, "1", "height over width"),
            )
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return the unit square, finer towards the walls."""
        points = graded(self.settings.cells, self.settings.grading)
        return rectangle(points, points)

    def deform(self, points: FloatArray, mu: Mapping[str, float]) -> FloatArray:
        """Scale the height by the aspect ratio."""
        return points * np.array([1.0, mu["aspect_ratio"]])

    def check(self, mu: Mapping[str, float]) -> None:
        """Accept every cavity within bounds."""

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> FlowCase:  # noqa: ARG002
        """Return the flow from rest; the lid's end points stand still with the side walls."""
        speed = mu["lid_speed"]

        def lid(points: FloatArray, time: float) -> FloatArray:  # noqa: ARG001
            return np.stack([np.full(len(points), speed), np.zeros(len(points))], axis=1)

        walls = tuple(Inflow(part, at_rest) for part in ("bottom", "left", "right"))
        return FlowCase(
            viscosity=mu["viscosity"],
            conditions=(Inflow("top", lid), *walls),
            outflow=(),
            velocity=at_rest,
            pressure=no_pressure,
        )
