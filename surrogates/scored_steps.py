"""Gradient steps that also keep score of the samples, for active sampling."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from surrogates.draws import Slots
from surrogates.sample_scores import Mood, SampleScores
from surrogates.steps import Steps

__all__ = ["ScoredSteps"]

# Losses stay on their device for so many steps: to fetch them makes the processor wait for it.
_PENDING = 64
# Writing takes this part of the time at most.
_SHARE = 20.0
# A trainer that waits for every frame writes so often at most, seconds.
_PAUSE = 0.1


@final
class ScoredSteps(Steps):
    """Hands every step on, and writes the scores of the samples now and then.

    Parameters
    ----------
    steps
        They do the work; opened to keep the losses of the items.
    scores
        Of the samples; go on from a state before the first step.
    sample_of
        Returns the sample of the item in each slot, at the time of the step.
    path
        File that receives the scores, at once and then as they change.
    interval
        Least time between two writes, seconds.
    """

    def __init__(
        self,
        steps: Steps,
        scores: SampleScores,
        sample_of: Callable[[Slots], NDArray[np.int64]],
        path: Path,
        interval: float = 1.0,
    ) -> None:
        self.learner = steps.learner
        self.scores = scores
        self._steps, self._sample_of = steps, sample_of
        self._path, self._interval = path, interval
        self._pending: list[tuple[NDArray[np.int64], Tensor]] = []
        self._cost = 0.0
        self.write()

    def step(self, slots: Slots, rate: float, observe: bool) -> None:
        """Take one gradient step; see `Steps.step`."""
        self._steps.step(slots, rate, observe)
        self._pending.append((self._sample_of(slots), self._steps.item_losses()))
        self._unwritten = True
        if len(self._pending) >= _PENDING:
            self._fold()
        self._write_after(self._interval)

    def pause(self) -> None:
        """Write what the steps since the last time have told: perhaps no step follows soon."""
        self._steps.pause()
        if self._unwritten:
            self._write_after(min(self._interval, _PAUSE), "waiting")

    def write(self, mood: Mood = "learning") -> None:
        """Write the scores as of now; see `SampleScores.write`."""
        self._fold()
        start = time.monotonic()
        self.scores.write(self._path, mood)
        self._written = time.monotonic()
        self._cost = self._written - start
        self._unwritten = mood == "learning"

    def item_losses(self) -> Tensor:
        """Return the losses of the items; see `Steps.item_losses`."""
        return self._steps.item_losses()

    def mean_loss(self) -> float:
        """Return the mean loss; see `Steps.mean_loss`."""
        return self._steps.mean_loss()

    def keep_alive(self) -> None:
        """Say that there is nothing to do; see `Steps.keep_alive`."""
        self._steps.keep_alive()

    def require_agreement(self) -> None:
        """Check that all processes agree; see `Steps.require_agreement`."""
        self._steps.require_agreement()

    def close(self) -> None:
        """End the other processes; see `Steps.close`."""
        self._steps.close()

    def _write_after(self, interval: float, mood: Mood = "learning") -> None:
        if time.monotonic() - self._written >= max(interval, _SHARE * self._cost):
            self.write(mood)

    def _fold(self) -> None:
        for samples, losses in self._pending:
            self.scores.note(samples, losses.cpu().numpy())
        self._pending.clear()
