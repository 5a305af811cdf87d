"""The feed of online training: frames of simulations that are running."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from surrogates.admissions import Admission, AdmissionLog
from surrogates.admitter import Admitter
from surrogates.arrivals import HeldOut
from surrogates.assembly import Assembler
from surrogates.bias import Bias
from surrogates.draws import End, Slots, Wait
from surrogates.feed import Counts, Feed, require_feed
from surrogates.intake import Intake
from surrogates.ledger import LINE
from surrogates.pool import Pool
from surrogates.reservoirs.reservoir import Reservoir
from surrogates.states import State, nest, number, part

__all__ = ["OnlineFeed"]

# Frames taken at once at most: a step is not put off longer than it takes to copy them.
_AT_ONCE = 1024


@final
class OnlineFeed(Feed):
    """Admits frames of an intake between the steps, and writes down which and when.

    With that log and the journal a `ReplayFeed` gives the same batches again, bit for bit. After
    the death of the process, a new feed with the state of the last checkpoint goes on: frames
    that were received since are read from the journal.

    Parameters
    ----------
    intake
        Reception; `restore` before its `start`. Without `restore`, the log begins anew.
    assembler, reservoir, pool, rng
        See `Admitter`.
    """

    def __init__(
        self,
        intake: Intake,
        assembler: Assembler,
        reservoir: Reservoir,
        pool: Pool,
        rng: np.random.Generator,
    ) -> None:
        self._intake = intake
        self._admitter = Admitter(assembler, reservoir, pool, rng)
        self._log = AdmissionLog(intake.journal.folder / "admissions.log")
        self._fresh = True
        self._forgotten: set[int] = set()

    @property
    def intake(self) -> Intake:
        """Reception."""
        return self._intake

    @property
    def pool(self) -> Pool:
        """Where the items are."""
        return self._admitter.pool

    def admit(self) -> int:
        """Take in what has come, as far as there is room; see `Feed.admit`."""
        if self._fresh:
            self._log.rewind(0)
            self._fresh = False
        admitter, admitted = self._admitter, 0
        over = self._intake.over  # asked first: what comes in between is taken the next time
        while admitted < _AT_ONCE:
            put_off = admitter.put_off
            arrivals = self._intake.take(min(admitter.room, _AT_ONCE))
            if not arrivals and not (put_off and admitter.reservoir.room):
                break
            numbers = tuple(arrival.number for arrival in arrivals)
            self._log.append(Admission(admitter.steps, numbers))
            admitter.admit(arrivals)
            admitted += len(arrivals)
        if over and not admitted and not admitter.put_off:
            self._close()
        self._forget_holes()
        return admitted

    def _close(self) -> None:
        if not self._admitter.reservoir.closed:
            self._log.append(Admission(self._admitter.steps, None))
            self._admitter.reservoir.close()

    def choose(self, n: int) -> Slots | Wait | End:
        """Draw the places of a batch; see `Feed.choose`."""
        return self._admitter.choose(n)

    def wait(self, timeout: float) -> None:
        """Return when something may have come."""
        self._intake.wait(timeout)

    def held_out(self) -> list[HeldOut]:
        """Return the validation trajectories that became whole since the last call."""
        return self._intake.take_validation()

    def counts(self) -> Counts:
        """Return where the feed stands."""
        return self._admitter.counts()

    def bias(self) -> Bias:
        """Return how evenly the items were visited so far."""
        return self._admitter.reservoir.bias()

    def state(self) -> State:
        """Return what `restore` needs, the log on the device; see `Feed.state`."""
        self._log.flush()
        return {
            "feed": "online",
            "log": 0 if self._fresh else self._log.end,
            **nest("admitter", self._admitter.state()),
            **nest("ledger", self._intake.state()),
        }

    def restore(self, state: State) -> None:
        """Go on from a state, before the intake starts; see `Feed.restore`."""
        require_feed(state, "online")
        self._log.rewind(number(state, "log"))
        self._fresh = False
        self._intake.recover(part("ledger", state), self._admitted())
        self._admitter.restore(part("admitter", state), self._intake.read)

    def release(self, state: State) -> None:
        """Drop the segments of the journal that a restart from this state does not need."""
        lines = np.asarray(state["ledger.lines"])
        taken = np.zeros(len(lines), dtype=bool)
        taken[self._admitted(number(state, "log"))] = True
        taken[np.asarray(state["admitter.assembler.numbers"], dtype=np.int64)] = False
        if not self._intake.keeps_partial:
            holes = [int(sample) for sample in self._intake.holes]
            stored = np.ascontiguousarray(lines).reshape(-1).view(LINE)
            taken[np.isin(stored["sample"], holes)] = True
        journaled = self._intake.journal.numbers
        journaled = journaled[journaled < len(lines)]
        needed = journaled[~taken[journaled]]
        self._intake.journal.drop_before(int(needed[0]) if len(needed) else len(lines))

    def _admitted(self, end: int | None = None) -> NDArray[np.int64]:
        """Return the numbers of all arrivals in the log, up to a mark."""
        numbers, at = [np.empty(0, np.int64)], 0
        for entry in self._log.entries():
            if end is not None and at >= end:
                break
            numbers.append(np.array(entry.numbers or (), dtype=np.int64))
            at += entry.nbytes
        return np.concatenate(numbers)

    def _forget_holes(self) -> None:
        """Drop the frames that wait for neighbours that will never come."""
        holes = set(self._intake.holes)  # asked first: no frame of these comes any more
        if holes != self._forgotten and not self._intake.waiting:
            for sample in holes - self._forgotten:
                self._admitter.assembler.forget(sample)
            self._forgotten = holes  # one that is wanted again may become a hole again
