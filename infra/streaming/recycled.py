"""Arrays that are used again: new memory is several times slower to write than used memory."""

import weakref
from collections import deque
from contextlib import suppress
from typing import Any, final

import numpy as np

from infra.streaming.frames import WIRE, Values

__all__ = ["RecycledArrays"]

# x86 processors copy ten times more slowly where the target's address lies less than 64 bytes
# beyond the source's, both taken modulo a page. Large arrays of NumPy begin 16 bytes into a page,
# memory files at its beginning: half a page is far from both.
_PAGE, _OFFSET = 4096, 2048


@final
class RecycledArrays:
    """Gives arrays of one length, those first that nobody holds any more.

    Parameters
    ----------
    n_values
        Their length.
    memory
        Bytes that are kept for the next ones; at least two arrays.
    """

    def __init__(self, n_values: int, memory: int) -> None:
        self.n_values = n_values
        # A deque drops the oldest when it is full, and is safe for several threads.
        most = max(2, memory // (WIRE.itemsize * n_values))
        self._spare: deque[np.ndarray[Any, Any]] = deque(maxlen=most)

    def take(self) -> Values:
        """Return an array, shape (n_values,), whatever it holds."""
        owner = None
        with suppress(IndexError):
            owner = self._spare.pop()
        if owner is None:
            owner = np.empty(WIRE.itemsize * self.n_values + _PAGE, np.uint8)
        start = (_OFFSET - int(owner.__array_interface__["data"][0])) % _PAGE
        # All views of this one refer to it, not to the owner: a buffer lies in between.
        values = np.frombuffer(memoryview(owner), WIRE, self.n_values, start)
        weakref.finalize(values, self._spare.append, owner).atexit = False
        return values
