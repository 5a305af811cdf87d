"""Which frames were admitted before which step: what makes a training repeatable."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from infra.errors import StoreError, storage_errors
from infra.files import flush_folder, write_whole

__all__ = ["Admission", "AdmissionLog"]

# Step, and how many numbers follow; -1 stands for the end of reception.
_HEAD = struct.Struct("<qq")
_CLOSED = -1


@final
@dataclass(frozen=True)
class Admission:
    """What was admitted at once.

    Attributes
    ----------
    step
        How many batches had been drawn before.
    numbers
        The arrivals, in the order of their admission; None: reception was over.
    """

    step: int
    numbers: tuple[int, ...] | None

    @property
    def nbytes(self) -> int:
        """Bytes in the log."""
        return _HEAD.size + 8 * len(self.numbers or ())


@final
class AdmissionLog:
    """A file of admissions that is only appended to: 16 bytes for each, and 8 per frame.

    Parameters
    ----------
    path
        The file; it is made if need be, a torn tail is cut off.

    Raises
    ------
    StorageFullError, StorageAccessError
        If it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            self._end = sum(entry.nbytes for entry in self.entries())
            os.ftruncate(self._file, self._end)

    @property
    def end(self) -> int:
        """Bytes that are written: a mark to `rewind` to."""
        return self._end

    def append(self, entry: Admission) -> None:
        """Write an admission.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written.
        """
        numbers = np.array(entry.numbers or (), dtype="<i8")
        count = _CLOSED if entry.numbers is None else len(numbers)
        with storage_errors(self._path):
            write_whole(self._file, _HEAD.pack(entry.step, count) + numbers.tobytes())
        self._end += entry.nbytes

    def entries(self) -> Iterator[Admission]:
        """Return the whole admissions, in order."""
        at, size = 0, os.fstat(self._file).st_size
        while at + _HEAD.size <= size:
            step, count = _HEAD.unpack(os.pread(self._file, _HEAD.size, at))
            length = 8 * max(count, 0)
            if at + _HEAD.size + length > size:
                return
            body = os.pread(self._file, length, at + _HEAD.size)
            numbers = tuple(np.frombuffer(body, "<i8").tolist())
            yield Admission(step, None if count == _CLOSED else numbers)
            at += _HEAD.size + length

    def flush(self) -> None:
        """Wait until the device has what was written so far: a power failure cannot take it.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written.
        """
        with storage_errors(self._path):
            os.fsync(self._file)
            flush_folder(self._path.parent)

    def rewind(self, end: int) -> None:
        """Forget what was appended after the mark `end`.

        Raises
        ------
        StoreError
            If the log ends before the mark.
        StorageFullError, StorageAccessError
            If it cannot be used.
        """
        if end > self._end:
            raise StoreError(
                f"Expected at least {end} bytes of admissions in {self._path}; received "
                f"{self._end}. A part of the file was lost or it was replaced: remove the newest "
                "checkpoint, so that the one before it is used, or start the training anew."
            )
        with storage_errors(self._path):
            os.ftruncate(self._file, end)
        self._end = end

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
