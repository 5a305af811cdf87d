r"""A cube that is pulled, spun and heated: the parity case of the reduced models.

n x n x n hexahedra; the face x0 cannot move along x, its edge with y0 not along y, one corner not
along z. A pressure on x1 (negative: it pulls) rises in 0.1 s and stays; a rotation about an axis
along z outside the cube rises until 1 s and stays; in each cycle of 2 s the temperature goes from
the reference to

.. math::
   T_2(x) = T_{ref} + \Delta T \left(\tfrac14 + \tfrac34\,
            e^{-((\xi - 1)^2 + (\eta - \frac12)^2 + (\zeta - s)^2) / w^2}\right),
            \qquad (\xi, \eta, \zeta) = x / L, \quad w = 0.4

and back: a hot spot on x1 that yields under compression, and in tension when it cools. Geometry,
law, loads and steps are those of an example of Mordicus, the library behind arXiv:1812.07228 and
arXiv:1904.09123; the temperature field is our own, and we take the speed of 15 000 there for
revolutions per minute.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field, FiniteFloat

from infra.records import Json
from solvers.loads import Amplitude, Centrifugal, LoadCase, Prescribed, Pressure, TemperatureHistory
from solvers.mesh import FloatArray
from solvers.parameters import Parameter, ParameterSpace
from solvers.problems.structures.hexahedra import hexahedra, quadrilaterals
from solvers.problems.structures.problem import (
    StructureCase,
    StructureProblem,
    StructureSettingsBase,
)
from solvers.structure_mesh import StructureMesh

__all__ = ["Cube", "CubeSettings"]

_REFERENCE = 20.0
_CYCLE = 2.0  # s
_SPOT = 0.4  # radius of the hot spot in edges
_ELASTIC: Mapping[str, Json] = MappingProxyType({"young": 2e5, "expansion": 2e-5})
_LAWS: Mapping[str, Mapping[str, Json]] = MappingProxyType(
    {
        "elastoviscoplastic": {
            "poisson": 0.3,
            "norton_stress": 300.0,
            "norton_exponent": 30.0,
            "kinematic_modulus": 1e5,
            "kinematic_recall": 1000.0,
            "yield_stress": 10.0,
        },
        "linear-hardening": {"poisson": 0.2, "yield_stress": 10.0, "hardening": 100.0},
        "thermoelastic": {"poisson": 0.3},
    }
)


@final
class CubeSettings(StructureSettingsBase):
    """Size, resolution, law and duration."""

    cells: int = Field(6, ge=1, le=64, description="cells along each edge")
    edge: FiniteFloat = Field(6.0, gt=0, description="edge, mm")
    cycles: int = Field(1, ge=1, le=1000, description="thermal cycles of 2 s")
    increments: int = Field(10, ge=2, le=1000, description="steps of a cycle")
    law: Literal["elastoviscoplastic", "linear-hardening", "thermoelastic"] = Field(
        "elastoviscoplastic", description="kind of law"
    )


@final
class Cube(StructureProblem):
    """See the module."""

    name: ClassVar[str] = "cube"
    title: ClassVar[str] = "Cube under pressure, rotation and thermal cycles"
    Settings: ClassVar[type[StructureSettingsBase]] = CubeSettings
    defaults: ClassVar[Mapping[str, float]] = {
        "pressure": -100.0,
        "speed": 15_000.0,
        "temperature_rise": 700.0,
        "spot": 0.4,
    }

    def __init__(self, settings: CubeSettings) -> None:
        self.settings = settings

    def space(self) -> ParameterSpace:
        """Return pressure, speed and temperature field."""
        return ParameterSpace(
            (
                Parameter("pressure", -300.0, 300.0, "MPa", "pressure on the face x1"),
                Parameter("speed", 0.0, 30_000.0, "rpm", "revolutions per minute"),
                Parameter("temperature_rise", 0.0, 1000.0, "K", "rise of the hottest field"),
                Parameter("spot", 0.0, 1.0, "1", "place of the hot spot between z0 and z1"),
            )
        )

    def mesh(self) -> StructureMesh:
        """Return the cube; nodes are numbered with z fastest."""
        n = self.settings.cells
        line = np.linspace(0.0, self.settings.edge, n + 1)
        points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
        numbers = np.arange(len(points)).reshape(n + 1, n + 1, n + 1)
        return StructureMesh(
            points,
            hexahedra(numbers),
            "hexahedron",
            facets={"x0": quadrilaterals(numbers[0]), "x1": quadrilaterals(numbers[-1])},
            nodes={
                "x0": numbers[0].ravel(),
                "x1": numbers[-1].ravel(),
                "x0y0": numbers[0, 0],
                "x0y0z0": numbers[0, 0, :1],
            },
        )

    def _case(self, mu: Mapping[str, float], mesh: StructureMesh) -> StructureCase:
        end = self.settings.cycles * _CYCLE
        steps = self.settings.cycles * self.settings.increments
        kind = self.settings.law
        loads = LoadCase(
            prescribed=(Prescribed("x0", 0), Prescribed("x0y0", 1), Prescribed("x0y0z0", 2)),
            pressures=(Pressure("x1", mu["pressure"], Amplitude((0.0, 0.1), (0.0, 1.0))),),
            centrifugal=self._rotation(mu["speed"]),
            temperature=self._temperature(mu, mesh),
        )
        law: Mapping[str, Json] = {
            "kind": kind,
            "reference_temperature": _REFERENCE,
            "coefficients": {**_ELASTIC, **_LAWS[kind]},
        }
        return StructureCase(mesh, law, loads, np.linspace(0.0, end, steps + 1))

    def _rotation(self, speed: float) -> Centrifugal:
        return Centrifugal(
            point=(3.5, -20.0, 1.5),
            axis=(0.0, 0.0, 1.0),
            speed=speed * 2.0 * np.pi / 60.0,
            density=1e-8,
            amplitude=Amplitude((0.0, 1.0), (0.0, 1.0)),
        )

    def _temperature(self, mu: Mapping[str, float], mesh: StructureMesh) -> TemperatureHistory:
        cold, hot = np.full(mesh.n_nodes, _REFERENCE), self._hottest(mu, mesh.points)
        turns = 2 * self.settings.cycles + 1
        fields = np.stack([hot if turn % 2 else cold for turn in range(turns)])
        times = np.arange(turns, dtype=np.float64) * (0.5 * _CYCLE)
        return TemperatureHistory(times, fields)

    def _hottest(self, mu: Mapping[str, float], points: FloatArray) -> FloatArray:
        x, y, z = (points / self.settings.edge).T
        distance = (x - 1.0) ** 2 + (y - 0.5) ** 2 + (z - mu["spot"]) ** 2
        shape = 0.25 + 0.75 * np.exp(-distance / _SPOT**2)
        return np.asarray(_REFERENCE + mu["temperature_rise"] * shape)
