"""Memory that a solver and a trainer on one machine share, so that frames need not travel.

The solver's frames lie in slots of a memory file (`memfd_create`, Linux). The trainer opens it
by ``/proc/<pid>/fd`` and copies each frame out of its slot; a message only says which slot, and a
slot is used again after the answer. The file has no name and takes nothing from ``/dev/shm``: the
kernel frees it with the last process that has it open, however that ends.
"""

import fcntl
import mmap
import os
import secrets
import weakref
from collections import deque
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from typing import Any, Self, final

import google_crc32c
import numpy as np

from infra.streaming.frames import WIRE, Values

__all__ = ["FrameSlots", "SharedFrames"]

# The file begins with its token, in a page of its own.
_PAGE = 4096
_TOKEN = 16
# Slots beside those that fit into the memory: the frame that is being filled, and one more.
_MORE = 2
# Values that are copied and hashed together, while they are in the processor's cache.
_BLOCK = 1 << 16


@final
class FrameSlots:
    """The solver's side: arrays for frames in a memory file.

    A slot is free again as soon as nobody holds its array any more. The kernel gives it pages
    when it is used for the first time, and the one that was used last is used first.

    Parameters
    ----------
    n_values
        Length of a frame, or of the part that this client sends.
    memory
        Bytes of frames that wait at most.

    Raises
    ------
    OSError
        If this system gives no such memory.
    """

    def __init__(self, n_values: int, memory: int) -> None:
        self.size = (n_values, memory)
        self._n_values = n_values
        self._stride = _stride(n_values)
        self._count = max(2, memory // self._stride) + _MORE
        self._made = 0
        self._free: deque[int] = deque()
        self._token = secrets.token_bytes(_TOKEN)
        self._file: int = _memory_file()
        try:
            size = _PAGE + self._count * self._stride
            os.ftruncate(self._file, size)
            os.pwrite(self._file, self._token, 0)
            # Whoever has mapped a file that gets shorter is killed when he reads on.
            fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
            self._memory: mmap.mmap | None = mmap.mmap(self._file, size)
        except BaseException:
            os.close(self._file)
            raise
        self._start = _address(np.frombuffer(self._memory, np.uint8, _PAGE)) + _PAGE

    @property
    def offer(self) -> tuple[str, int, int, bytes]:
        """What the trainer needs: boot of the machine, process, number of the file, token."""
        return _boot(), os.getpid(), self._file, self._token

    def take(self) -> Values | None:
        """Return an array for a frame, shape (n_values,); None if all slots are in use."""
        number = None if self._memory is None else self._free_slot()
        if self._memory is None or number is None:
            return None
        at = _PAGE + number * self._stride
        values = np.frombuffer(self._memory, WIRE, self._n_values, at)
        # Whoever lets go last, in whatever thread: to append to a deque is atomic.
        weakref.finalize(values, self._free.append, number).atexit = False
        return values

    def number(self, values: Values) -> int:
        """Return the slot of an array, -1 if it is in none."""
        at = _address(values) - self._start
        return at // self._stride if 0 <= at < self._count * self._stride else -1

    def close(self) -> None:
        """Let go of the memory; arrays stay valid as long as somebody holds them. Idempotent."""
        if self._memory is not None:
            self._memory = None  # the last array takes it along
            os.close(self._file)

    def _free_slot(self) -> int | None:
        with suppress(IndexError):
            return self._free.pop()
        if self._made == self._count:
            return None
        try:
            # An error now, not a signal at the first write: memory may be short.
            os.posix_fallocate(self._file, _PAGE + self._made * self._stride, self._stride)
        except OSError:
            self._count = self._made
            return None
        self._made += 1
        return self._made - 1


@final
class SharedFrames:
    """The trainer's side: reads frames out of a client's slots; `attach` makes it.

    Parameters
    ----------
    memory
        The client's file.
    n_values
        Length of what the client sends for a frame.
    """

    def __init__(self, memory: mmap.mmap, n_values: int) -> None:
        self._memory = memory
        self._token = memory[:_TOKEN]
        self._n_values = n_values

    @classmethod
    def attach(cls, offer: Any, n_values: int) -> Self | None:
        """Map what a client offers.

        Parameters
        ----------
        offer
            As `FrameSlots.offer` or None; it may be made up.
        n_values
            Length of what the client sends for a frame.

        Returns
        -------
        SharedFrames or None
            None if there is nothing to read from here: another machine or container, another
            user, a client that is gone.
        """
        try:
            boot, pid, number, token = offer
            path, token = f"/proc/{int(pid)}/fd/{int(number)}", bytes(token)
        except (TypeError, ValueError):
            return None
        if boot != _boot() or len(token) != _TOKEN:
            return None
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return None
        try:
            memory = _mapped(file, token)
        except (OSError, ValueError):
            return None
        finally:
            os.close(file)
        return None if memory is None else cls(memory, n_values)

    def is_of(self, offer: Any) -> bool:
        """Whether this is what a client offers, again."""
        return isinstance(offer, list | tuple) and len(offer) == 4 and offer[3] == self._token

    def read(self, slot: int, digest: int, values: Values) -> bool:
        """Copy a frame out of its slot; return whether the copy has this CRC-32C.

        Its client may use the slot again while it is read, if it believes that it was answered:
        then the checksum of the copy differs.

        Parameters
        ----------
        slot, digest
            What the client says.
        values
            Takes the frame, shape (n_values,).
        """
        at = _PAGE + slot * _stride(self._n_values)
        if not _PAGE <= at <= len(self._memory) - values.nbytes:
            return False
        there, found = np.frombuffer(self._memory, WIRE, values.size, at), 0
        for start in range(0, values.size, _BLOCK):
            block = values[start : start + _BLOCK]
            block[:] = there[start : start + _BLOCK]
            found = google_crc32c.extend(found, block)
        return found == digest

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


def _mapped(file: int, token: bytes) -> mmap.mmap | None:
    """Map a client's file; None if it is another one: elsewhere the same numbers name others."""
    if not compare_digest(os.pread(file, _TOKEN, 0), token):
        return None
    if not fcntl.fcntl(file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
        return None
    return mmap.mmap(file, 0, prot=mmap.PROT_READ)


def _memory_file() -> int:
    if not hasattr(os, "memfd_create"):  # not Linux
        raise OSError("this system has no memory files")
    return os.memfd_create("romflow-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _stride(n_values: int) -> int:
    """Return the bytes from one slot to the next: each begins on a page."""
    return -(-WIRE.itemsize * n_values // _PAGE) * _PAGE


def _address(values: np.ndarray[Any, Any]) -> int:
    return int(values.__array_interface__["data"][0])


def _boot() -> str:
    """Return what names this machine until it is started again; empty if nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
