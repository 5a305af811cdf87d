r"""A simplified cooled blade: a hollow, cambered, twisted profile that is spun and heated.

The outer section is an ellipse that is thicker in front than behind,

.. math::
   x = a\cos\varphi, \qquad y = b\,(1 + \tau\cos\varphi)\sin\varphi + c\,(1 - (x/a)^2),

the cooling passage its copy inside; sections turn with the height z. With the depth d in the wall
(0 outside, 1 at the passage) the temperature at full load is

.. math::
   T = T_c + (T_h - T_c)(1 - d)\,\frac{1 + \lambda e^{-(\varphi/0.6)^2}}{1 + \lambda}
       \left(\tfrac12 + \tfrac12 e^{-((z/H - s)/0.25)^2}\right):

coolant and gas temperatures, excess at the leading edge and place of the hot spot along the span
are the parameters, with the speed. A cycle heats and spins up, holds and comes down. The root is
held along z, and at two nodes such that it can grow in its plane.
"""

from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from pydantic import Field, FiniteFloat

from infra.records import Json
from solvers.loads import Amplitude, Centrifugal, LoadCase, Prescribed, Pressure, TemperatureHistory
from solvers.mesh import FloatArray
from solvers.parameters import Parameter, ParameterSpace
from solvers.problems.structures.hexahedra import closed, hexahedra, quadrilaterals
from solvers.problems.structures.problem import (
    StructureCase,
    StructureProblem,
    StructureSettingsBase,
)
from solvers.structure_mesh import StructureMesh

__all__ = ["Blade", "BladeSettings"]

_REFERENCE = 20.0
_HUB = 200.0  # mm from the axis of rotation to the root
_CHORD, _THICK, _TAPER, _CAMBER = 10.0, 2.5, 0.4, 1.5  # a, b (mm), tau, c (mm)
_WALL = 0.4  # depth of the passage as a part of the section
# Parts of a cycle at which it is at full load, and comes down again.
_UP, _DOWN = 0.2, 0.8


@final
class BladeSettings(StructureSettingsBase):
    """Shape, resolution and duration."""

    height: FiniteFloat = Field(40.0, gt=0, description="height H, mm")
    twist: FiniteFloat = Field(20.0, ge=-90, le=90, description="twist from root to tip, degrees")
    around: int = Field(24, ge=8, le=400, multiple_of=4, description="cells around the section")
    through: int = Field(2, ge=1, le=20, description="cells through the wall")
    along: int = Field(12, ge=1, le=200, description="cells along the height")
    cycles: int = Field(1, ge=1, le=1000, description="cycles of loading")
    period: FiniteFloat = Field(100.0, gt=0, description="duration of a cycle, s")
    increments: int = Field(20, ge=5, le=1000, multiple_of=5, description="steps of a cycle")


