"""What travels from a solver to a trainer: hellos, frames and endings, and what is said of them.

A *frame* is all streamed fields of one output time of one sample, as one vector of little-endian
float32: the fields one after the other in the order of the `StreamSpec`. Its key names sample,
attempt and step, and the study is fixed by the connection, so that no two frames share a name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, final

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from infra.description import ArraySpec, DatasetDescription
from infra.errors import UserError

__all__ = [
    "WIRE",
    "Delivery",
    "Ending",
    "Frame",
    "FrameKey",
    "Hello",
    "StreamSpec",
    "Values",
    "Verdict",
    "frame_digest",
    "stream_spec",
]

type Values = NDArray[np.float32]
type Delivery = Hello | Frame | Ending

WIRE: np.dtype[np.float32] = np.dtype("<f4")


@final
@dataclass(frozen=True)
class StreamSpec:
    """What both ends of a stream must agree on.

    Attributes
    ----------
    study
        Digest that names the study and its version.
    fields
        Name and number of values of each field, in the order of the vector.
    n_samples
        Samples of the study; their indices are 0 to n - 1.
    n_frames
        Frames of one sample; their steps are 0 to n - 1.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    study: str
    fields: tuple[tuple[str, int], ...]
    n_samples: int
    n_frames: int

    @cached_property
    def n_values(self) -> int:
        """Number of values of a frame: the sum of the fields' sizes."""
        return sum(size for _, size in self.fields)

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        """Place of each field in the vector."""
        stops = np.cumsum([size for _, size in self.fields]).tolist()
        pairs = zip(self.fields, stops, strict=True)
        return {name: slice(stop - size, stop) for (name, size), stop in pairs}

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame on the wire."""
        return self.n_values * WIRE.itemsize


@final
@dataclass(frozen=True, order=True, slots=True)
class FrameKey:
    """Name of a frame within its study.

    Attributes
    ----------
    sample
        Index of the sample.
    attempt
        Number of the attempt to compute it, a 64-bit integer; later attempts have larger ones.
    step
        Number of the output time, from 0.
    """

    sample: int
    attempt: int
    step: int


@final
@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """All fields of one output time.

    Attributes
    ----------
    key
        Its name.
    values
        Shape (n_values,), little-endian float32, read-only.
    digest
        CRC-32C of the bytes of `values`.
    """

    key: FrameKey
    values: Values
    digest: int


@final
@dataclass(frozen=True, slots=True)
class Hello:
    """A client asks what of its sample is already there; it comes again after a reconnection.

    Attributes
    ----------
    sample, attempt
        As in `FrameKey`.
    mu
        Parameter values by name; empty if the client did not tell.
    seed
        Seed of the sample.
    """

    sample: int
    attempt: int
    mu: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0


@final
@dataclass(frozen=True, slots=True)
class Ending:
    """A client has sent all that it will send; every frame of it has been answered before.

    Attributes
    ----------
    sample, attempt
        As in `FrameKey`.
    complete
        Whether the sample was computed to its end.
    reason
        Why not, in short; empty if complete.
    """

    sample: int
    attempt: int
    complete: bool
    reason: str = ""


@final
class Verdict(IntEnum):
    """What the receiving application says of a delivery.

    Attributes
    ----------
    ACCEPTED
        It is safe: in the ledger and in the journal.
    DUPLICATE
        It was there before with the same values. For a hello: the sample is complete.
    DIFFERENT
        It was there before with other values; dropped and reported.
    REFUSED
        Wrong study, size or sample, or not a number; the client ends with an error.
    STALE
        From or for another epoch; the client sends it again to the right trainer.
    """

    ACCEPTED = 0
    DUPLICATE = 1
    DIFFERENT = 2
    REFUSED = 3
    STALE = 4


def frame_digest(values: NDArray[Any]) -> int:
    """Return the CRC-32C (RFC 3720, appendix B.4) of the bytes of a contiguous array."""
    return int(google_crc32c.value(values))


def stream_spec(description: DatasetDescription) -> StreamSpec:
    """Return the stream of a dataset.

    Parameters
    ----------
    description
        With output times, the fields are its floating arrays on ``(sample, time, ...)``, series
        aside. Without, they are its floating arrays on ``(sample, ...)`` whose attribute
        ``role`` is ``solution``, and a sample is one frame.

    Returns
    -------
    StreamSpec
        Fields in the order of the description; `study` is the description's digest.

    Raises
    ------
    UserError
        If there is no such field.
    """
    timeless = not description.times
    chosen = [spec for spec in description.arrays if _is_field(spec, timeless=timeless)]
    if not chosen:
        raise UserError(
            f"Expected a floating field on (sample, time, ...), or one with the role `solution` on "
            f"(sample, ...), in {description.name}; received {sorted(description.specs)}. "
            "Stream a dataset that stores fields."
        )
    sizes = tuple((spec.name, math.prod(description.frame_shape(spec))) for spec in chosen)
    n_frames = 1 if timeless else len(description.times)
    return StreamSpec(description.digest, sizes, len(description.samples), n_frames)


def _is_field(spec: ArraySpec, *, timeless: bool) -> bool:
    if np.dtype(spec.dtype).kind != "f":
        return False
    if timeless:
        return len(spec.dims) > 1 and spec.attrs.get("role") == "solution"
    return spec.streamed and not spec.series
