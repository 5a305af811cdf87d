"""The Reservoir of the literature, as a baseline."""

from typing import ClassVar, final

import numpy as np

from surrogates.draws import End, Slots, Wait
from surrogates.reservoirs.reservoir import Reservoir
from surrogates.reservoirs.slot_list import SlotList
from surrogates.states import State

__all__ = ["Published"]


@final
class Published(Reservoir):
    """Uniform reads with repetition; a random item that was read leaves when room is needed.

    Clients wait only when every slot holds an item that was never read. While reception goes
    on, a read removes nothing, so that early items are read most and a batch may hold an item
    twice. After reception every read removes.

    Source: Meyer et al. (2023), 10.1145/3581784.3607083, Algorithm 1, in our reading; it agrees
    with the published curves of the population and of the number of batches.

    Parameters
    ----------
    capacity, threshold
        As in `Reservoir`; reading needs more than `threshold` items.
    """

    repeats: ClassVar[bool] = True

    def __init__(self, capacity: int, threshold: int = 0) -> None:
        super().__init__(capacity, threshold)
        self._unseen = SlotList(capacity)
        self._seen = SlotList(capacity)

    @property
    def room(self) -> int:
        """Slots without an unseen item."""
        return self._capacity - len(self._unseen)

    def _place(self, rng: np.random.Generator) -> int:
        if self._free:
            slot = self._free.pop()
        else:
            slot = self._seen.pop(int(rng.integers(len(self._seen))))
        self._unseen.add(slot)
        return slot

    def _draw(self, n: int, rng: np.random.Generator) -> Slots | Wait | End:
        stock = len(self._unseen) + len(self._seen)
        if self._closed:
            n = min(n, stock)
            if not n:
                return End()
        elif stock <= min(self._threshold, self._capacity - 1):
            return Wait(f"a stock of {self._threshold} items")
        return np.array([self._read(rng) for _ in range(n)], dtype=np.int64)

    def _read(self, rng: np.random.Generator) -> int:
        unseen = len(self._unseen)
        place = int(rng.integers(unseen + len(self._seen)))
        if not self._closed and place >= unseen:
            return self._seen.at(place - unseen)
        slot = self._unseen.pop(place) if place < unseen else self._seen.pop(place - unseen)
        if self._closed:
            self._free.append(slot)
        else:
            self._seen.add(slot)
        return slot

    def _state(self) -> State:
        return {"unseen": self._unseen.slots, "seen": self._seen.slots}

    def _restore(self, state: State) -> None:
        self._unseen.reset(np.asarray(state["unseen"], dtype=np.int64))
        self._seen.reset(np.asarray(state["seen"], dtype=np.int64))
