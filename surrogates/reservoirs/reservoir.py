"""The interface of all reservoirs."""

from abc import ABC, abstractmethod
from typing import ClassVar, final

import numpy as np

from infra.errors import StoreError, UserError
from surrogates.bias import Bias, Visits
from surrogates.draws import End, Slots, Wait
from surrogates.reservoirs.slot_queue import SlotQueue
from surrogates.states import State, nest, part

__all__ = ["Reservoir"]


class Reservoir(ABC):
    """Decides which slot an item gets, which slots are read and which item leaves.

    It holds no data, no thread, no clock and no generator: equal calls with generators of equal
    seeds give equal answers. Items are numbered as they are offered: 0, 1, 2, ...

    Laws of all kinds: an item is drawn at least once before it leaves and before the end; after
    `close` a draw never waits; `End` comes when every item has had its due, and then always; a
    draw that waits and an offer without room change nothing.

    Parameters
    ----------
    capacity
        Number of slots, >= 1.
    threshold
        Items that are kept back as a stock for mixing while reception goes on, >= 0. A threshold
        that does not fit into the capacity is cut so far that training can go on.

    Raises
    ------
    UserError
        If an argument is out of range.
    """

    repeats: ClassVar[bool] = False
    """Whether one batch may hold an item twice although others are there."""

    def __init__(self, capacity: int, threshold: int = 0) -> None:
        if capacity < 1 or threshold < 0:
            raise UserError(
                "Expected a reservoir with capacity >= 1 and threshold >= 0; received capacity "
                f"{capacity}, threshold {threshold}."
            )
        self._capacity = capacity
        self._threshold = threshold
        self._closed = False
        self._visits = Visits()
        self._items = np.full(capacity, -1, dtype=np.int64)
        self._free = SlotQueue(capacity)
        self._free.extend(np.arange(capacity)[::-1])

    @property
    def capacity(self) -> int:
        """Number of slots."""
        return self._capacity

    @property
    def closed(self) -> bool:
        """Whether reception is over."""
        return self._closed

    @property
    def visits(self) -> Visits:
        """Visits by item; to be read only."""
        return self._visits

    @property
    def held(self) -> int:
        """Items in slots now."""
        return self._capacity - len(self._free)

    @property
    @abstractmethod
    def room(self) -> int:
        """How many items may be offered now, one after the other, with no draw between."""

    @final
    def offer(self, rng: np.random.Generator) -> int | None:
        """Give the next item a slot.

        Parameters
        ----------
        rng
            Where a policy with random evictions draws from.

        Returns
        -------
        int or None
            The slot; what was there has left. None if there is no room now.

        Raises
        ------
        StoreError
            If reception is over.
        """
        if self._closed:
            raise StoreError(
                "Expected no item after the end of reception; received one. Close later."
            )
        if not self.room:
            return None
        slot = self._place(rng)
        self._items[slot] = self._visits.add()
        return slot

    @final
    def draw(self, n: int, rng: np.random.Generator) -> Slots | Wait | End:
        """Draw the slots of a batch.

        Parameters
        ----------
        n
            Wished size >= 1; fewer come at the end, or if the capacity is smaller.
        rng
            Source of randomness; untouched by a draw that waits.

        Returns
        -------
        Slots, Wait or End
            What is in the slots stays there until the next offer.

        Raises
        ------
        UserError
            If `n` is less than 1.
        """
        if n < 1:
            raise UserError(f"Expected a batch of at least 1 item; received {n}.")
        slots = self._draw(n, rng)
        if not isinstance(slots, Wait | End):
            self._visits.visit(self._items[slots])
        return slots

    @final
    def close(self) -> None:
        """Reception is over: nothing will be offered any more; may be called twice."""
        if not self._closed:
            self._closed = True
            self._finish()

    def items(self, slots: Slots) -> Slots:
        """Return the numbers of the items in these slots, also of a batch drawn just now."""
        return self._items[slots]

    def bias(self) -> Bias:
        """Return how evenly the items were visited."""
        return self._visits.bias()

    @final
    def state(self) -> State:
        """Return everything that changes, for `restore`."""
        return {
            "kind": type(self).__name__,
            "capacity": self._capacity,
            "closed": self._closed,
            "visits": self._visits.counts,
            "items": self._items.copy(),
            "free": self._free.slots,
            **nest("policy", self._state()),
        }

    @final
    def restore(self, state: State) -> None:
        """Go on from a state of a reservoir of the same kind and capacity.

        Raises
        ------
        UserError
            If it is one of another kind or capacity.
        """
        received = (state.get("kind"), state.get("capacity"))
        expected = (type(self).__name__, self._capacity)
        if received != expected:
            raise UserError(
                f"Expected the state of a reservoir {expected[0]} of capacity {expected[1]}; "
                f"received {received[0]} of {received[1]}. Use the settings of that run, or "
                "start anew."
            )
        self._closed = bool(state["closed"])
        self._visits.restore(np.asarray(state["visits"], dtype=np.int32))
        self._items = np.array(state["items"], dtype=np.int64)
        self._free.reset(np.asarray(state["free"], dtype=np.int64))
        self._restore(part("policy", state))

    @abstractmethod
    def _place(self, rng: np.random.Generator) -> int:
        """Return a slot for the next item, emptied if need be; there is room."""

    @abstractmethod
    def _draw(self, n: int, rng: np.random.Generator) -> Slots | Wait | End:
        """Draw up to n >= 1 slots."""

    def _finish(self) -> None:  # noqa: B027 - most policies only look at `closed`
        """Do what the end of reception asks for."""

    @abstractmethod
    def _state(self) -> State:
        """Return what the policy itself changes."""

    @abstractmethod
    def _restore(self, state: State) -> None:
        """Take over what `_state` gave."""
