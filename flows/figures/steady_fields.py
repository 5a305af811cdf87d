"""Fields that can be drawn, of steady datasets and at one time: on triangles, or in a slice."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from flows.figures.fields import require_committed
from flows.figures.panels import outlines
from flows.figures.slices import Cut, horizontal_cut
from infra.description import ArraySpec, DatasetDescription
from infra.errors import UserError
from infra.store import SnapshotStore
from solvers.mesh import FloatArray, IntArray

__all__ = ["Drawing", "SteadyField", "SteadyReader", "fields_of", "is_transient"]

_AXES = ("x", "y", "z")


@final
@dataclass(frozen=True)
class SteadyField:
    """What can be drawn: an array, or the length of a vector of which each component is one.

    Attributes
    ----------
    name, units : how it is called
    arrays : one name, or the names of the components
    on : ``vertex`` or ``cell``
    coefficient : whether it is a coefficient of the equation, not a solution
    """

    name: str
    units: str
    arrays: tuple[str, ...]
    on: str
    coefficient: bool


@final
@dataclass(frozen=True)
class Drawing:
    """A field over a part of the plane.

    Attributes
    ----------
    points : (n, 2) positions, metres
    triangles : (n_triangles, 3) indices of points
    values : (n,) in the field's units, linear in each triangle
    """

    points: FloatArray
    triangles: IntArray
    values: FloatArray


def fields_of(description: DatasetDescription) -> tuple[SteadyField, ...]:
    """Return the fields on vertices and cells: coefficients first, then solutions."""
    specs = [spec for spec in description.arrays if _places(spec) in (("vertex",), ("cell",))]
    found: dict[str, list[ArraySpec]] = {}
    for spec in specs:
        found.setdefault(_vector(spec, description.specs) or spec.name, []).append(spec)
    fields = [_field(name, parts) for name, parts in found.items()]
    return tuple(sorted(fields, key=lambda field: not field.coefficient))


def is_transient(description: DatasetDescription) -> bool:
    """Tell whether a dataset is that of a linear problem in time: `transient_layout` made it."""
    return any(a.streamed and a.attrs.get("role") == "solution" for a in description.arrays)


@final
class SteadyReader:
    """Fields of one committed sample of a steady problem, or of one in time at one time.

    Of a problem in space the horizontal plane through the middle is shown.

    Parameters
    ----------
    store : a dataset with the layout of `solvers.steady_snapshots.steady_layout`
    sample : index of a committed sample
    frame : index of the output time, of a problem in time

    Attributes
    ----------
    points : (n_vertices, gdim) metres
    cells : (n_cells, gdim + 1) vertices

    Raises
    ------
    UserError
        If the sample is not committed, or the dataset has no mesh of triangles or tetrahedra.
    """

    def __init__(self, store: SnapshotStore, sample: int, frame: int | None = None) -> None:
        require_committed(store, sample)
        self._store, self._sample, self._frame = store, sample, frame
        static = [array.name for array in store.description.static]
        names = [f"node_{a}" for a in _AXES if f"node_{a}" in static]
        if "cell_vertices" not in static or len(names) < 2:
            raise UserError(
                f"dataset {store.description.name}: expected a mesh of triangles or tetrahedra, "
                f"received {', '.join(static) or 'none'}. Open the dataset with xarray instead."
            )
        self.cells: IntArray = np.asarray(store.static("cell_vertices"), dtype=np.int64)
        self.points: FloatArray = np.stack([store.static(name) for name in names], axis=1)

    def at(self, frame: int) -> "SteadyReader":
        """Return the same at another time; the mesh is not read again."""
        other = copy(self)
        other._frame = frame
        return other

    @property
    def height(self) -> float | None:
        """Height of the slice of a problem in space, metres; None in the plane."""
        if self.points.shape[1] == 2:
            return None
        return float((self.points[:, 2].min() + self.points[:, 2].max()) / 2)

    def drawing(self, field: SteadyField) -> Drawing:
        """Return what is drawn of a field."""
        parts = [self._read(name) for name in field.arrays]
        values = parts[0] if len(parts) == 1 else np.sqrt(sum(part**2 for part in parts))
        if self.height is not None:
            return self._sliced(values, field.on)
        if field.on == "vertex":
            return Drawing(self.points, self.cells, values)
        corners = self.points[self.cells].reshape(-1, 2)
        return Drawing(corners, _numbered(len(self.cells)), np.repeat(values, 3))

    @cached_property
    def border(self) -> list[FloatArray]:
        """Closed lines around what is drawn, (n, 2) metres."""
        if self.height is None:
            return [self.points[loop] for loop in outlines(self.cells)]
        (x0, y0), (x1, y1) = self._cut.points.min(axis=0), self._cut.points.max(axis=0)
        return [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])]

    @cached_property
    def _cut(self) -> Cut:
        assert self.height is not None, "only in space"
        return horizontal_cut(self.points, self.cells, self.height)

    def _sliced(self, values: FloatArray, on: str) -> Drawing:
        cut = self._cut
        at = cut.at_corners(values) if on == "vertex" else cut.of_cells(values)
        return Drawing(cut.points, _numbered(len(cut.cells)), at)

    def _read(self, name: str) -> FloatArray:
        frame = self._frame if self._store.description.specs[name].streamed else None
        return np.asarray(self._store.read(self._sample, name, frame), dtype=np.float64)


def _places(spec: ArraySpec) -> tuple[str, ...]:
    """Return the dimensions of an array beside sample and time."""
    return tuple(dim for dim in spec.dims if dim not in ("sample", "time"))


def _field(name: str, parts: Sequence[ArraySpec]) -> SteadyField:
    first, names = parts[0], tuple(part.name for part in parts)
    is_coefficient = first.attrs.get("role") == "coefficient"
    return SteadyField(name, first.units, names, first.dims[-1], is_coefficient)


def _numbered(n_triangles: int) -> IntArray:
    """Return triangles that share no corner."""
    return np.arange(3 * n_triangles).reshape(-1, 3)


def _vector(spec: ArraySpec, specs: Mapping[str, ArraySpec]) -> str:
    """Return the name of the vector of which an array is a component, else an empty text."""
    stem, _, axis = spec.name.rpartition("_")
    family: Sequence[str] = [f"{stem}_{a}" for a in _AXES if f"{stem}_{a}" in specs]
    return stem if stem and axis in _AXES and len(family) > 1 else ""
