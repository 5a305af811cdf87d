"""A set of slots from which one can draw at random in constant time."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from surrogates.draws import Slots

__all__ = ["SlotList"]


@final
class SlotList:
    """Slots 0..capacity-1 in a dense list; the last ones fill the holes of those that leave.

    Equal operations give equal orders, so that equal random numbers draw equal slots. It takes
    8 bytes per slot.

    Parameters
    ----------
    capacity
        Number of slots that exist.
    """

    def __init__(self, capacity: int) -> None:
        self._slots = np.zeros(capacity, dtype=np.int32)
        self._places = np.full(capacity, -1, dtype=np.int32)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def slots(self) -> Slots:
        """The slots in their present order, shape (length,): a copy."""
        return self._slots[: self._length].astype(np.int64)

    def at(self, place: int) -> int:
        """Return the slot at a place of the order."""
        return int(self._slots[place])

    def add(self, slot: int) -> None:
        """Append a slot that is not there."""
        self._slots[self._length] = slot
        self._places[slot] = self._length
        self._length += 1

    def extend(self, slots: NDArray[np.int64]) -> None:
        """Append distinct slots that are not there."""
        end = self._length + len(slots)
        self._slots[self._length : end] = slots
        self._places[slots] = np.arange(self._length, end)
        self._length = end

    def pop(self, place: int) -> int:
        """Take out the slot at a place of the order."""
        slot = int(self._slots[place])
        self._length -= 1
        last = self._slots[self._length]
        self._slots[place] = last
        self._places[last] = place
        self._places[slot] = -1
        return slot

    def remove(self, slots: NDArray[np.int64]) -> None:
        """Take out distinct slots that are there."""
        end = self._length - len(slots)
        places = self._places[slots]
        self._places[slots] = -1
        holes = places[places < end]
        tail = self._slots[end : self._length]
        stay = tail[self._places[tail] >= 0]
        self._slots[holes] = stay
        self._places[stay] = holes
        self._length = end

    def pick(self, n: int, rng: np.random.Generator) -> Slots:
        """Return n distinct slots, each set as likely as any other; they stay in the list."""
        if n >= self._length:
            return self.slots
        return self._slots[rng.choice(self._length, n, replace=False, shuffle=False)].astype(
            np.int64
        )

    def reset(self, slots: NDArray[np.int64]) -> None:
        """Hold exactly these slots, in this order."""
        self._places[:] = -1
        self._length = 0
        self.extend(slots)
