"""The interface between the data and the trainer: admit, then draw.

A trainer's loop::

    while True:
        feed.admit()
        batch = feed.draw(32)
        if isinstance(batch, End):
            break
        if isinstance(batch, Wait):
            feed.wait(1.0)
            continue
        step(batch)

Everything happens in the trainer's thread, so that the draws depend on the seed and on what was
admitted before which step, and on nothing else. With several processes the first one calls
`choose`, sends the slots to the others, and each reads its part from the shared pool.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from infra.errors import UserError
from surrogates.arrivals import HeldOut
from surrogates.batch import Batch
from surrogates.bias import Bias
from surrogates.draws import End, Slots, Wait
from surrogates.pool import Pool
from surrogates.states import State

__all__ = ["Counts", "End", "Feed", "HeldOut", "Slots", "Wait", "require_feed"]


@final
@dataclass(frozen=True)
class Counts:
    """Where a feed stands.

    Attributes
    ----------
    admitted
        Items that came so far.
    visited
        Items that were drawn at least once.
    visits
        Items drawn, with repetition.
    held
        Items in the pool now.
    capacity
        Places of the pool.
    over
        Whether no further item will come.
    """

    admitted: int
    visited: int
    visits: int
    held: int
    capacity: int
    over: bool


class Feed(ABC):
    """Gives batches out of data that may still be coming.

    Laws: every admitted item is drawn at least once before the end; after the end of reception
    a draw never waits; `End` is final. A feed restored from a state goes on as if there had been
    no interruption.
    """

    @property
    @abstractmethod
    def pool(self) -> Pool:
        """Where the items are; the slots of `choose` are places in it."""

    @abstractmethod
    def admit(self) -> int:
        """Take in what has come, as far as there is room; call it between steps only.

        Returns
        -------
        int
            How many frames were taken in.

        Raises
        ------
        UserError, RomflowError
            If reception has failed, for example because no client ever came.
        """

    @abstractmethod
    def choose(self, n: int) -> Slots | Wait | End:
        """Draw the places of up to `n` items; they stay as they are until the next `admit`.

        Fewer than `n` come at the end, or if the pool cannot hold so many.
        """

    @final
    def draw(self, n: int) -> Batch | Wait | End:
        """Draw a batch of up to `n` items: `choose`, then read them from the pool."""
        slots = self.choose(n)
        return slots if isinstance(slots, Wait | End) else self.pool.gather(slots)

    def wait(self, timeout: float) -> None:  # noqa: B027 - only live feeds have to wait
        """Return when something may have come, at the latest after `timeout` seconds."""

    def held_out(self) -> list[HeldOut]:
        """Return the validation trajectories that became whole since the last call."""
        return []

    @abstractmethod
    def counts(self) -> Counts:
        """Return where the feed stands."""

    @abstractmethod
    def bias(self) -> Bias:
        """Return how evenly the items were visited so far."""

    @abstractmethod
    def state(self) -> State:
        """Return what `restore` needs, as of now: arrays and JSON values by dotted name.

        Arrays may be views of the pool: write them before the next `admit`.
        """

    def release(self, state: State) -> None:  # noqa: B027 - only live feeds keep frames for this
        """Drop the frames on disk that a restart from this state does not need.

        Parameters
        ----------
        state
            That of the oldest checkpoint that may still be gone back to; it is on disk.
        """

    @abstractmethod
    def restore(self, state: State) -> None:
        """Go on from a state; call it on a new feed that was built with the same arguments.

        Raises
        ------
        UserError
            If the state is one of another kind or size.
        """


def require_feed(state: State, kind: str) -> None:
    """Check that a state is one of this kind of feed; raises as `Feed.restore`."""
    if state.get("feed") != kind:
        raise UserError(
            f"Expected the state of a feed `{kind}`; received `{state.get('feed')}`. The "
            "checkpoint is from another way of training: start anew, or use that way."
        )
