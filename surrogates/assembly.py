"""From frames to what a surrogate learns: an item is an input and the frames that belong to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from surrogates.arrivals import Arrival
from surrogates.states import State

__all__ = ["Assembler", "Direct", "Item", "Pairs"]


@final
@dataclass(frozen=True, eq=False)
class Item:
    """One thing to learn.

    Attributes
    ----------
    number
        Number of the arrival that completed it.
    inputs
        Parameters and time, shape (p + 1,) float32.
    frames
        The k frames, each of shape (n,) float32; the last one is the target.
    """

    number: int
    inputs: NDArray[np.float32]
    frames: tuple[NDArray[np.float32], ...]


class Assembler(ABC):
    """Makes items of frames as they come: in any order, those of several samples mixed."""

    frames: ClassVar[int]
    """Number k of frames in an item."""

    @abstractmethod
    def add(self, arrival: Arrival) -> list[Item]:
        """Take in a frame; return the items that it completes."""

    def forget(self, sample: int) -> None:  # noqa: B027 - most keep nothing
        """Drop what is kept of a sample of which nothing will come any more."""

    def state(self) -> State:
        """Return which arrivals are kept, in ``numbers``, and how many items each still lacks."""
        return {"numbers": np.empty(0, np.int64), "lacks": np.empty(0, np.int64)}

    def restore(  # noqa: B027 - most keep nothing
        self, state: State, read: Callable[[int], Arrival]
    ) -> None:
        """Go on from a state; `read` gives an arrival by its number."""


@final
class Direct(Assembler):
    """(mu, t) -> frame: each frame is one item."""

    frames: ClassVar[int] = 1

    def add(self, arrival: Arrival) -> list[Item]:
        """Return the item of this frame."""
        return [Item(arrival.number, _inputs(arrival), (arrival.values,))]


@final
class Pairs(Assembler):
    """(frame at t_k, mu, t_k) -> frame at t_(k+1): each pair of neighbours is one item.

    A frame is kept until both its neighbours came. If the frames of a sample come in order, that
    is one frame of each sample in flight.

    Parameters
    ----------
    n_frames
        Frames of each sample, >= 2.

    Raises
    ------
    UserError
        If there are fewer.
    """

    frames: ClassVar[int] = 2

    def __init__(self, n_frames: int) -> None:
        if n_frames < 2:
            raise UserError(
                f"Expected at least 2 output times for an autoregressive surrogate; received "
                f"{n_frames}. Use the mode `direct`, or choose more output times."
            )
        self._last = n_frames - 1
        # By sample and step: the frame, and in how many pairs it is still missing.
        self._kept: dict[int, dict[int, tuple[Arrival, int]]] = {}

    def add(self, arrival: Arrival) -> list[Item]:
        """Return the pairs with the frame before and with the frame after, if they are here."""
        step = arrival.key.step
        kept = self._kept.setdefault(arrival.key.sample, {})
        kept[step] = (arrival, (step > 0) + (step < self._last))
        firsts = [first for first in (step - 1, step) if first in kept and first + 1 in kept]
        items = [self._pair(kept, first, arrival.number) for first in firsts]
        if not kept:
            del self._kept[arrival.key.sample]
        return items

    def forget(self, sample: int) -> None:
        """Drop the frames of a sample."""
        self._kept.pop(sample, None)

    def state(self) -> State:
        """Return the kept arrivals."""
        entries = [entry for kept in self._kept.values() for entry in kept.values()]
        return {
            "numbers": np.array([arrival.number for arrival, _ in entries], dtype=np.int64),
            "lacks": np.array([lacks for _, lacks in entries], dtype=np.int64),
        }

    def restore(self, state: State, read: Callable[[int], Arrival]) -> None:
        """Keep the same arrivals again."""
        self._kept = {}
        numbers, lacks = np.asarray(state["numbers"]), np.asarray(state["lacks"])
        for number, lack in zip(numbers.tolist(), lacks.tolist(), strict=True):
            arrival = read(number)
            self._kept.setdefault(arrival.key.sample, {})[arrival.key.step] = (arrival, lack)

    @staticmethod
    def _pair(kept: dict[int, tuple[Arrival, int]], first: int, number: int) -> Item:
        before, after = kept[first][0], kept[first + 1][0]
        for step in (first, first + 1):
            arrival, lacks = kept.pop(step)
            if lacks > 1:
                kept[step] = (arrival, lacks - 1)
        return Item(number, _inputs(before), (before.values, after.values))


def _inputs(arrival: Arrival) -> NDArray[np.float32]:
    return np.append(arrival.mu, arrival.time).astype(np.float32)
