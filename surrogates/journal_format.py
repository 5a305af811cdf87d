"""The records of a journal's files: header, parameters, values.

A header holds magic and version, kind, number of parameters, number, sample, attempt, step, Unix
time, digest of the body and its bytes, little-endian, and then its own CRC-32C. It is followed by
the parameters (float64) and the body: the values of a frame (float32), or a text.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, final

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from infra.streaming.frames import FrameKey

__all__ = ["FORGIVABLE", "Body", "Kind", "Record", "header", "parse", "scan", "write_records"]

FORGIVABLE = -2
"""Step of a hole that has a failure record: whoever removes that computes the sample again."""

type Kind = Literal["study", "frame", "hole"]

_HEADER = struct.Struct("<4sHHqqqqdIQ")
_CHECK = struct.Struct("<I")
_PREFIX = _HEADER.size + _CHECK.size
_MAGIC = b"rfj1"
# The least that systems promise for one call (POSIX: 16, Linux: 1024).
_MOST_PARTS = 1024
_KINDS: tuple[Kind, ...] = ("study", "frame", "hole")


@final
@dataclass(frozen=True)
class Record:
    """What a header says.

    Attributes
    ----------
    kind
        ``study``: the body names the study; ``frame``; ``hole``: a sample was given up.
    number
        Line in the ledger; of another kind, how many lines there were.
    key
        Name of the frame; of another kind, step -1 or `FORGIVABLE`; of a hole, the attempt that
        left it, -1 if none did.
    seconds
        Unix time at which it was accepted.
    digest
        CRC-32C of the body.
    n_mu, n_bytes
        Number of parameters, bytes of the body.
    at
        Where the record begins in its file.
    """

    kind: Kind
    number: int
    key: FrameKey
    seconds: float
    digest: int
    n_mu: int
    n_bytes: int
    at: int = 0

    @property
    def body(self) -> int:
        """Where the parameters begin; the body follows them."""
        return self.at + _PREFIX

    @property
    def end(self) -> int:
        """Where the record ends."""
        return self.body + 8 * self.n_mu + self.n_bytes


def header(record: Record) -> bytes:
    """Return the header of a record."""
    key = record.key
    data = _HEADER.pack(
        *(_MAGIC, _KINDS.index(record.kind), record.n_mu, record.number),
        *(key.sample, key.attempt, key.step, record.seconds, record.digest, record.n_bytes),
    )
    return data + _CHECK.pack(google_crc32c.value(data))


def parse(file: int, at: int) -> Record | None:
    """Read the header at a place of a file; None if there is none, or it is damaged."""
    data = os.pread(file, _PREFIX, at)
    if len(data) < _PREFIX:
        return None
    (check,) = _CHECK.unpack_from(data, _HEADER.size)
    magic, kind, n_mu, number, *name, seconds, digest, size = _HEADER.unpack_from(data)
    if magic != _MAGIC or google_crc32c.value(data[: _HEADER.size]) != check:
        return None
    return Record(_KINDS[kind], number, FrameKey(*name), seconds, digest, n_mu, size, at)


def scan(file: int) -> Iterator[Record]:
    """Return the whole records of a file, in order; a torn one ends it."""
    at, size = 0, os.fstat(file).st_size
    while (record := parse(file, at)) is not None and record.end <= size:
        yield record
        at = record.end


type Body = memoryview | bytes


def write_records(file: int, records: Sequence[tuple[Record, NDArray[np.float64], Body]]) -> None:
    """Write records that follow each other, parameters and body of each, at the first one's place.

    After an error nothing of them remains there. Of more than a few hundred the system takes only
    the first at once; then it is asked again.
    """
    start, end = records[0][0].at, records[-1][0].end
    parts = [part for record, mu, body in records for part in (header(record), mu.tobytes(), body)]
    try:
        written = os.pwritev(file, parts[:_MOST_PARTS], start)
        if written < end - start:  # a disk that fills takes a part first
            rest = memoryview(b"".join(parts))
            while written < len(rest):
                written += os.pwrite(file, rest[written:], start + written)
    except OSError:
        os.ftruncate(file, start)
        raise
