r"""Decaying Taylor-Green vortices, an exact solution for verification.

On the unit square with exact boundary values,

.. math::
   u &= (-\cos \pi x \sin \pi y, \; \sin \pi x \cos \pi y) \, e^{-2 \pi^2 \nu t} \\
   p &= -\tfrac14 (\cos 2 \pi x + \cos 2 \pi y) \, e^{-4 \pi^2 \nu t}

(Taylor and Green, 1937, 10.1098/rspa.1937.0036; Chorin, 1968,
10.1090/S0025-5718-1968-0242392-2).
"""

from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from pydantic import Field

from solvers.grids import graded, rectangle
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import FlowCase, Inflow, Problem, ProblemSettings

__all__ = ["TaylorGreen", "TaylorGreenSettings", "exact_pressure", "exact_velocity"]


@final
class TaylorGreenSettings(ProblemSettings):
    """Resolution of the unit square."""

    cells: int = Field(16, ge=2, le=512, description="squares along each side")


@final
class TaylorGreen(Problem):
    """Taylor-Green vortices with the viscosity as parameter."""

    name: ClassVar[str] = "taylor-green"
    title: ClassVar[str] = "Decaying Taylor-Green vortices"
    defaults: ClassVar[Mapping[str, float]] = {"viscosity": 0.01}
    Settings: ClassVar[type[ProblemSettings]] = TaylorGreenSettings

    def __init__(self, settings: TaylorGreenSettings) -> None:
        self.settings = settings

    def space(self) -> ParameterSpace:
        """Return the viscosity's range."""
        return ParameterSpace(
            (Parameter("viscosity", 1e-4, 1.0, "m2 s-1", "kinematic viscosity", "log"),)
        )

    def reference_mesh(self) -> ReferenceMesh:
        """Return the uniform unit square."""
        points = graded(self.settings.cells, 0.0)
        return rectangle(points, points)

    def deform(self, points: FloatArray, mu: Mapping[str, float]) -> FloatArray:  # noqa: ARG002
        """Return the points unchanged."""
        return points.copy()

    def check(self, mu: Mapping[str, float]) -> None:
        """Accept every viscosity within bounds."""

    def case(self, mu: Mapping[str, float], mesh: ReferenceMesh) -> FlowCase:
        """Return the decaying flow with exact boundary values."""
        viscosity = mu["viscosity"]

        def velocity(points: FloatArray, time: float) -> FloatArray:
            return exact_velocity(points, time, viscosity)

        return FlowCase(
            viscosity=viscosity,
            conditions=tuple(Inflow(part, velocity) for part in mesh.names),
            outflow=(),
            velocity=velocity,
            pressure=lambda points: exact_pressure(points, 0.0, viscosity),
        )


def exact_velocity(points: FloatArray, time: float, viscosity: float) -> FloatArray:
    """Return the exact velocity (n, 2), m/s."""
    x, y = np.pi * points.T
    decay = np.exp(-2 * np.pi**2 * viscosity * time)
    return np.stack([-np.cos(x) * np.sin(y), np.sin(x) * np.cos(y)], axis=1) * decay


def exact_pressure(points: FloatArray, time: float, viscosity: float) -> FloatArray:
    """Return the exact kinematic pressure (n,) of zero mean, m^2/s^2."""
    x, y = 2 * np.pi * points.T
    decay = np.exp(-4 * np.pi**2 * viscosity * time)
    return np.asarray(-0.25 * (np.cos(x) + np.cos(y)) * decay)
