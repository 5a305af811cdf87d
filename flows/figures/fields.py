"""The fields of a flow dataset that can be drawn, read one frame at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, final

import numpy as np

from infra.errors import UserError
from infra.store import SnapshotStore
from solvers.mesh import FloatArray, IntArray

__all__ = [
    "QUANTITIES",
    "FieldName",
    "FlowReader",
    "Quantity",
    "node_areas",
    "require_committed",
    "vorticity",
]

type FieldName = Literal["speed", "vorticity", "pressure"]

_NEEDED = ("face_nodes", "cell_vertices")


@final
@dataclass(frozen=True)
class Quantity:
    """How a field is called and coloured.

    Attributes
    ----------
    label, units : text of the colour bar; `units` in CF's notation
    colours : name of matplotlib's colour map
    scale : colours are symmetric about zero, begin at zero, or span the values, also by decades
    quantile : share of the domain's area whose values must lie inside the colour limits
    """

    label: str
    units: str
    colours: str
    scale: Literal["symmetric", "from zero", "free", "log"]
    quantile: float


QUANTITIES: Mapping[FieldName, Quantity] = MappingProxyType(
    {
        "speed": Quantity("speed", "m s-1", "viridis", "from zero", 0.9995),
        # Walls carry vorticity that is many times that of a shed vortex, on little area.
        "vorticity": Quantity("vorticity", "s-1", "RdBu_r", "symmetric", 0.95),
        "pressure": Quantity("kinematic pressure", "m2 s-2", "plasma", "free", 0.995),
    }
)


def vorticity(
    triangles: IntArray, positions: FloatArray, u: FloatArray, v: FloatArray
) -> FloatArray:
    r"""Return the vorticity at the nodes, averaged over the linear triangles around each.

    .. math::
       \omega_i = \frac{\sum_{T \ni i} |T| \, (\partial_x v - \partial_y u)|_T}
                       {\sum_{T \ni i} |T|}

    exact where the velocity is linear on all triangles around a node.

    Parameters
    ----------
    triangles : (n_triangles, 3) nodes, of either orientation
    positions : (n_nodes, 2) metres
    u, v : (n_nodes,) velocity along x and y, m/s

    Returns
    -------
    ndarray
        (n_nodes,) 1/s; zero at a node without triangles of positive area.
    """
    a, b, c = triangles.T
    ab, ac = positions[b] - positions[a], positions[c] - positions[a]
    # The integral of the vorticity over a triangle, times 2 and its orientation.
    twice = (v[b] - v[a]) * ac[:, 1] - (v[c] - v[a]) * ab[:, 1]
    twice += (u[b] - u[a]) * ac[:, 0] - (u[c] - u[a]) * ab[:, 0]
    signed = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    integrals = _gathered(triangles, twice * np.sign(signed) / 6, len(positions))
    areas = node_areas(triangles, positions)
    return np.divide(integrals, areas, out=np.zeros(len(positions)), where=areas > 0)


def node_areas(triangles: IntArray, positions: FloatArray) -> FloatArray:
    """Return a third of the area of all triangles around each node, (n_nodes,) m^2."""
    a, b, c = triangles.T
    ab, ac = positions[b] - positions[a], positions[c] - positions[a]
    areas = 0.5 * np.abs(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    return _gathered(triangles, areas / 3, len(positions))


@final
class FlowReader:
    """Fields of one committed sample of a plane flow; one frame is read at a time.

    Parameters
    ----------
    store : a dataset with the layout of `solvers.snapshots.flow_layout`
    sample : index of a committed sample

    Attributes
    ----------
    positions : (n_nodes, 2) metres, those of this sample

    Raises
    ------
    UserError
        If the sample is not committed, or the dataset holds no plane flow.
    """

    def __init__(self, store: SnapshotStore, sample: int) -> None:
        _check_plane_flow(store)
        require_committed(store, sample)
        self._store, self._sample = store, sample
        self._faces, self._cells = (
            np.asarray(store.static(name), dtype=np.int64) for name in _NEEDED
        )
        names = ("node_x", "node_y")
        stored = all(name in store.description.specs for name in names)
        self.positions: FloatArray = np.stack(
            [store.read(sample, name) if stored else store.static(name) for name in names], axis=1
        )

    def triangles(self, field: FieldName) -> IntArray:
        """Return the (n_triangles, 3) nodes of the linear triangles on which `field` lives."""
        # Pressure has a value per vertex; vertices are the first nodes.
        return self._cells if field == "pressure" else self._faces

    def points(self, field: FieldName) -> FloatArray:
        """Return the (n, 2) positions of the nodes of `field`, metres."""
        if field == "pressure":
            return self.positions[: self._store.description.dims["vertex"]]
        return self.positions

    def values(self, field: FieldName, frame: int) -> FloatArray:
        """Return the (n,) values of `field` in this frame, in the units of `QUANTITIES`."""
        if field == "pressure":
            return self._read("pressure", frame)
        u, v = self._read("velocity_x", frame), self._read("velocity_y", frame)
        if field == "speed":
            return np.hypot(u, v)
        return vorticity(self.triangles(field), self.positions, u, v)

    def _read(self, name: str, frame: int) -> FloatArray:
        return np.asarray(self._store.read(self._sample, name, frame), dtype=np.float64)


def _gathered(triangles: IntArray, values: FloatArray, n_nodes: int) -> FloatArray:
    """Add the (n_triangles,) values to the three nodes of each triangle."""
    return np.bincount(triangles.ravel(), weights=np.repeat(values, 3), minlength=n_nodes)


def _check_plane_flow(store: SnapshotStore) -> None:
    description = store.description
    static = {array.name for array in description.static}
    missing = [name for name in _NEEDED if name not in static]
    missing += [name for name in ("velocity_x", "velocity_y") if name not in description.specs]
    if missing or "velocity_z" in description.specs:
        fault = f"no {', '.join(missing)}" if missing else "a velocity along z"
        raise UserError(
            f"dataset {description.name}: expected a plane flow on triangles, received {fault}. "
            "Figures are drawn for plane flows only; open the dataset with xarray instead."
        )


def require_committed(store: SnapshotStore, sample: int) -> None:
    """Refuse a sample that does not exist or is not committed.

    Raises
    ------
    UserError
        The message lists some of those that are.
    """
    n_samples = len(store.samples)
    if not 0 <= sample < n_samples:
        raise UserError(f"sample: expected 0 to {n_samples - 1}, received {sample}.")
    if store.is_committed(sample):
        return
    some = sorted(store.committed())
    listed = ", ".join(map(str, some[:8])) + (", ..." if len(some) > 8 else "")
    raise UserError(
        f"sample: expected a computed one ({listed or 'there is none yet'}), received {sample}, "
        "which is not committed. Run the study first, or choose another sample."
    )
