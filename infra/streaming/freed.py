"""Memory that was freed goes back to the system.

Messages of small frames are freed one here, one there; the C library then keeps pages of which
nothing is in use, up to a third of what an inbox has held at its fullest.
"""

import ctypes
from collections.abc import Callable
from typing import Any, final

__all__ = ["FreedMemory"]


@final
class FreedMemory:
    """Gives freed memory back now and then; elsewhere than with GNU's C library it does nothing.

    It takes some milliseconds, and other threads go on meanwhile.

    Parameters
    ----------
    after
        Bytes that come and go between two times.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._passed = 0
        self._trim: Callable[[int], Any] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def passed(self, n_bytes: int) -> None:
        """Note memory that was taken, and will be freed some time."""
        self._passed += n_bytes

    def give_back(self) -> bool:
        """Give back what is free, if it is time; return whether it was."""
        if self._trim is None or self._passed < self._after:
            return False
        self._passed = 0
        self._trim(0)
        return True
