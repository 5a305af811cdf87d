"""Accepted frames on disk, written before the client is told that they are safe.

A journal is a folder of segments, files of records that are only appended to::

    00000000000000000000.frames     records from line 0 of the ledger on
    00000000000000004711.frames     the next segment begins with line 4711

The first record of a segment names the study. Records survive a `kill -9` of the trainer, since
the kernel has them; `flush` also saves them from a power failure. A torn tail is cut off when
the journal is opened.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import final

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from infra.errors import ChecksumError, StorageAccessError, StoreError, UserError, storage_errors
from infra.files import flush_folder
from infra.streaming.frames import FrameKey, frame_digest
from surrogates.holes import Hole
from surrogates.journal_format import FORGIVABLE, Body, Record, parse, scan, write_records

__all__ = ["Entry", "Journal"]

_NO_MU = np.empty(0)
_FIRST = 1024


@final
@dataclass(frozen=True, eq=False)
class Entry:
    """A frame for the journal.

    Attributes
    ----------
    number
        Line in the ledger, larger than all before.
    key
        Name of the frame.
    values
        Shape (n,), contiguous float32.
    mu
        Parameters, shape (p,).
    digest
        CRC-32C of the bytes of `values`.
    seconds
        Unix time.
    """

    number: int
    key: FrameKey
    values: NDArray[np.float32]
    mu: NDArray[np.float64]
    digest: int
    seconds: float


@final
class Journal:
    """Append-only store of accepted frames; one writer, and readers in its process.

    `append` and `read` may be called from different threads. It takes 24 bytes of memory per
    frame that is there.

    Parameters
    ----------
    folder
        Where the segments are; it is made if need be. What is there is gone on with.
    study
        Digest of the study.
    n_values
        Size of a frame.
    keep
        Whether `drop_before` keeps everything, for a replay or another training.
    segment_bytes
        A segment that has reached this size gets a successor.

    Raises
    ------
    UserError
        If the folder holds the journal of another study.
    StorageFullError, StorageAccessError
        If the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        study: str,
        n_values: int,
        *,
        keep: bool = False,
        segment_bytes: int = 1 << 28,
    ) -> None:
        self._folder = folder
        self._study = f"{study} {n_values}"
        self._keep = keep
        self._segment_bytes = segment_bytes
        self._lock = Lock()
        self._files: dict[int, int] = {}  # by the first number of the segment
        self._end = 0  # of the last segment, bytes
        self._index = _Index()
        if folder.exists() and not folder.is_dir():
            raise StorageAccessError(
                f"Expected a folder for the journal; {folder} is a file. Choose another run folder."
            )
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob("*.frames")):
                self._open(path)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def folder(self) -> Path:
        """Where the segments are."""
        return self._folder

    @property
    def keeps(self) -> bool:
        """Whether nothing is ever dropped."""
        return self._keep

    @property
    def nbytes(self) -> int:
        """Bytes of all segments."""
        with self._lock:
            return sum(os.fstat(file).st_size for file in self._files.values())

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of the frames that are there, ascending: a copy."""
        with self._lock:
            return self._index.numbers.copy()

    def append(self, entries: Sequence[Entry]) -> None:
        """Write frames; when this returns, the death of this process cannot take them any more.

        They go into one segment, however full it gets by them.

        Parameters
        ----------
        entries
            At least one, by ascending number.

        Raises
        ------
        StorageFullError, StorageAccessError
            If they cannot be written; nothing of them remains.
        """
        with self._lock:
            at = self._place(entries[0].number)
            records = []
            for entry in entries:
                body = memoryview(entry.values).cast("B")
                record = Record(
                    "frame", entry.number, entry.key, entry.seconds, entry.digest, len(entry.mu),
                    len(body), at,
                )  # fmt: skip
                records.append((record, entry.mu, body))
                at = record.end
            self._write(records)
            segment = max(self._files)
            for record, _, _ in records:
                self._index.add(record.number, segment, record.at)

    def append_hole(self, number: int, sample: int, hole: Hole, *, seconds: float) -> None:
        """Write that a sample was given up when there were `number` lines; raises as `append`."""
        body = hole.reason.encode()
        step = FORGIVABLE if hole.recorded else -1
        key, digest = FrameKey(sample, hole.attempt, step), google_crc32c.value(body)
        with self._lock:
            at = self._place(number)
            record = Record("hole", number, key, seconds, digest, 0, len(body), at)
            self._write([(record, _NO_MU, body)])

    def frames(self) -> Iterator[Record]:
        """Return the headers of the frames, in the order of their numbers."""
        return (record for _, record in self._records() if record.kind == "frame")

    def holes(self) -> dict[int, str]:
        """Return the samples that were given up, with the reason; see `hole_records`."""
        return {sample: hole.reason for sample, hole in self.hole_records().items()}

    def hole_records(self) -> dict[int, Hole]:
        """Return the samples that were given up.

        Not those of which frames were accepted afterwards: they were wanted again.
        """
        holes: dict[int, Hole] = {}
        for file, record in self._records():
            if record.kind == "hole":
                text = os.pread(file, record.n_bytes, record.body).decode(errors="replace")
                key = record.key
                holes[key.sample] = Hole(text, key.attempt, key.step == FORGIVABLE)
            elif record.kind == "frame":
                holes.pop(record.key.sample, None)
        return holes

    def read(self, number: int) -> tuple[Record, NDArray[np.float64], NDArray[np.float32]]:
        """Read a frame.

        Returns
        -------
        record, mu, values
            The arrays have shapes (p,) and (n,); the values are read-only.

        Raises
        ------
        StoreError
            If it is not there (any more).
        ChecksumError
            If its bytes were changed.
        """
        with self._lock:
            place = self._index.find(number)
        if place is None:
            raise StoreError(
                f"Expected frame {number} in {self._folder}; it is not there. What lies before a "
                "checkpoint is dropped unless the journal is kept (`keep_journal`)."
            )
        file = self._files[place[0]]
        record = parse(file, place[1])
        if record is not None:
            mu, values = np.empty(record.n_mu, "<f8"), np.empty(record.n_bytes // 4, "<f4")
            read = os.preadv(file, [mu, values], record.body)
            if read == record.end - record.body and frame_digest(values) == record.digest:
                values.flags.writeable = False
                return record, mu, values
        raise ChecksumError(
            f"Frame {number} in {self._folder} differs from its checksum: the file was changed or "
            "the disk is damaged. Go back to an older checkpoint, or start anew."
        )

    def flush(self) -> None:
        """Wait until the device has what was written so far: a power failure cannot take it."""
        with storage_errors(self._folder):
            for file in list(self._files.values()):
                os.fsync(file)
            flush_folder(self._folder)  # names of new segments

    def drop_before(self, number: int) -> None:
        """Remove the segments of which every frame is older than `number`, unless all are kept."""
        if self._keep:
            return
        with self._lock:
            firsts = sorted(self._files)
            for first, following in pairwise(firsts):
                if following <= number:
                    os.close(self._files.pop(first))
                    self._path(first).unlink(missing_ok=True)
            self._index.drop_before(min(self._files, default=0))

    def close(self) -> None:
        """Close the files; the journal must not be used afterwards."""
        with self._lock:
            for file in self._files.values():
                os.close(file)
            self._files.clear()

    def _records(self) -> Iterator[tuple[int, Record]]:
        for _, file in sorted(self._files.items()):
            for record in scan(file):
                yield file, record

    def _place(self, number: int) -> int:
        """Return where the next record begins, in a new segment if the last one is full."""
        full = self._end >= self._segment_bytes and number not in self._files
        if not self._files or full:
            with storage_errors(self._folder):
                self._begin(number)
        return self._end

    def _write(self, records: Sequence[tuple[Record, NDArray[np.float64], Body]]) -> None:
        try:
            write_records(self._files[max(self._files)], records)
        except OSError:
            with storage_errors(self._folder):
                raise
        self._end = records[-1][0].end

    def _begin(self, number: int) -> None:
        body = self._study.encode()
        key, digest = FrameKey(0, 0, -1), google_crc32c.value(body)
        record = Record("study", number, key, 0.0, digest, 0, len(body))
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        file = os.open(self._path(number), flags, 0o666)
        try:
            write_records(file, [(record, _NO_MU, body)])
        except OSError:
            os.close(file)
            raise
        self._files[number] = file
        self._end = record.end

    def _open(self, path: Path) -> None:
        """Take over a segment: fill the index, cut off a torn tail."""
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        end = 0
        for record in scan(file):
            if record.kind == "study":
                self._require_study(file, record)
            elif record.kind == "frame":
                self._index.add(record.number, int(path.stem), record.at)
            end = record.end
        if not end:  # its writer died before the first record was whole
            os.close(file)
            path.unlink()
            return
        os.ftruncate(file, end)
        self._files[int(path.stem)], self._end = file, end

    def _require_study(self, file: int, record: Record) -> None:
        found = os.pread(file, record.n_bytes, record.body).decode(errors="replace")
        if found != self._study:
            os.close(file)
            raise UserError(
                f"Expected in {self._folder} the frames of this study (digest and size of a frame "
                f"{self._study}); received those of {found}. Use another run folder, or remove "
                "the old one."
            )

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:020d}.frames"


@final
class _Index:
    """Where each frame is: its segment and its place there, in columns by ascending number."""

    def __init__(self) -> None:
        self._columns = np.zeros((3, _FIRST), dtype=np.int64)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def numbers(self) -> NDArray[np.int64]:
        return self._columns[0, : self._length]

    def add(self, number: int, segment: int, at: int) -> None:
        if self._length == self._columns.shape[1]:
            self._columns = np.hstack([self._columns, np.zeros_like(self._columns)])
        self._columns[:, self._length] = number, segment, at
        self._length += 1

    def find(self, number: int) -> tuple[int, int] | None:
        row = int(np.searchsorted(self.numbers, number))
        if row == self._length or self._columns[0, row] != number:
            return None
        return int(self._columns[1, row]), int(self._columns[2, row])

    def drop_before(self, number: int) -> None:
        rest = self._columns[:, int(np.searchsorted(self.numbers, number)) : self._length]
        self._columns = np.hstack([rest, np.zeros((3, _FIRST), dtype=np.int64)])
        self._length = rest.shape[1]
