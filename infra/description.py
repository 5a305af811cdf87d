"""What a dataset holds, without its values: the part of a layout that goes to JSON and back.

`DatasetDescription` is what ``layout.json`` stores beside the arrays. It is enough to open a
dataset, to write samples into it and to say whether two layouts are the same, and reading it
loads no storage library.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Annotated, Any, final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from infra.errors import StoreError
from infra.records import Json, Sample

__all__ = ["ArraySpec", "DatasetDescription", "ParameterColumn", "StaticDescription", "difference"]

_STRICT = ConfigDict(extra="forbid")


@final
@dataclass(frozen=True)
class ArraySpec:
    """An array with one shard per sample.

    Attributes
    ----------
    name
        Name of the variable.
    dims
        Names of the dimensions; the first is ``sample``. If the second is ``time``, the array
        is written frame by frame, else once per sample.
    units, long_name
        As CF asks; dimensionless is ``"1"``.
    dtype
        Name of a NumPy real or integer type.
    attrs
        Further attributes of the variable, for example UGRID's ``mesh`` and ``location``.
    """

    __pydantic_config__ = _STRICT
    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    dtype: str = "float64"
    attrs: Mapping[str, Json] = field(default_factory=dict)

    @property
    def streamed(self) -> bool:
        """Whether it is written frame by frame."""
        return self.dims[1:2] == ("time",)

    @property
    def series(self) -> bool:
        """Whether it holds one number per frame."""
        return self.dims == ("sample", "time")


@final
@dataclass(frozen=True)
class ParameterColumn:
    """One parameter of the study: a variable on ``sample``.

    Attributes
    ----------
    name, units, long_name
        As in `ArraySpec`.
    """

    __pydantic_config__ = _STRICT
    name: str
    units: str
    long_name: str


@final
@dataclass(frozen=True)
class StaticDescription:
    """A static array without its values.

    Attributes
    ----------
    name, dims, units, long_name, dtype, attrs
        As in `ArraySpec`; ``sample`` and ``time`` need not be among the dimensions.
    sha256
        Of the values' little-endian bytes in C order, hex.
    """

    __pydantic_config__ = _STRICT
    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    dtype: str
    sha256: str
    attrs: Mapping[str, Json] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class DatasetDescription:
    """Everything about a dataset but the values of its arrays.

    Attributes
    ----------
    name, title
        Short name and one line for people.
    samples
        All samples of the study, in order of their index. One that is drawn later has no
        parameters until then.
    parameters
        Columns of `Sample.mu`.
    dims
        Sizes of the dimensions besides ``sample`` and ``time``.
    times
        Output times in seconds; none for steady problems.
    arrays, static
        Arrays of samples, and arrays written at creation.
    attrs
        Attributes of the whole dataset.
    later
        Samples that were drawn after the creation. What was drawn does not count: neither the
        JSON form nor the digest depends on it.
    """

    __pydantic_config__ = _STRICT
    name: str
    title: str
    samples: tuple[Sample, ...]
    parameters: tuple[ParameterColumn, ...]
    dims: Mapping[str, int]
    times: tuple[float, ...]
    arrays: tuple[ArraySpec, ...]
    static: tuple[StaticDescription, ...] = ()
    attrs: Mapping[str, Json] = field(default_factory=dict)
    later: Annotated[frozenset[int], Field(exclude=True)] = frozenset()

    @cached_property
    def undrawn(self) -> frozenset[int]:
        """Samples that have not been drawn yet."""
        return frozenset(s.index for s in self.samples if self.parameters and not s.mu)

    @cached_property
    def drawn(self) -> tuple[Sample, ...]:
        """The samples whose parameters are known."""
        return tuple(s for s in self.samples if s.index not in self.undrawn)

    def with_draws(self, samples: Iterable[Sample]) -> "DatasetDescription":
        """Return the description with the parameters of samples that were drawn; same digest."""
        known = {sample.index: sample for sample in samples}
        merged = tuple(known.get(sample.index, sample) for sample in self.samples)
        return replace(self, samples=merged, later=self.later | known.keys())

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Sizes of all dimensions; ``sample`` included, and ``time`` if there are output times."""
        time = {"time": len(self.times)} if self.times else {}
        return {"sample": len(self.samples), **time, **self.dims}

    @cached_property
    def specs(self) -> Mapping[str, ArraySpec]:
        """Arrays of samples by name."""
        return {spec.name: spec for spec in self.arrays}

    def shape(self, dims: tuple[str, ...]) -> tuple[int, ...]:
        """Return the sizes of these dimensions."""
        return tuple(self.sizes[dim] for dim in dims)

    def frame_shape(self, spec: ArraySpec) -> tuple[int, ...]:
        """Return the shape of what is written at once: a frame, or the array of one sample.

        Parameters
        ----------
        spec
            One of `arrays`.

        Returns
        -------
        tuple of int
            Sizes after ``sample`` and, for a streamed array, ``time``; ``()`` for a number.
        """
        return self.shape(spec.dims[2 if spec.streamed else 1 :])

    def sample_shape(self, spec: ArraySpec) -> tuple[int, ...]:
        """Return the shape of this array for one sample, with time if it is streamed."""
        return self.shape(spec.dims[1:])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON form: equal for equal layouts only."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON object from which `from_json` reads the description of the creation."""
        data: dict[str, Any] = _adapter().dump_python(self, mode="json")
        for index in self.later:
            data["samples"][index]["mu"] = {}
        return data

    def to_json(self) -> str:
        """Return indented JSON with a final newline."""
        # Python's own encoder is slow when it indents; what JSON lacks, `digest` refuses.
        return to_json(self.to_dict(), indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "DatasetDescription":
        """Read what `to_json` wrote.

        Raises
        ------
        StoreError
            If the text is not such a description.
        """
        try:
            return _adapter().validate_json(text)
        except ValidationError as error:
            raise StoreError(
                f"Expected the description of a dataset (layout.json); received: {error}. "
                "Restore the file, or generate the dataset again in another folder."
            ) from error


def difference(
    expected: DatasetDescription, received: DatasetDescription
) -> tuple[str, Json, Json] | None:
    """Find the first entry in which two descriptions differ.

    Parameters
    ----------
    expected, received
        What is stored, and what is asked for.

    Returns
    -------
    tuple or None
        Path of the entry (for example ``arrays.velocity.dtype``) and both values; the missing
        one is None. None if the descriptions are equal.
    """
    left, right = expected.to_dict(), received.to_dict()
    if json.dumps(left) == json.dumps(right):  # so it nearly always is, and samples are many
        return None
    return next(_differences("", left, right), None)


def _differences(path: str, left: Json, right: Json) -> Iterator[tuple[str, Json, Json]]:
    if isinstance(left, list) and isinstance(right, list):
        left, right = _keyed(left), _keyed(right)
        if left.keys() == right.keys() and list(left) != list(right):
            yield f"{path} (order)", list(left), list(right)
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            yield from _differences(f"{path}.{key}".strip("."), left.get(key), right.get(key))
    elif left != right or type(left) is not type(right):
        yield path, left, right


def _keyed(values: list[Json]) -> dict[str, Json]:
    """Give list entries their names, so that a difference is named by more than its place."""
    pairs = [
        (str(value.get("name", place)) if isinstance(value, dict) else str(place), value)
        for place, value in enumerate(values)
    ]
    return dict(pairs)


@cache
def _adapter() -> TypeAdapter[DatasetDescription]:
    return TypeAdapter(DatasetDescription)
