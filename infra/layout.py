"""The layout of a dataset: its samples, dimensions, times, arrays and static values.

A layout is a value made by the flow from a problem and a study. It is checked when it is
made, has a digest that identifies it, and is all that a store needs to create a dataset.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast, final

import numpy as np

from infra.description import ArraySpec, DatasetDescription, ParameterColumn, StaticDescription
from infra.errors import UserError
from infra.records import Json, Sample

__all__ = ["ArraySpec", "Layout", "ParameterColumn", "StaticArray", "required_bytes"]

RESERVED = frozenset({"sample", "time", "seed", "status"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DTYPES = tuple(
    np.dtype(code).name for code in ("f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
)
# Per chunk: 16 bytes of index and at most 16 of Blosc header; per shard: checksum and inode.
_CHUNK_OVERHEAD, _SHARD_OVERHEAD, _RECORD_BYTES = 32, 4096, 16384


@final
@dataclass(frozen=True, eq=False)
class StaticArray:
    """An array written once, when the dataset is created: nodes, connectivity and the like.

    Attributes
    ----------
    name
        Name of the variable.
    dims
        Names of its dimensions; ``()`` for a scalar such as UGRID's mesh variable.
    values
        Real or integer array whose shape the dimensions give.
    units, long_name
        As CF asks.
    attrs
        Further attributes.
    """

    name: str
    dims: tuple[str, ...]
    values: np.ndarray
    units: str
    long_name: str
    attrs: Mapping[str, Json] = field(default_factory=dict)

    def describe(self) -> StaticDescription:
        """Return the same without values, with their checksum."""
        values = np.asarray(self.values)
        raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        return StaticDescription(
            name=self.name,
            dims=tuple(self.dims),
            units=self.units,
            long_name=self.long_name,
            dtype=values.dtype.name,
            sha256=hashlib.sha256(raw.tobytes()).hexdigest(),
            attrs=_json_attrs(self.name, self.attrs),
        )


@final
@dataclass(frozen=True, eq=False)
class Layout:
    """All that is fixed about a dataset before its first sample is computed.

    Attributes
    ----------
    name, title
        Short name and one line for people.
    samples
        All samples of the study; their indices are 0 to n - 1 in this order. A sample without
        any parameter is drawn later, see `SnapshotStore.draw`.
    parameters
        Names, units and descriptions of the entries of `Sample.mu`.
    dims
        Sizes by name (``node``, ``vertex``, ``face``, ...); ``sample`` and ``time`` follow
        from `samples` and `times`.
    times
        Output times, shape (n_time,), seconds, increasing. None for steady problems: then there
        is no dimension ``time``, and every array is written once per sample.
    arrays
        Arrays with one shard per sample.
    static
        Arrays written at creation.
    attrs
        Attributes of the whole dataset.

    Raises
    ------
    UserError
        If the parts contradict each other.
    """

    name: str
    title: str
    samples: tuple[Sample, ...]
    parameters: tuple[ParameterColumn, ...]
    dims: Mapping[str, int]
    times: np.ndarray
    arrays: tuple[ArraySpec, ...]
    static: tuple[StaticArray, ...] = ()
    attrs: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_names(self)
        _check_samples(self)
        _check_axes(self)
        for spec in self.arrays:
            _check_spec(spec, self.description.sizes)
        for array in self.static:
            _check_static(array, self.description.sizes)

    @cached_property
    def description(self) -> DatasetDescription:
        """The layout without static values, in plain Python types."""
        described = DatasetDescription(
            name=self.name,
            title=self.title,
            samples=tuple(_plain(sample) for sample in self.samples),
            parameters=tuple(self.parameters),
            dims={name: int(size) for name, size in self.dims.items()},
            times=tuple(float(time) for time in self.times),
            arrays=tuple(
                ArraySpec(
                    spec.name,
                    tuple(spec.dims),
                    spec.units,
                    spec.long_name,
                    spec.dtype,
                    _json_attrs(spec.name, spec.attrs),
                )
                for spec in self.arrays
            ),
            static=tuple(array.describe() for array in self.static),
            attrs=_json_attrs(self.name, self.attrs),
        )
        # Through JSON, so that a reopened dataset has exactly this description.
        return DatasetDescription.from_json(described.to_json())

    def digest(self) -> str:
        """Return the SHA-256 (hex) of everything here, static values and samples included."""
        return self.description.digest


def required_bytes(layout: Layout) -> int:
    """Estimate from above how many bytes the complete dataset takes.

    Parameters
    ----------
    layout
        The layout.

    Returns
    -------
    int
        Bytes without any compression, with indices, records and one block per file.
    """
    described = layout.description
    per_sample = _RECORD_BYTES
    for spec in layout.arrays:
        chunks = len(layout.times) if spec.streamed else 1
        size = math.prod(described.sample_shape(spec)) * np.dtype(spec.dtype).itemsize
        per_sample += size + chunks * _CHUNK_OVERHEAD + _SHARD_OVERHEAD
    static = sum(np.asarray(array.values).nbytes + _SHARD_OVERHEAD for array in layout.static)
    columns = (len(layout.parameters) + 3) * 8 * len(layout.samples) + len(layout.times) * 8
    return per_sample * len(layout.samples) + static + columns + _RECORD_BYTES


def _check_names(layout: Layout) -> None:
    groups: tuple[Iterable[str], ...] = (
        (column.name for column in layout.parameters),
        (spec.name for spec in layout.arrays),
        (array.name for array in layout.static),
    )
    names = [name for group in groups for name in group]
    for name in (*names, *layout.dims):
        if not _IDENTIFIER.fullmatch(name):
            raise UserError(
                f"Expected a name of letters, digits and underscores; received {name!r}. Rename it."
            )
        if name in RESERVED:
            raise UserError(
                f"Expected a name other than {', '.join(sorted(RESERVED))}; received {name!r}."
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"Expected different names; received more than once: {', '.join(twice)}.")


def _check_samples(layout: Layout) -> None:
    if not layout.samples:
        raise UserError("Expected at least one sample; received none. Raise the budget.")
    columns = {column.name for column in layout.parameters}
    for place, sample in enumerate(layout.samples):
        if sample.index != place:
            raise UserError(
                f"Expected samples with indices 0 to {len(layout.samples) - 1} in order; "
                f"received {sample.index} at place {place}. Number them again."
            )
        if sample.mu and set(sample.mu) != columns:
            raise UserError(
                f"Expected the parameters {sorted(columns)}; received {sorted(sample.mu)} "
                f"in sample {place}. Give every sample every parameter."
            )
        if not all(map(math.isfinite, sample.mu.values())):
            raise UserError(
                f"Expected finite parameters; received {dict(sample.mu)} in sample {place}."
            )
        if not 0 <= sample.seed < 2**64:
            raise UserError(
                f"Expected a seed from 0 to 2**64 - 1; received {sample.seed} in sample {place}."
            )


def _check_axes(layout: Layout) -> None:
    times = np.asarray(layout.times)
    increasing = times.ndim == 1 and bool(np.all(np.diff(times) > 0))
    if not increasing or not np.all(np.isfinite(times)):
        raise UserError(
            f"Expected finite, increasing output times (1-D, empty for a steady problem); "
            f"received {times}."
        )
    for name, size in layout.dims.items():
        if size < 1:
            raise UserError(f"Expected a size of at least 1; received {name} = {size}.")


def _check_spec(spec: ArraySpec, sizes: Mapping[str, int]) -> None:
    if spec.dims[:1] != ("sample",) or "time" in spec.dims[2:] or "sample" in spec.dims[1:]:
        raise UserError(
            f"Expected dimensions (sample, ...) or (sample, time, ...) in `{spec.name}`; "
            f"received {spec.dims}. Order them so."
        )
    if spec.streamed and "time" not in sizes:
        raise UserError(
            f"Expected no dimension time in `{spec.name}`, since the layout has no output times; "
            f"received {spec.dims}. Give output times, or leave the dimension out."
        )
    _check_dims(spec.name, spec.dims, sizes)
    _check_dtype(spec.name, spec.dtype)


def _check_static(array: StaticArray, sizes: Mapping[str, int]) -> None:
    _check_dims(array.name, array.dims, sizes)
    values = np.asarray(array.values)
    _check_dtype(array.name, values.dtype.name)
    expected = tuple(sizes[dim] for dim in array.dims)
    if values.shape != expected:
        raise UserError(
            f"Expected the shape {expected} of dimensions {array.dims} in `{array.name}`; "
            f"received {values.shape}. Correct `dims` or the values."
        )


def _check_dims(name: str, dims: tuple[str, ...], sizes: Mapping[str, int]) -> None:
    unknown = [dim for dim in dims if dim not in sizes]
    if unknown:
        raise UserError(
            f"Expected dimensions out of {sorted(sizes)} in `{name}`; received {unknown}. "
            "Add their sizes to `dims`."
        )


def _check_dtype(name: str, dtype: str) -> None:
    if dtype not in _DTYPES:
        raise UserError(f"Expected one of {', '.join(_DTYPES)} in `{name}`; received {dtype!r}.")


def _plain(sample: Sample) -> Sample:
    mu = {name: float(value) for name, value in sample.mu.items()}
    return Sample(int(sample.index), mu, int(sample.seed))


def _json_attrs(name: str, attrs: Mapping[str, Json]) -> dict[str, Json]:
    try:
        return cast(dict[str, Json], json.loads(json.dumps(dict(attrs), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"Expected attributes that JSON can hold in `{name}`; received {dict(attrs)} ({error})."
        ) from error
