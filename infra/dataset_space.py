"""From the description of a dataset to where its values live: fields, points, cells."""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from infra.description import ArraySpec, DatasetDescription
from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace, Prescribed
from infra.records import Json
from infra.streaming.frames import stream_spec

__all__ = ["field_space_of"]

_AXES = ("x", "y", "z")
# The cells over a location, by the location.
_CELLS = {"node": "face_nodes", "vertex": "cell_vertices"}


def field_space_of(
    description: DatasetDescription, static: Callable[[str], NDArray[np.generic]]
) -> FieldSpace:
    """Return fields, mesh and prescribed values of the frames of a dataset.

    Where parameters deform the mesh, the positions are those of the reference mesh. Values are
    prescribed where a field has the attribute ``prescribed`` (part of the boundary to parameter
    or number) and there is a static array ``<location>_part`` with CF flags.

    Parameters
    ----------
    description
        The dataset.
    static
        Returns a static array by its name.

    Returns
    -------
    FieldSpace
        Its fields are those of the stream, in the stream's order.

    Raises
    ------
    UserError
        If no field can be learned, or what is prescribed contradicts the dataset.
    """
    stream = stream_spec(description).fields
    specs = [description.specs[name] for name, _ in stream]
    fields = tuple(
        FieldInfo(spec.name, spec.units, size, _location(spec))
        for spec, (_, size) in zip(specs, stream, strict=True)
    )
    located = {f.location: _points(description, static, f.location) for f in fields}
    points = {name: positions for name, positions in located.items() if positions is not None}
    names = {array.name for array in description.static}
    cells = {
        name: static(_CELLS[name]).astype(np.int64) for name in points if _CELLS.get(name) in names
    }
    prescribed = tuple(p for spec in specs for p in _prescribed(description, static, spec))
    return FieldSpace(fields, points, cells, prescribed)


def _location(spec: ArraySpec) -> str:
    return "_".join(spec.dims[2 if spec.streamed else 1 :])


def _points(
    description: DatasetDescription, static: Callable[[str], NDArray[np.generic]], location: str
) -> NDArray[np.float64] | None:
    """Return the positions of a location, (n, gdim); None if the dataset does not have them."""
    stored = {array.name: array for array in description.static}
    for prefix in ("", "reference_"):
        axes = [f"{prefix}node_{axis}" for axis in _AXES if f"{prefix}node_{axis}" in stored]
        if not axes:
            continue
        base = stored[axes[0]].dims[0]
        # In a flow's mesh the vertices are the first of the quadratic nodes.
        if location == base or (location, base) == ("vertex", "node"):
            values = np.stack([static(name) for name in axes], axis=1).astype(np.float64)
            return values[: description.sizes[location]]
    return None


def _prescribed(
    description: DatasetDescription,
    static: Callable[[str], NDArray[np.generic]],
    spec: ArraySpec,
) -> Iterator[Prescribed]:
    given = spec.attrs.get("prescribed")
    if given is None:
        return
    name = f"{_location(spec)}_part"
    parts = next((array for array in description.static if array.name == name), None)
    if parts is None or not isinstance(given, dict):
        raise UserError(
            f"Expected the static array `{name}`, since values of `{spec.name}` are prescribed by "
            f"part; received none. Generate the dataset again."
        )
    flags = _flags(name, parts.attrs)
    values = static(name)
    for part, value in given.items():
        if part not in flags:
            raise UserError(
                f"Expected a part of {sorted(flags)} in `{spec.name}`; received {part!r}. "
                f"Correct the attribute `prescribed`, or the flags of `{name}`."
            )
        nodes = np.flatnonzero(values == flags[part]).astype(np.int64)
        yield _entry(description, spec.name, nodes, value)


def _entry(
    description: DatasetDescription, field: str, nodes: NDArray[np.int64], value: Json
) -> Prescribed:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Prescribed(field, nodes, None, float(value))
    known = [column.name for column in description.parameters]
    if value not in known:
        raise UserError(
            f"Expected a number or one of the parameters {known} as prescribed value of "
            f"`{field}`; received {value!r}. Correct the attribute `prescribed`."
        )
    return Prescribed(field, nodes, str(value))


def _flags(name: str, attrs: Mapping[str, Json]) -> dict[str, int]:
    """Return the number of each part from the CF attributes of the static array."""
    try:
        meanings = str(attrs["flag_meanings"]).split()
        numbers = [int(v) for v in cast(list[int], attrs["flag_values"])]
        return dict(zip(meanings, numbers, strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"Expected `flag_values` and `flag_meanings`, equally many, at `{name}`; received "
            f"{dict(attrs)}. Generate the dataset again."
        ) from error
