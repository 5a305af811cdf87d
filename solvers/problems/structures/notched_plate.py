r"""A plate with two round notches in cyclic tension; a quarter of it, half of its thickness.

.. math::
   0 \le x \le W, \quad 0 \le y \le H, \quad 0 \le z \le t/2, \quad (x - W)^2 + y^2 \ge r^2

with symmetry at x = 0, y = 0 and z = 0. The stress on the top side y = H follows a triangle wave
between its highest and lowest value, from zero. A structured mesh leads from the notch to the
other sides, finest at the root of the notch.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self, final

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from infra.records import Json
from solvers.loads import Amplitude, LoadCase, Prescribed, Pressure, TemperatureHistory
from solvers.mesh import FloatArray, IntArray
from solvers.parameters import Parameter, ParameterSpace
from solvers.problems.structures.hexahedra import graded, hexahedra, quadrilaterals
from solvers.problems.structures.problem import (
    StructureCase,
    StructureProblem,
    StructureSettingsBase,
)
from solvers.structure_mesh import StructureMesh

__all__ = ["NotchedPlate", "NotchedPlateSettings"]

_GROWTH = 1.25  # of the cells away from the notch


@final
class NotchedPlateSettings(StructureSettingsBase):
    """Shape, resolution, law and duration."""

    width: FiniteFloat = Field(10.0, gt=0, description="half width W, mm")
    height: FiniteFloat = Field(20.0, gt=0, description="half height H, mm")
    thickness: FiniteFloat = Field(2.0, gt=0, description="thickness t, mm")
    radius: FiniteFloat = Field(3.0, gt=0, description="radius r of the notches, mm")
    around: int = Field(16, ge=2, le=200, multiple_of=2, description="cells along a notch")
    away: int = Field(12, ge=1, le=200, description="cells from the notch outwards")
    through: int = Field(2, ge=1, le=50, description="cells through half the thickness")
    cycles: int = Field(2, ge=1, le=1000, description="load cycles")
    increments: int = Field(20, ge=4, le=1000, multiple_of=4, description="steps of a cycle")
    law: Literal["elastoviscoplastic", "linear-hardening"] = Field(
        "elastoviscoplastic", description="kind of law"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        least = min(self.width, self.height)
        if not self.radius < 0.9 * least:
            raise ValueError(
                f"radius: expected less than 0.9 of half width and half height ({0.9 * least:g} "
                f"mm), received {self.radius:g}"
            )
        return self


@final
class NotchedPlate(StructureProblem):
    """See the module."""

    name: ClassVar[str] = "notched-plate"
    title: ClassVar[str] = "Notched plate in cyclic tension"
    Settings: ClassVar[type[StructureSettingsBase]] = NotchedPlateSettings
    defaults: ClassVar[Mapping[str, float]] = {
        "stress": 150.0,
        "ratio": -1.0,
        "period": 10.0,
        "temperature": 600.0,
    }

    def __init__(self, settings: NotchedPlateSettings) -> None:
        self.settings = settings

    def space(self) -> ParameterSpace:
        """Return the load cycle and the temperature."""
        return ParameterSpace(
            (
                Parameter("stress", 1.0, 400.0, "MPa", "highest stress on the top side"),
                Parameter("ratio", -1.0, 0.9, "1", "lowest stress over highest stress"),
                Parameter("period", 0.01, 1e5, "s", "duration of a cycle"),
                Parameter("temperature", 20.0, 900.0, "degC", "uniform temperature"),
            )
        )

    def mesh(self) -> StructureMesh:
        """Return the quarter plate; nodes are numbered with z fastest."""
        shape = self.settings
        counts = (shape.around + 1, shape.away + 1, shape.through + 1)
        numbers: IntArray = np.arange(np.prod(counts)).reshape(counts)
        corner = shape.around // 2
        outer = numbers[:, -1]
        return StructureMesh(
            self._points(),
            hexahedra(numbers),
            "hexahedron",
            facets={"top": quadrilaterals(outer[corner:]), "notch": quadrilaterals(numbers[:, 0])},
            nodes={
                "left": outer[: corner + 1].ravel(),
                "bottom": numbers[0].ravel(),
                "back": numbers[:, :, 0].ravel(),
                "top": outer[corner:].ravel(),
                "root": _column(numbers),
            },
        )

    def _points(self) -> FloatArray:
        shape = self.settings
        angles = np.linspace(0.0, 0.5 * np.pi, shape.around + 1)
        notch = np.stack(
            [shape.width - shape.radius * np.cos(angles), shape.radius * np.sin(angles)], axis=1
        )
        half = np.linspace(0.0, 1.0, shape.around // 2 + 1)
        side = np.stack([0.0 * half, shape.height * half], axis=1)
        top = np.stack([shape.width * half, np.full(len(half), shape.height)], axis=1)
        outer = np.concatenate([side, top[1:]])
        share = graded(shape.away, _GROWTH)[None, :, None]
        plane = (1.0 - share) * notch[:, None] + share * outer[:, None]
        levels = np.linspace(0.0, 0.5 * shape.thickness, shape.through + 1)
        points = np.empty((*plane.shape[:2], len(levels), 3))
        points[..., :2], points[..., 2] = plane[:, :, None], levels
        return points.reshape(-1, 3)

    def _case(self, mu: Mapping[str, float], mesh: StructureMesh) -> StructureCase:
        steps = self.settings.cycles * self.settings.increments
        times = mu["period"] * np.linspace(0.0, self.settings.cycles, steps + 1)
        # Positive stresses pull, positive pressures push.
        pull = Pressure("top", -mu["stress"], self._wave(mu["ratio"], mu["period"]))
        field = np.full((1, mesh.n_nodes), mu["temperature"])
        loads = LoadCase(
            prescribed=(Prescribed("left", 0), Prescribed("bottom", 1), Prescribed("back", 2)),
            pressures=(pull,),
            temperature=TemperatureHistory(np.zeros(1), field),
        )
        return StructureCase(mesh, _law(self.settings.law, mu["temperature"]), loads, times)

    def _wave(self, ratio: float, period: float) -> Amplitude:
        """Return 0, 1, `ratio`, 1, `ratio` ... and 0 at the end."""
        cycles = self.settings.cycles
        turns = np.arange(2 * cycles) / 2.0 + 0.25
        values = np.tile([1.0, ratio], cycles)
        times = period * np.concatenate([[0.0], turns, [float(cycles)]])
        return Amplitude(tuple(times.tolist()), (0.0, *values.tolist(), 0.0))


def _column(numbers: IntArray) -> IntArray:
    """Return the nodes at the root of the notch."""
    return np.asarray(numbers[0, 0])


def _law(kind: str, reference: float) -> Mapping[str, Json]:
    """Return the law; the uniform temperature is the reference, without thermal strain."""
    young: Json = {"temperatures": [20.0, 900.0], "values": [2.1e5, 1.5e5]}
    elastic: dict[str, Json] = {"young": young, "poisson": 0.3, "expansion": 1.3e-5}
    flow: dict[str, Json] = {"yield_stress": 200.0, "hardening": 2000.0}
    if kind == "elastoviscoplastic":
        flow = {
            "norton_stress": 400.0,
            "norton_exponent": 10.0,
            "kinematic_modulus": 8e4,
            "kinematic_recall": 500.0,
            "yield_stress": 80.0,
        }
    return {"kind": kind, "reference_temperature": reference, "coefficients": {**elastic, **flow}}
