"""Recorded trajectories that arrive again, over the in-memory stream, at a balanced pace.

Time is counted in gradient steps, so that a loaded machine changes nothing: a step of the trainer
takes one unit, a frame comes every so many units, and a trainer that waits jumps to the moment of
the next frame. Balanced means that all frames take as long as all steps.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, final

import numpy as np

from infra.streaming.memory import MemoryLink, MemoryStream
from surrogates.arrivals import HeldOut
from surrogates.bias import Bias
from surrogates.draws import End, Slots, Wait
from surrogates.feed import Counts, Feed
from surrogates.feed_choice import feed_parts
from surrogates.intake import Intake
from surrogates.journal import Journal
from surrogates.online_feed import OnlineFeed
from surrogates.pool import Pool
from surrogates.states import State
from surrogates.study import Study

__all__ = ["PacedFeed", "Production", "StepClock", "order_of_arrival"]

# Longest wait for a frame that is under way, seconds, and the time between two looks.
_UNDERWAY, _LOOK = 10.0, 1e-4


def order_of_arrival(simulations: int, frames: int, at_once: int) -> list[tuple[int, int]]:
    """Return place of the simulation and step of all frames, so many simulations side by side.

    They do not run in lock-step: each begins when the one before it is through by its share.
    """
    gap = frames / at_once
    keys = [
        (place * gap + step, place, step) for place in range(simulations) for step in range(frames)
    ]
    return [(place, step) for _, place, step in sorted(keys)]


@final
class StepClock:
    """Time that the trainer makes; simulations wait for their moment."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._now = 0.0

    @property
    def now(self) -> float:
        """The time, in gradient steps."""
        return self._now

    def go_to(self, moment: float) -> None:
        """Let time pass until a moment, unless it is past it."""
        with self._change:
            self._now = max(self._now, moment)
            self._change.notify_all()

    def wait_for(self, moment: float) -> None:
        """Return when the moment has come."""
        with self._change:
            self._change.wait_for(lambda: self._now >= moment)


@final
class Production:
    """When the frames come: the first one at 0, then every `pace` steps.

    Parameters
    ----------
    order : as `order_of_arrival` gives it
    pace : gradient steps between two frames
    """

    def __init__(self, order: Sequence[tuple[int, int]], pace: float) -> None:
        self.order, self.pace = order, pace

    def due(self, now: float) -> int:
        """Return how many frames have come at a time."""
        count = min(len(self.order), int(now / self.pace) + 1)
        # Rounding: the producing thread goes by `moment`.
        while count < len(self.order) and self.moment(count) <= now:
            count += 1
        while self.moment(count - 1) > now:
            count -= 1
        return count

    def moment(self, number: int) -> float:
        """Return when a frame comes."""
        return number * self.pace


@final
class PacedFeed(Feed):
    """Our online feed, with a thread of simulations at the other end of an in-memory stream.

    Parameters
    ----------
    study : brings reservoir, seed and batch
    trajectories : what the simulations give
    production : when
    folder : an empty folder for the journal
    """

    def __init__(
        self,
        study: Study,
        trajectories: Sequence[HeldOut],
        production: Production,
        folder: Path,
    ) -> None:
        link = MemoryLink(study.spec)
        design = replace(study.design, validation=frozenset())
        name, n_values = study.spec.study, study.spec.n_values
        self._intake = Intake(
            link.source(),
            design,
            Journal(folder / "journal", name, n_values),
            Journal(folder / "held-out", name, n_values),
        )
        parts = feed_parts(study)
        self._feed = OnlineFeed(
            self._intake, parts.assembler, parts.reservoir, parts.pool, parts.rng
        )
        self._clock, self._production = StepClock(), production
        args = (link, trajectories, production, self._clock)
        self._thread = threading.Thread(target=_simulate, args=args, daemon=True)

    def __enter__(self) -> Self:
        self._intake.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clock.go_to(float("inf"))
        self._thread.join()
        self._intake.stop()

    @property
    def pool(self) -> Pool:
        """Where the items are."""
        return self._feed.pool

    def admit(self) -> int:
        """Take in all frames whose moment has come."""
        due = self._production.due(self._clock.now)
        deadline = time.monotonic() + _UNDERWAY
        while len(self._intake.ledger) < due:
            if time.monotonic() > deadline:
                raise TimeoutError(f"frame {len(self._intake.ledger)} does not come")
            time.sleep(_LOOK)
        return self._feed.admit()

    def choose(self, n: int) -> Slots | Wait | End:
        """Draw; a batch takes one unit of time."""
        drawn = self._feed.choose(n)
        if not isinstance(drawn, Wait | End):
            self._clock.go_to(self._clock.now + 1.0)
        return drawn

    def wait(self, timeout: float) -> None:
        """Let time pass until the next frame comes."""
        due = self._production.due(self._clock.now)
        if due < len(self._production.order):
            self._clock.go_to(self._production.moment(due))
        else:
            self._feed.wait(timeout)

    def counts(self) -> Counts:
        """Return where the feed stands."""
        return self._feed.counts()

    def bias(self) -> Bias:
        """Return how evenly the items were visited."""
        return self._feed.bias()

    def state(self) -> State:
        """Return the state of our feed."""
        return self._feed.state()

    def restore(self, state: State) -> None:
        """Restore our feed."""
        self._feed.restore(state)


def _simulate(
    link: MemoryLink,
    trajectories: Sequence[HeldOut],
    production: Production,
    clock: StepClock,
) -> None:
    """Be the simulations: every frame at its moment."""
    streams: dict[int, MemoryStream] = {}
    for number, (place, step) in enumerate(production.order):
        clock.wait_for(production.moment(number))
        one = trajectories[place]
        stream = streams.get(place) or link.connect(one.sample)
        streams[place] = stream
        stream.send(step, np.array(one.values[step]))
        if step == len(one.times) - 1:
            streams.pop(place).finish()
