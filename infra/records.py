"""Records of a dataset: samples, reports, provenance, commits and failures.

They are plain values that go to JSON and back exactly. JSON has no NaN and no
infinities, yet the maximum CFL number of a diverged run may be one: such floats are
written as the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` and come back as
floats, so that every strict JSON reader opens the files.

Importing this module loads pydantic, but no storage library.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast, final

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from infra.errors import StoreError
from infra.moments import ArrayStatistics

__all__ = [
    "CommitRecord",
    "DrawRecord",
    "FailureRecord",
    "Json",
    "Provenance",
    "Sample",
    "SolveReport",
    "from_dict",
    "from_json",
    "to_dict",
    "to_json",
]

type Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

# Unknown entries are refused; floats that JSON lacks are strings.
_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


@final
@dataclass(frozen=True)
class Sample:
    """One point of the study.

    Attributes
    ----------
    index
        Place in the dataset, 0 to n - 1.
    mu
        Parameter values by name, in the units of the layout's columns; empty as long as the sample
        has not been drawn.
    seed
        Seed of the random generator of this sample.
    """

    __pydantic_config__ = _STRICT
    index: int
    mu: Mapping[str, float]
    seed: int


@final
@dataclass(frozen=True)
class SolveReport:
    """What the solver did for one sample.

    Attributes
    ----------
    reason
        Short name of how the run ended, for example ``finished``.
    steps
        Number of time steps.
    frames
        Number of frames written.
    wall_seconds, cpu_seconds
        Cost in seconds; the CPU time is summed over ranks.
    counts
        Iterations, set-ups, factorisations and the like.
    values
        Other numbers: the maximum CFL number, maxima of quantities of interest.
    """

    __pydantic_config__ = _STRICT
    reason: str
    steps: int
    frames: int
    wall_seconds: float
    cpu_seconds: float
    counts: Mapping[str, int]
    values: Mapping[str, float]


@final
@dataclass(frozen=True)
class Provenance:
    """Where one sample comes from.

    Attributes
    ----------
    git_commit
        Commit of the code, or ``unknown`` outside a repository.
    git_dirty
        True when tracked files differed from that commit.
    packages
        Versions by package name.
    options
        Solver options that were really used.
    seed
        Seed of the sample.
    host
        Name of the machine of rank 0.
    ranks
        Number of MPI processes.
    started, finished
        ISO 8601 times in UTC.
    """

    __pydantic_config__ = _STRICT
    git_commit: str
    git_dirty: bool
    packages: Mapping[str, str]
    options: Mapping[str, str]
    seed: int
    host: str
    ranks: int
    started: str
    finished: str


@final
@dataclass(frozen=True)
class CommitRecord:
    """Proof that a sample is complete in the store.

    Attributes
    ----------
    sample
        The sample.
    checksums
        SHA-256 (hex) of the raw little-endian bytes of the decoded values, by array name.
    report, provenance
        How it was computed, and by what.
    statistics
        Of the values, by array name; none in records of earlier versions. With them, those of a
        dataset need no look at its data.
    """

    __pydantic_config__ = _STRICT
    sample: Sample
    checksums: Mapping[str, str]
    report: SolveReport
    provenance: Provenance
    statistics: Mapping[str, ArrayStatistics] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class FailureRecord:
    """Why a sample could not be computed.

    Attributes
    ----------
    sample
        The sample.
    reason
        Short name, for example ``diverged``.
    message
        What happened and what to do.
    provenance
        By what it was tried.
    """

    __pydantic_config__ = _STRICT
    sample: Sample
    reason: str
    message: str
    provenance: Provenance


@final
@dataclass(frozen=True)
class DrawRecord:
    """Samples that were drawn together after their dataset was created.

    Attributes
    ----------
    samples
        The samples, with their parameters.
    parents
        The sample from which each of them was derived, by their indices; those that are not here
        have none.
    purpose
        What they were drawn for, in the words of whoever drew them.
    """

    __pydantic_config__ = _STRICT
    samples: tuple[Sample, ...]
    parents: Mapping[int, int]
    purpose: str = ""


type Record = Sample | SolveReport | Provenance | CommitRecord | FailureRecord | DrawRecord


def to_json(record: Record) -> str:
    """Write a record as strict JSON text.

    Parameters
    ----------
    record
        One of this module's dataclasses.

    Returns
    -------
    str
        Indented JSON with a final newline; NaN and infinities are strings.

    Raises
    ------
    StoreError
        If a value is not of the declared type, for example a NumPy integer.
    """
    try:
        text = _adapter(type(record)).dump_json(record, indent=2, warnings="error")
    except PydanticSerializationError as error:
        raise StoreError(
            f"Expected plain Python values in {type(record).__name__}; received: {error}. "
            "Convert NumPy scalars with int() or float()."
        ) from error
    return text.decode() + "\n"


def to_dict(record: Record) -> dict[str, Json]:
    """Turn a record into a JSON object, to be put inside a larger file.

    Parameters
    ----------
    record
        One of this module's dataclasses.

    Returns
    -------
    dict
        Plain values only; NaN and infinities are strings.
    """
    return cast(dict[str, Json], json.loads(to_json(record)))


def from_json[R: Record](kind: type[R], text: str | bytes) -> R:
    """Read a record from JSON text.

    Parameters
    ----------
    kind
        The expected record, for example ``CommitRecord``.
    text
        What `to_json` wrote.

    Returns
    -------
    kind
        A record equal to the one written.

    Raises
    ------
    StoreError
        If the text is not JSON, or an entry is missing, unknown or of the wrong type.
    """
    try:
        return cast(R, _adapter(kind).validate_json(text))
    except ValidationError as error:
        raise _unreadable(kind, error) from error


def from_dict[R: Record](kind: type[R], data: Mapping[str, Json]) -> R:
    """Read a record from a JSON object, see `from_json`.

    Parameters
    ----------
    kind
        The expected record.
    data
        What `to_dict` returned.

    Returns
    -------
    kind
        A record equal to the one written.

    Raises
    ------
    StoreError
        If an entry is missing, unknown or of the wrong type.
    """
    try:
        return cast(R, _adapter(kind).validate_python(data))
    except ValidationError as error:
        raise _unreadable(kind, error) from error


def _adapter(kind: type) -> TypeAdapter[Any]:
    return _cached_adapter(kind)


@cache
def _cached_adapter(kind: type) -> TypeAdapter[Any]:
    # Building one takes milliseconds; a catalogue reads thousands of records.
    return TypeAdapter(kind)


def _unreadable(kind: type, error: ValidationError) -> StoreError:
    details = "; ".join(
        f"{'.'.join(map(str, entry['loc'])) or 'text'}: {entry['msg']}" for entry in error.errors()
    )
    return StoreError(
        f"Expected the record {kind.__name__}; received one with these faults: {details}. "
        "The file was edited or written by another version: restore it or compute it again."
    )
