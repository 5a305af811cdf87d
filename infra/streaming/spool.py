"""Frames on disk while the trainer is away or slow.

A client appends to segments of its own, in a folder that all clients of a run share::

    <sample>-<attempt>-<start>.<number>.spool
    record = head (kind, step, digest, length, CRC-32C of the head) + payload

The first record names the client, frames follow, and an ending if there was one. A kill leaves a
torn last record, which readers ignore. A segment goes away when all its frames are answered; a
writer holds a lock on each of its segments, so that one without a lock belongs to nobody.
"""

import contextlib
import fcntl
import os
import struct
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import google_crc32c
import msgpack
import numpy as np

from infra.errors import StorageAccessError, StorageFullError, storage_errors
from infra.files import write_whole
from infra.streaming.frames import WIRE, Ending, Hello, Values, frame_digest

__all__ = ["ENDING", "FRAME", "HEAD", "OWNER", "Owner", "Place", "Spool", "checked_head"]

# Kinds of records.
OWNER, FRAME, ENDING = range(3)
HEAD = struct.Struct("<4sIqIQI")
_MAGIC = b"rfs1"
_SEGMENT = 64 << 20
# How old the sum of all clients' files may get, seconds.
_FRESH = 0.5


@final
@dataclass(frozen=True)
class Owner:
    """Whose frames lie in a segment.

    Attributes
    ----------
    study, n_values
        Digest of the study, and the length of a whole frame.
    hello
        Sample, attempt, parameters and seed.
    part
        Range of the vector.
    """

    study: str
    n_values: int
    hello: Hello
    part: tuple[int, int]

    def pack(self) -> bytes:
        """Return it as bytes."""
        hello = self.hello
        known = (hello.sample, hello.attempt, dict(hello.mu), hello.seed)
        return bytes(msgpack.packb((self.study, self.n_values, known, self.part)))

    @classmethod
    def unpack(cls, data: bytes) -> "Owner":
        """Read what `pack` wrote.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            study, n_values, known, part = msgpack.unpackb(data)
            return cls(study, n_values, Hello(*known), (part[0], part[1]))
        except (TypeError, LookupError, msgpack.UnpackException) as error:
            raise ValueError("not the owner of a segment") from error


@final
@dataclass(eq=False)
class _Segment:
    path: Path
    file: int
    size: int = 0
    frames: int = 0


@final
@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """Where a frame lies in the spool; only the spool looks inside."""

    segment: _Segment
    offset: int
    length: int
    digest: int


@final
@dataclass(eq=False)
class Spool:
    """The segments of one client; one thread uses it.

    Attributes
    ----------
    folder
        Shared by all clients of the run; made when it is needed.
    limit
        Bytes that all files in the folder may take together. Others are counted anew twice a
        second, so that many clients at once may exceed it by what they write in that time.
    owner
        Whose frames they are.
    segment_bytes
        Size from which the next frame goes to a new segment.
    """

    folder: Path
    limit: int
    owner: Owner
    segment_bytes: int = _SEGMENT
    why_full: str = field(default="", init=False)
    _segments: list[_Segment] = field(default_factory=list, init=False)
    _number: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)
    _counted: float = field(default=-np.inf, init=False)

    @property
    def used(self) -> int:
        """Bytes of this client's segments."""
        return sum(segment.size for segment in self._segments)

    def append(self, step: int, digest: int, vector: Values) -> Place | None:
        """Write one frame.

        Returns
        -------
        Place or None
            Where it lies; None if there is no room, which `why_full` then explains.

        Raises
        ------
        StorageAccessError
            If the folder cannot be written.
        """
        with self._access():
            used = self._used_by_all()
        if used + vector.nbytes > self.limit:
            self.why_full = f"The spool {self.folder} holds its limit of {self.limit / 1e9:.3f} GB."
            return None
        try:
            with self._access():
                segment = self._current()
                offset = self._record(segment, FRAME, step, digest, vector)
        except StorageFullError as error:
            self.why_full = str(error)
            return None
        segment.frames += 1
        return Place(segment, offset, vector.nbytes, digest)

    def end(self, ending: Ending) -> None:
        """Write the ending; it does not count for the limit.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written.
        """
        payload = bytes(msgpack.packb((ending.complete, ending.reason)))
        with self._access():
            data = np.frombuffer(payload, np.uint8)
            self._record(self._current(), ENDING, -1, frame_digest(data), data)

    def read(self, place: Place) -> Values:
        """Read a frame back.

        Raises
        ------
        StorageAccessError
            If it is not there any more as it was written.
        """
        data = np.empty(place.length // WIRE.itemsize, WIRE)
        view = memoryview(data).cast("B")
        with self._access():
            done = 0
            while done < place.length:
                count = os.preadv(place.segment.file, [view[done:]], place.offset + done)
                if count == 0:
                    break
                done += count
        if frame_digest(data) != place.digest:
            raise StorageAccessError(
                f"Expected the frame that was written to {place.segment.path}; received other "
                "bytes. Check the file system; the sample has to be computed again."
            )
        data.flags.writeable = False
        return data

    def release(self, place: Place) -> None:
        """Forget a frame; its segment goes away with its last one."""
        segment = place.segment
        segment.frames -= 1
        if segment.frames == 0 and (segment is not self._segments[-1] or self._is_full(segment)):
            self._remove(segment)

    def close(self, *, keep: bool) -> None:
        """Leave the segments to the next reader, or remove them all."""
        for segment in list(self._segments):
            if keep:
                os.close(segment.file)
            else:
                self._remove(segment)
        self._segments = []

    def _is_full(self, segment: _Segment) -> bool:
        return segment.size >= self.segment_bytes

    def _current(self) -> _Segment:
        if not self._segments or self._is_full(self._segments[-1]):
            for segment in [s for s in self._segments if s.frames == 0]:
                self._remove(segment)
            self._segments.append(self._new_segment())
        return self._segments[-1]

    def _new_segment(self) -> _Segment:
        hello, start = self.owner.hello, self.owner.part[0]
        name = f"{hello.sample:06d}-{hello.attempt}-{start}.{self._number:06d}.spool"
        self.folder.mkdir(parents=True, exist_ok=True)
        staged = self.folder / f".{uuid.uuid4().hex}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        segment = _Segment(self.folder / name, os.open(staged, flags, 0o600))
        try:
            # The lock comes before the name: no reader may take it for an orphan.
            fcntl.flock(segment.file, fcntl.LOCK_EX)
            data = np.frombuffer(self.owner.pack(), np.uint8)
            self._record(segment, OWNER, -1, frame_digest(data), data)
            staged.rename(segment.path)
        except BaseException:
            os.close(segment.file)
            staged.unlink(missing_ok=True)
            raise
        self._number += 1
        return segment

    def _record(
        self, segment: _Segment, kind: int, step: int, digest: int, data: np.ndarray[Any, Any]
    ) -> int:
        """Append a record; return where its payload starts. A failed one leaves no trace."""
        head = HEAD.pack(_MAGIC, kind, step, digest, data.nbytes, 0)[:-4]
        head += struct.pack("<I", google_crc32c.value(head))
        try:
            write_whole(segment.file, head)
            write_whole(segment.file, memoryview(data).cast("B"))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(segment.file, segment.size)
                os.lseek(segment.file, segment.size, os.SEEK_SET)
            raise
        offset = segment.size + HEAD.size
        segment.size = offset + data.nbytes
        self._total += HEAD.size + data.nbytes
        return offset

    def _remove(self, segment: _Segment) -> None:
        self._segments.remove(segment)
        self._total -= segment.size
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            # Its frames are answered: a reader that finds it only sends duplicates.
            print(f"Cannot remove {segment.path}: {error.strerror}.", file=sys.stderr)
        os.close(segment.file)

    def _used_by_all(self) -> int:
        now = time.monotonic()
        if now - self._counted > _FRESH:
            self._counted = now
            self._total = _folder_bytes(self.folder)
        return self._total

    @contextlib.contextmanager
    def _access(self) -> Any:
        try:
            with storage_errors(self.folder):
                yield
        except OSError as error:
            raise StorageAccessError(
                f"Cannot write the spool {self.folder}: {error.strerror}. Expected a folder that "
                "this user may write. Restore it, or start the run again with another one."
            ) from error


def _folder_bytes(folder: Path) -> int:
    """Return the bytes of all files directly in a folder, zero if there is none."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


def checked_head(data: bytes) -> tuple[int, int, int, int] | None:
    """Return kind, step, digest and length of a record, or None if this is no whole head."""
    if len(data) < HEAD.size:
        return None
    magic, kind, step, digest, length, own = HEAD.unpack(data)
    if magic != _MAGIC or own != google_crc32c.value(data[:-4]):
        return None
    return kind, step, digest, length
