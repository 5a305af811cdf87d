"""Loads of structures as functions of time: pressure, rotation, temperature, displacement.

Plain NumPy, used by the full-order model, the reduced model and the adapters alike. Units: mm,
MPa, N, s, degrees Celsius, tonne. Regions are the names of a `StructureMesh`: sets of facets for
pressures, sets of nodes for prescribed displacements.
"""

from dataclasses import dataclass, field
from typing import Self, final

import numpy as np

from infra.errors import UserError
from solvers.mesh import FloatArray
from solvers.structure_mesh import StructureMesh

__all__ = ["Amplitude", "Centrifugal", "LoadCase", "Prescribed", "Pressure", "TemperatureHistory"]

type Vector = tuple[float, float, float]


@final
@dataclass(frozen=True)
class Amplitude:
    """A factor of time: linear between its times, constant outside them.

    Attributes
    ----------
    times : ascending, seconds
    values : one per time, dimensionless

    Raises
    ------
    UserError
        If the lengths differ, the times do not ascend, or a number is not finite.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or len(self.times) != len(self.values):
            raise UserError(
                "amplitude: expected as many values as times, at least one, received "
                f"{len(self.values)} values and {len(self.times)} times"
            )
        _require_times("amplitude", np.asarray(self.times, dtype=np.float64))
        _require_finite("amplitude: values", self.values)

    @classmethod
    def constant(cls, value: float = 1.0) -> Self:
        """Return an amplitude that does not change."""
        return cls((0.0,), (value,))

    def __call__(self, t: float) -> float:
        """Return the factor at time `t`, seconds."""
        return float(np.interp(t, self.times, self.values))


@final
@dataclass(frozen=True)
class Pressure:
    """A pressure on a set of facets; positive pushes into the body.

    It follows the normals of the reference mesh (small strains).

    Attributes
    ----------
    region : name of a set of facets
    magnitude : MPa
    amplitude : factor of time
    """

    region: str
    magnitude: float
    amplitude: Amplitude

    def __post_init__(self) -> None:
        _require_finite(f"pressure on {self.region}: magnitude", self.magnitude)

    def at(self, t: float) -> float:
        """Return the pressure at time `t`, MPa."""
        return self.magnitude * self.amplitude(t)


@final
@dataclass(frozen=True)
class Centrifugal:
    r"""The body force of a rotation, :math:`a(t)\,\rho\,\omega^2\,r` away from the axis.

    Attributes
    ----------
    point : a point of the axis, mm
    axis : direction of the axis; its length does not matter
    speed : rad/s
    density : tonne/mm^3
    amplitude : factor of time, of the force (not of the speed)
    """

    point: Vector
    axis: Vector
    speed: float
    density: float
    amplitude: Amplitude

    def __post_init__(self) -> None:
        _require_finite("centrifugal: point, axis, speed", (*self.point, *self.axis, self.speed))
        if not np.linalg.norm(self.axis) > 0.0:
            raise UserError(
                f"centrifugal: axis: expected a direction other than zero, received {self.axis}"
            )
        if not 0.0 < self.density < np.inf:
            raise UserError(
                "centrifugal: density: expected a positive number of tonne/mm^3 (steel: 7.8e-9), "
                f"received {self.density}"
            )

    def direction(self, points: FloatArray) -> FloatArray:
        """Return the force densities (m, 3) at `points` (m, 3) for amplitude one, N/mm^3."""
        unit = np.asarray(self.axis) / np.linalg.norm(self.axis)
        arm = points - np.asarray(self.point)
        arm = arm - np.outer(arm @ unit, unit)
        return np.asarray(self.density * self.speed**2 * arm)

    def at(self, t: float, points: FloatArray) -> FloatArray:
        """Return the force densities (m, 3) at `points` (m, 3) and time `t`, N/mm^3."""
        return self.amplitude(t) * self.direction(points)


@final
@dataclass(frozen=True)
class TemperatureHistory:
    """Nodal temperatures, linear in time and constant outside the given times.

    Attributes
    ----------
    times : (k,) ascending, seconds
    fields : (k, nodes) degrees Celsius, in the mesh's own numbering
    """

    times: FloatArray
    fields: FloatArray

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or not len(self.times) or self.fields.ndim != 2:
            raise UserError(
                "temperature: expected times (k,) and fields (k, nodes) with k >= 1, received "
                f"shapes {self.times.shape} and {self.fields.shape}"
            )
        if len(self.fields) != len(self.times):
            raise UserError(
                f"temperature: expected one field per time, received {len(self.fields)} fields "
                f"and {len(self.times)} times"
            )
        _require_times("temperature", self.times)
        _require_finite("temperature: fields", self.fields)

    def at(self, t: float) -> FloatArray:
        """Return the nodal temperatures (nodes,) at time `t`, degrees Celsius."""
        after = int(np.searchsorted(self.times, t, side="right"))
        if after in (0, len(self.times)):
            return np.array(self.fields[min(after, len(self.times) - 1)])
        start, end = self.times[after - 1], self.times[after]
        share = (t - start) / (end - start)
        return np.asarray((1.0 - share) * self.fields[after - 1] + share * self.fields[after])


@final
@dataclass(frozen=True)
class Prescribed:
    """One displacement component of a set of nodes as a function of time.

    Attributes
    ----------
    region : name of a set of nodes
    component : 0, 1 or 2
    magnitude : mm; zero holds the nodes
    amplitude : factor of time
    """

    region: str
    component: int
    magnitude: float = 0.0
    amplitude: Amplitude = field(default_factory=Amplitude.constant)

    def __post_init__(self) -> None:
        _require_finite(f"prescribed on {self.region}: magnitude", self.magnitude)
        if self.component not in (0, 1, 2):
            raise UserError(
                f"prescribed on {self.region}: component: expected 0, 1 or 2, received "
                f"{self.component}"
            )

    def at(self, t: float) -> float:
        """Return the displacement at time `t`, mm."""
        return self.magnitude * self.amplitude(t)


@final
@dataclass(frozen=True)
class LoadCase:
    """Everything that acts on a structure.

    Attributes
    ----------
    prescribed : Dirichlet conditions; where two meet, the later one holds
    pressures : on sets of facets; they add up
    centrifugal : at most one rotation
    temperature : None keeps the law's reference temperature, without thermal strain
    """

    prescribed: tuple[Prescribed, ...]
    pressures: tuple[Pressure, ...] = ()
    centrifugal: Centrifugal | None = None
    temperature: TemperatureHistory | None = None

    def temperature_at(self, t: float, nodes: int, reference: float) -> FloatArray:
        """Return nodal temperatures (nodes,) at time `t`, degrees Celsius.

        Parameters
        ----------
        t : seconds
        nodes : number of nodes of the mesh
        reference : the law's reference temperature, which holds without a history
        """
        if self.temperature is None:
            return np.full(nodes, reference)
        return self.temperature.at(t)

    def fixed(self, mesh: StructureMesh, t: float) -> tuple[FloatArray, FloatArray]:
        """Return the prescribed displacements at time `t`.

        Returns
        -------
        mask : (N, 3) 1 where a component is prescribed, 0 elsewhere
        values : (N, 3) mm, 0 where nothing is prescribed
        """
        mask, values = np.zeros(mesh.points.shape), np.zeros(mesh.points.shape)
        for entry in self.prescribed:
            nodes = mesh.nodes[entry.region]
            mask[nodes, entry.component] = 1.0
            values[nodes, entry.component] = entry.at(t)
        return mask, values

    def require_fits(self, mesh: StructureMesh) -> None:
        """Check that every region exists in the mesh and the temperatures have its nodes.

        Raises
        ------
        UserError
            If one does not; the message lists the names that exist.
        """
        for pressure in self.pressures:
            _require_known("pressure", "facets", pressure.region, tuple(mesh.facets))
        for prescribed in self.prescribed:
            _require_known("prescribed", "nodes", prescribed.region, tuple(mesh.nodes))
        if self.temperature is not None and self.temperature.fields.shape[1] != mesh.n_nodes:
            raise UserError(
                f"temperature: expected fields of {mesh.n_nodes} nodes, received "
                f"{self.temperature.fields.shape[1]}; give one value per node of the mesh"
            )


def _require_known(load: str, kind: str, region: str, known: tuple[str, ...]) -> None:
    if region not in known:
        raise UserError(
            f"{load}: expected a set of {kind} of the mesh ({', '.join(known) or 'it has none'}), "
            f"received {region!r}"
        )


def _require_times(owner: str, times: FloatArray) -> None:
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UserError(
            f"{owner}: expected finite ascending times in seconds, received {times.tolist()}"
        )


def _require_finite(owner: str, values: object) -> None:
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        raise UserError(f"{owner}: expected finite numbers, received NaN or infinite ones")
