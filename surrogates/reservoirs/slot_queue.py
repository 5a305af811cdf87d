"""A queue of slots in one small array."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from surrogates.draws import Slots

__all__ = ["SlotQueue"]


@final
class SlotQueue:
    """Slots 0..capacity-1 in the order in which they came, each at most once.

    It takes 4 bytes per slot; a queue of Python's integers takes ten times as much.

    Parameters
    ----------
    capacity
        Number of slots that exist.
    """

    def __init__(self, capacity: int) -> None:
        self._ring = np.zeros(capacity, dtype=np.int32)
        self._first = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def slots(self) -> Slots:
        """The slots in their order, shape (length,): a copy."""
        return self._ring[self._places(0, self._length)].astype(np.int64)

    def append(self, slot: int) -> None:
        """Put a slot at the end that is not there."""
        self._ring[(self._first + self._length) % len(self._ring)] = slot
        self._length += 1

    def extend(self, slots: NDArray[np.int64]) -> None:
        """Put distinct slots at the end that are not there."""
        self._ring[self._places(self._length, len(slots))] = slots
        self._length += len(slots)

    def pop(self) -> int:
        """Take the last slot."""
        self._length -= 1
        return int(self._ring[(self._first + self._length) % len(self._ring)])

    def popleft(self) -> int:
        """Take the first slot."""
        slot = int(self._ring[self._first])
        self._first = (self._first + 1) % len(self._ring)
        self._length -= 1
        return slot

    def take(self, n: int) -> Slots:
        """Take the first n slots, of which there are so many."""
        slots = self._ring[self._places(0, n)].astype(np.int64)
        self._first = (self._first + n) % len(self._ring)
        self._length -= n
        return slots

    def reset(self, slots: NDArray[np.int64]) -> None:
        """Hold exactly these slots, in this order."""
        self._first = self._length = 0
        self.extend(slots)

    def _places(self, start: int, n: int) -> NDArray[np.int64]:
        return (self._first + start + np.arange(n)) % len(self._ring)
