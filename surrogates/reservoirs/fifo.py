"""First in, first out: every item once, in the order of arrival."""

from typing import final

import numpy as np

from surrogates.draws import End, Slots, Wait
from surrogates.reservoirs.reservoir import Reservoir
from surrogates.reservoirs.slot_queue import SlotQueue
from surrogates.states import State

__all__ = ["Fifo"]


@final
class Fifo(Reservoir):
    """A queue. Batches hold what came together, which is a bad sample of the whole.

    Source: a baseline of Meyer et al. (2023), arXiv:2306.16133.

    Parameters
    ----------
    capacity
        As in `Reservoir`. A queue mixes nothing, hence it has no threshold.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._queue = SlotQueue(capacity)

    @property
    def room(self) -> int:
        """Free slots."""
        return len(self._free)

    def _place(self, rng: np.random.Generator) -> int:  # noqa: ARG002 - nothing is random here
        slot = self._free.pop()
        self._queue.append(slot)
        return slot

    def _draw(self, n: int, rng: np.random.Generator) -> Slots | Wait | End:  # noqa: ARG002
        take = min(n, self._capacity)
        if self._closed:
            take = min(take, len(self._queue))
            if not take:
                return End()
        if len(self._queue) < take:
            return Wait(f"{take} new items")
        slots = self._queue.take(take)
        self._free.extend(slots)
        return slots

    def _state(self) -> State:
        return {"queue": self._queue.slots}

    def _restore(self, state: State) -> None:
        self._queue.reset(np.asarray(state["queue"], dtype=np.int64))
