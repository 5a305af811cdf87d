"""Where the values of a frame live: its fields, their points and cells, prescribed values.

A frame is one vector of ``n_values`` numbers: the fields of the stream behind each other, in the
stream's order. A location is a set of points that carries fields, for example ``node`` or
``vertex``; its cells are linear simplices (intervals, triangles, tetrahedra) over its points.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, Self, cast, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import StoreError, UserError
from infra.records import Json

__all__ = ["FieldInfo", "FieldSpace", "Prescribed"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]
# Arguments from JSON; the constructors and their checks say what is wrong with them.
type _Entry = dict[str, Any]


@final
@dataclass(frozen=True)
class FieldInfo:
    """One scalar field.

    Attributes
    ----------
    name, units
        As in the dataset.
    size
        Number of values.
    location
        Name of the points that carry them.
    """

    name: str
    units: str
    size: int
    location: str


@final
@dataclass(frozen=True, eq=False)
class Prescribed:
    """Values that are known before any computation (Dirichlet).

    Attributes
    ----------
    field
        Name of the field.
    nodes
        Places inside this field, shape (k,).
    parameter
        Name of the parameter whose value they take, or None.
    value
        The value that they take if there is no parameter, in the field's units.
    """

    field: str
    nodes: _Ints
    parameter: str | None = None
    value: float = 0.0


@final
@dataclass(frozen=True, eq=False)
class FieldSpace:
    """Fields, geometry and prescribed values of one frame.

    Attributes
    ----------
    fields
        In the order of the frame's values.
    points
        Positions by location, shape (n, gdim), m. A location without known positions is absent.
    cells
        Simplices by location, shape (m, gdim + 1), places in `points`. May be absent.
    prescribed
        What is known; where two entries share a place, the later one holds.

    Raises
    ------
    UserError
        If the parts contradict each other.
    """

    fields: tuple[FieldInfo, ...]
    points: Mapping[str, _Floats] = field(default_factory=dict)
    cells: Mapping[str, _Ints] = field(default_factory=dict)
    prescribed: tuple[Prescribed, ...] = ()

    def __post_init__(self) -> None:
        _check_fields(self)
        _check_geometry(self)
        _check_prescribed(self)

    @cached_property
    def n_values(self) -> int:
        """Number of values of a frame: the sum of the fields' sizes."""
        return sum(info.size for info in self.fields)

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        """Place of each field in a frame."""
        ends = list(accumulate(info.size for info in self.fields))
        return {
            info.name: slice(end - info.size, end)
            for info, end in zip(self.fields, ends, strict=True)
        }

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the fields, in their order."""
        return tuple(info.size for info in self.fields)

    @cached_property
    def locations(self) -> tuple[str, ...]:
        """Locations of the fields, each once, in the order of the fields."""
        return tuple(dict.fromkeys(info.location for info in self.fields))

    @property
    def gdim(self) -> int:
        """Number of coordinates of a point.

        Raises
        ------
        UserError
            If no location has points.
        """
        return int(self.points_of(self.locations[0]).shape[1])

    def points_of(self, location: str) -> _Floats:
        """Return the positions of a location, shape (n, gdim), m.

        Raises
        ------
        UserError
            If they are not known.
        """
        if location not in self.points:
            raise UserError(
                f"Expected the positions of `{location}` in the dataset; it has those of "
                f"{sorted(self.points) or 'none'}. Choose a model that needs no mesh (`mlp`), or "
                f"store the positions."
            )
        return self.points[location]

    def cells_of(self, location: str) -> _Ints:
        """Return the simplices of a location, shape (m, gdim + 1).

        Raises
        ------
        UserError
            If they are not known.
        """
        if location not in self.cells:
            raise UserError(
                f"Expected the cells over `{location}` in the dataset; it has those over "
                f"{sorted(self.cells) or 'none'}. Choose a model that needs no cells (`mlp`, "
                "`deeponet`), or store the cells."
            )
        return self.cells[location]

    def describe(self) -> dict[str, Json]:
        """Return what is not an array, for JSON: fields, and what is prescribed where."""
        fields: list[Json] = [
            {"name": f.name, "units": f.units, "size": f.size, "location": f.location}
            for f in self.fields
        ]
        prescribed: list[Json] = [
            {"field": p.field, "parameter": p.parameter, "value": p.value} for p in self.prescribed
        ]
        return {"fields": fields, "prescribed": prescribed}

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name; `assemble` takes them together with `describe`."""
        return {
            **{f"points.{name}": values for name, values in self.points.items()},
            **{f"cells.{name}": values for name, values in self.cells.items()},
            **{f"prescribed.{i}": entry.nodes for i, entry in enumerate(self.prescribed)},
        }

    @classmethod
    def assemble(cls, text: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Return the space that `describe` and `arrays` came from.

        Raises
        ------
        StoreError
            If entries are missing or of another form.
        """
        try:
            fields = tuple(FieldInfo(**cast(_Entry, f)) for f in cast(list[Json], text["fields"]))
            prescribed = tuple(
                Prescribed(nodes=arrays[f"prescribed.{i}"].astype(np.int64), **cast(_Entry, entry))
                for i, entry in enumerate(cast(list[Json], text["prescribed"]))
            )
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"Expected the description of a field space; an entry is missing or unknown: "
                f"{error}. The folder is damaged or of another version: save the model again."
            ) from error
        points = {name: a.astype(np.float64) for name, a in _named("points.", arrays).items()}
        cells = {name: a.astype(np.int64) for name, a in _named("cells.", arrays).items()}
        return cls(fields, points, cells, prescribed)


def _named(
    prefix: str, arrays: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _check_fields(space: FieldSpace) -> None:
    names = [info.name for info in space.fields]
    if not names or len(set(names)) != len(names):
        raise UserError(
            f"Expected at least one field, with distinct names; received {names}. A model "
            "needs fields with floating values: see the arrays of the dataset."
        )
    empty = [info.name for info in space.fields if info.size < 1]
    if empty:
        raise UserError(f"Expected fields with at least one value; received {empty} without.")


def _check_geometry(space: FieldSpace) -> None:
    for info in space.fields:
        points = space.points.get(info.location)
        if points is not None and (points.ndim != 2 or len(points) != info.size):
            raise UserError(
                f"Expected {info.size} points in `{info.location}`, shape (n, gdim), as many as "
                f"`{info.name}` has values; received shape {points.shape}."
            )
    if len({points.shape[1] for points in space.points.values()}) > 1:
        raise UserError("Expected points of one dimension; received several. Use one mesh.")
    for location, cells in space.cells.items():
        points = space.points_of(location)
        fits = cells.ndim == 2 and cells.shape[1] == points.shape[1] + 1
        if not fits or (cells.size and not 0 <= cells.min() <= cells.max() < len(points)):
            raise UserError(
                f"Expected simplices of {points.shape[1] + 1} places below {len(points)} over "
                f"`{location}`; received shape {cells.shape}. Number the cells by their points."
            )


def _check_prescribed(space: FieldSpace) -> None:
    sizes = {info.name: info.size for info in space.fields}
    for entry in space.prescribed:
        size = sizes.get(entry.field, 0)
        nodes = entry.nodes
        if nodes.ndim != 1 or (nodes.size and not 0 <= nodes.min() <= nodes.max() < size):
            raise UserError(
                f"Expected prescribed places below {size} in `{entry.field}`; received shape "
                f"{nodes.shape}. Name a field of {sorted(sizes)} and places inside it."
            )
