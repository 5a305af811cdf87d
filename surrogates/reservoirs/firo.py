"""First in, random out: every item a fixed number of times, drawn from a stock."""

from typing import final

import numpy as np

from infra.errors import UserError
from surrogates.draws import End, Slots, Wait
from surrogates.reservoirs.reservoir import Reservoir
from surrogates.reservoirs.slot_list import SlotList
from surrogates.states import State

__all__ = ["Firo"]


@final
class Firo(Reservoir):
    """A uniform random item is read, and leaves when it was read `passes` times.

    While reception goes on, reading stops at `threshold` items; afterwards all are read.

    Source: a baseline of Meyer et al. (2023), arXiv:2306.16133.

    Parameters
    ----------
    capacity, threshold
        As in `Reservoir`.
    passes
        Views of every item, >= 1.

    Raises
    ------
    UserError
        If an argument is out of range.
    """

    def __init__(self, capacity: int, threshold: int = 0, *, passes: int = 1) -> None:
        super().__init__(capacity, threshold)
        if passes < 1:
            raise UserError(f"Expected passes >= 1; received {passes}.")
        self._passes = passes
        self._stock = SlotList(capacity)
        self._due = np.zeros(capacity, dtype=np.int64)

    @property
    def room(self) -> int:
        """Free slots."""
        return len(self._free)

    def _place(self, rng: np.random.Generator) -> int:  # noqa: ARG002 - only reading is random
        slot = self._free.pop()
        self._due[slot] = self._passes
        self._stock.add(slot)
        return slot

    def _draw(self, n: int, rng: np.random.Generator) -> Slots | Wait | End:
        take = min(n, self._capacity)
        if self._closed:
            take = min(take, len(self._stock))
            if not take:
                return End()
        # A stock that fills the capacity would stop the clients and the training for ever.
        elif len(self._stock) < take + min(self._threshold, self._capacity - take):
            return Wait(f"a stock of {self._threshold} items")
        slots = self._stock.pick(take, rng)
        self._due[slots] -= 1
        done = slots[self._due[slots] == 0]
        self._stock.remove(done)
        self._free.extend(done)
        return slots

    def _state(self) -> State:
        return {"stock": self._stock.slots, "due": self._due.copy()}

    def _restore(self, state: State) -> None:
        self._stock.reset(np.asarray(state["stock"], dtype=np.int64))
        self._due = np.array(state["due"], dtype=np.int64)
