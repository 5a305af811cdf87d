"""The feed of a training that is repeated: recorded frames, admitted at the recorded steps."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import final

import numpy as np

from infra.errors import UserError, storage_errors
from surrogates.admissions import Admission, AdmissionLog
from surrogates.admitter import Admitter
from surrogates.arrivals import Arrival, HeldOut
from surrogates.assembly import Assembler
from surrogates.bias import Bias
from surrogates.draws import End, Slots, Wait
from surrogates.feed import Counts, Feed, require_feed
from surrogates.journal import Journal
from surrogates.pool import Pool
from surrogates.reservoirs.reservoir import Reservoir
from surrogates.states import State, nest, number, part

__all__ = ["ReplayFeed", "recorded_run"]


@contextmanager
def recorded_run(run: Path) -> Iterator[None]:
    """Keep the trainer of a run from starting while the run's journal and log are opened.

    To open them cuts off a torn tail, which may be a frame that a running trainer is writing.
    Any number of replays may do so at once.

    Parameters
    ----------
    run
        Folder of the run that is to be replayed.

    Raises
    ------
    UserError
        If its trainer is running.
    StorageAccessError
        If its lock cannot be read.
    """
    path = run / ".lock"
    if not path.is_file():  # copied from elsewhere without it: nobody trains here
        yield
        return
    with storage_errors(path):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Shared, and freed when the file is closed.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise UserError(
            f"replay: expected the folder of a run that is over, received {run}, which a training "
            "is using. Wait for its end, or replay another run."
        ) from error
    try:
        yield
    finally:
        os.close(file)


@final
class ReplayFeed(Feed):
    """Gives the batches of a recorded `OnlineFeed` again, if all arguments are those of it.

    A record that breaks off, because its trainer was killed, is taken as the end of reception.

    Parameters
    ----------
    journal
        All frames of that run: a journal that was kept (`keep_journal`).
    times
        Output times of the design.
    assembler, reservoir, pool, rng
        As at the beginning of the recorded run; see `Admitter`.
    held_out
        The validation trajectories.
    """

    def __init__(
        self,
        journal: Journal,
        times: Sequence[float],
        assembler: Assembler,
        reservoir: Reservoir,
        pool: Pool,
        rng: np.random.Generator,
        *,
        held_out: Sequence[HeldOut] = (),
    ) -> None:
        self._journal = journal
        self._times = tuple(times)
        self._admitter = Admitter(assembler, reservoir, pool, rng)
        log = AdmissionLog(journal.folder / "admissions.log")
        self._entries: tuple[Admission, ...] = tuple(log.entries())
        log.close()
        self._next = 0
        self._held_out = list(held_out)

    @property
    def pool(self) -> Pool:
        """Where the items are."""
        return self._admitter.pool

    def admit(self) -> int:
        """Take in what was admitted before this step of the recorded run."""
        admitter, admitted = self._admitter, 0
        while self._next < len(self._entries):
            entry = self._entries[self._next]
            if entry.step > admitter.steps:
                return admitted
            self._next += 1
            if entry.numbers is None:
                admitter.reservoir.close()
            else:
                admitter.admit(self._read(number) for number in entry.numbers)
                admitted += len(entry.numbers)
        admitter.reservoir.close()
        return admitted

    def choose(self, n: int) -> Slots | Wait | End:
        """Draw the places of a batch; see `Feed.choose`."""
        return self._admitter.choose(n)

    def held_out(self) -> list[HeldOut]:
        """Return all validation trajectories, once."""
        held_out, self._held_out = self._held_out, []
        return held_out

    def counts(self) -> Counts:
        """Return where the feed stands."""
        return self._admitter.counts()

    def bias(self) -> Bias:
        """Return how evenly the items were visited so far."""
        return self._admitter.reservoir.bias()

    def state(self) -> State:
        """Return what `restore` needs; see `Feed.state`."""
        state = nest("admitter", self._admitter.state())
        return {"feed": "replay", "next": self._next, **state}

    def restore(self, state: State) -> None:
        """Go on from a state; see `Feed.restore`."""
        require_feed(state, "replay")
        self._next = number(state, "next")
        self._admitter.restore(part("admitter", state), self._read)

    def _read(self, number: int) -> Arrival:
        record, mu, values = self._journal.read(number)
        return Arrival(number, record.key, values, mu, self._times[record.key.step])
