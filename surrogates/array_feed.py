"""The feed of offline training: all data in memory, shuffled."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from surrogates.arrivals import HeldOut
from surrogates.assembly import Item
from surrogates.bias import Bias, Visits
from surrogates.draws import End, Slots, Wait
from surrogates.feed import Counts, Feed, require_feed
from surrogates.pool import Pool, PoolShape
from surrogates.states import State, generator_state, generator_with, number

__all__ = ["ArrayFeed"]


@final
class ArrayFeed(Feed):
    """Every item once per pass, in a new random order each time; the baseline of online training.

    The last batch of a pass may be smaller.

    Parameters
    ----------
    inputs
        Parameters and time, shape (N, p) float32.
    frames
        Shape (N, k, n) float32: the target (k = 1), or state and target (k = 2).
    passes
        How often every item is visited; None: without end.
    rng
        Source of randomness (PCG64).
    place
        Place of the pool; see `Pool`.
    held_out
        The validation trajectories.

    Raises
    ------
    UserError
        If the arrays do not fit together, or `passes` is less than 1.
    """

    def __init__(
        self,
        inputs: NDArray[np.float32],
        frames: NDArray[np.float32],
        passes: int | None,
        rng: np.random.Generator,
        *,
        place: str = "cpu",
        held_out: Sequence[HeldOut] = (),
    ) -> None:
        fits = inputs.ndim == 2 and frames.ndim == 3 and 0 < len(inputs) == len(frames)
        if not fits or (passes is not None and passes < 1):
            raise UserError(
                "Expected inputs (N, p), frames (N, k, n) of one N >= 1, and passes >= 1 or none; "
                f"received {inputs.shape}, {frames.shape}, {passes}."
            )
        n_items, n_frames, n_values = frames.shape
        self._pool = Pool(PoolShape(n_items, inputs.shape[1], n_frames, n_values), place)
        self._visits = Visits()
        for slot in range(n_items):
            self._pool.put(slot, Item(slot, inputs[slot], tuple(frames[slot])))
            self._visits.add()
        self._passes = passes
        self._rng = rng
        self._done = 0
        self._order: Slots = np.empty(0, np.int64)
        self._held_out = list(held_out)

    @property
    def pool(self) -> Pool:
        """Where the items are."""
        return self._pool

    def admit(self) -> int:
        """Do nothing: everything is here."""
        return 0

    def choose(self, n: int) -> Slots | Wait | End:
        """Draw the places of a batch; see `Feed.choose`."""
        if n < 1:
            raise UserError(f"Expected a batch of at least 1 item; received {n}.")
        if not len(self._order):
            if self._done == self._passes:
                return End()
            self._done += 1
            self._order = self._rng.permutation(self._pool.shape.capacity)
        slots, self._order = self._order[:n], self._order[n:]
        self._visits.visit(slots)
        return slots

    def held_out(self) -> list[HeldOut]:
        """Return all validation trajectories, once."""
        held_out, self._held_out = self._held_out, []
        return held_out

    def counts(self) -> Counts:
        """Return where the feed stands."""
        visits, capacity = self._visits, self._pool.shape.capacity
        return Counts(capacity, visits.visited, visits.total, capacity, capacity, over=True)

    def bias(self) -> Bias:
        """Return how evenly the items were visited so far."""
        return self._visits.bias()

    def state(self) -> State:
        """Return what `restore` needs; the data are not part of it."""
        return {
            "feed": "array",
            "rng": generator_state(self._rng),
            "done": self._done,
            "order": self._order.copy(),
            "visits": self._visits.counts,
        }

    def restore(self, state: State) -> None:
        """Go on from a state, with the same data; see `Feed.restore`."""
        require_feed(state, "array")
        visits = np.asarray(state["visits"], dtype=np.int32)
        if len(visits) != self._pool.shape.capacity:
            raise UserError(
                f"Expected the state of a feed of {self._pool.shape.capacity} items; received one "
                f"of {len(visits)}. Use the data of that run, or start anew."
            )
        self._rng = generator_with(state["rng"])
        self._done = number(state, "done")
        self._order = np.array(state["order"], dtype=np.int64)
        self._visits.restore(visits)