@final
class Blade(StructureProblem):
    """See the module."""

    name: ClassVar[str] = "blade"
    title: ClassVar[str] = "Cooled blade under rotation and thermal cycles"
    Settings: ClassVar[type[StructureSettingsBase]] = BladeSettings
    defaults: ClassVar[Mapping[str, float]] = {
        "hot": 950.0,
        "cold": 450.0,
        "leading_edge": 0.3,
        "spot": 0.5,
        "speed": 12_000.0,
    }

    def __init__(self, settings: BladeSettings) -> None:
        self.settings = settings

    def space(self) -> ParameterSpace:
        """Return temperature field and speed."""
        return ParameterSpace(
            (
                Parameter("hot", 500.0, 1100.0, "degC", "highest temperature outside"),
                Parameter("cold", 300.0, 800.0, "degC", "temperature of the cooling passage"),
                Parameter("leading_edge", 0.0, 1.0, "1", "excess at the leading edge"),
                Parameter("spot", 0.0, 1.0, "1", "place of the hot spot along the span"),
                Parameter("speed", 0.0, 15_000.0, "rpm", "revolutions per minute"),
            )
        )

    def mesh(self) -> StructureMesh:
        """Return the blade; nodes are numbered with the height fastest."""
        shape = self.settings
        counts = (shape.around, shape.through + 1, shape.along + 1)
        numbers = np.arange(np.prod(counts)).reshape(counts)
        ring = closed(numbers)
        half = shape.around // 2
        return StructureMesh(
            self._points(),
            hexahedra(ring),
            "hexahedron",
            facets={
                "outside": quadrilaterals(ring[:, 0]),
                "passage": quadrilaterals(ring[:, -1]),
                "pressure_side": quadrilaterals(ring[half:, 0]),
            },
            nodes={
                "root": numbers[:, :, 0].ravel(),
                "front": numbers[0, -1, :1],
                "rear": numbers[half, -1, :1],
                "tip": numbers[:, :, -1].ravel(),
            },
        )

    def _parametric(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return angle, depth and relative height of all nodes, (around, through, along) each."""
        shape = self.settings
        angle = 2.0 * np.pi * np.arange(shape.around) / shape.around
        depth = np.linspace(0.0, 1.0, shape.through + 1)
        height = np.linspace(0.0, 1.0, shape.along + 1)
        grids = np.meshgrid(angle, depth, height, indexing="ij")
        return grids[0], grids[1], grids[2]

    def _points(self) -> FloatArray:
        angle, depth, height = self._parametric()
        share = 1.0 - _WALL * depth
        x = _CHORD * share * np.cos(angle)
        y = _THICK * (1.0 + _TAPER * np.cos(angle)) * share * np.sin(angle)
        y += _CAMBER * (1.0 - (x / _CHORD) ** 2)
        turn = np.radians(self.settings.twist) * height
        turned = (
            x * np.cos(turn) - y * np.sin(turn),
            x * np.sin(turn) + y * np.cos(turn),
            self.settings.height * height,
        )
        return np.stack(turned, axis=-1).reshape(-1, 3)

    def _case(self, mu: Mapping[str, float], mesh: StructureMesh) -> StructureCase:
        steps = self.settings.cycles * self.settings.increments
        full = self._full_load()
        loads = LoadCase(
            prescribed=(
                Prescribed("root", 2),
                Prescribed("front", 0),
                Prescribed("front", 1),
                Prescribed("rear", 1),
            ),
            pressures=(Pressure("pressure_side", 0.3, full),),
            centrifugal=Centrifugal(
                point=(0.0, 0.0, -_HUB),
                axis=(1.0, 0.0, 0.0),
                speed=mu["speed"] * 2.0 * np.pi / 60.0,
                density=8.2e-9,
                amplitude=full,
            ),
            temperature=self._temperature(mu, full),
        )
        end = self.settings.cycles * self.settings.period
        return StructureCase(mesh, _law(), loads, np.linspace(0.0, end, steps + 1))

    def _full_load(self) -> Amplitude:
        """Return 0, up to 1, held, and down to 0, in each cycle."""
        starts = np.arange(self.settings.cycles)
        turns = np.stack([starts + _UP, starts + _DOWN, starts + 1.0], axis=1).ravel()
        values = np.tile([1.0, 1.0, 0.0], len(starts))
        times = self.settings.period * np.concatenate([[0.0], turns])
        return Amplitude(tuple(times.tolist()), (0.0, *values.tolist()))

    def _temperature(self, mu: Mapping[str, float], full: Amplitude) -> TemperatureHistory:
        rise = self._full_temperature(mu) - _REFERENCE
        fields = _REFERENCE + np.multiply.outer(np.array(full.values), rise)
        return TemperatureHistory(np.array(full.times), fields)

    def _full_temperature(self, mu: Mapping[str, float]) -> FloatArray:
        angle, depth, height = self._parametric()
        from_front = np.minimum(angle, 2.0 * np.pi - angle)
        excess = mu["leading_edge"]
        around = (1.0 + excess * np.exp(-((from_front / 0.6) ** 2))) / (1.0 + excess)
        along = 0.5 + 0.5 * np.exp(-(((height - mu["spot"]) / 0.25) ** 2))
        gap = mu["hot"] - mu["cold"]
        return np.asarray(mu["cold"] + gap * (1.0 - depth) * around * along).ravel()


def _law() -> Mapping[str, Json]:
    """Return a law with the softening of a nickel alloy; its figures stand for no real one."""

    def table(cold: float, hot: float) -> Json:
        return {"temperatures": [20.0, 1000.0], "values": [cold, hot]}

    return {
        "kind": "elastoviscoplastic",
        "reference_temperature": _REFERENCE,
        "coefficients": {
            "young": table(2.1e5, 1.4e5),
            "poisson": 0.3,
            "expansion": table(1.2e-5, 1.6e-5),
            "norton_stress": table(600.0, 400.0),
            "norton_exponent": 12.0,
            "kinematic_modulus": table(1.5e5, 6e4),
            "kinematic_recall": 600.0,
            "yield_stress": table(250.0, 60.0),
        },
    }
