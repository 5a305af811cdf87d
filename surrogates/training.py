"""The trainer: admit, draw, step, until there is a reason to end. No files, no processes here."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, final

from infra.records import Json
from surrogates.draws import End, Slots, Wait
from surrogates.early_stopping import EarlyStopping
from surrogates.errors import TrainingError
from surrogates.feed import Feed
from surrogates.schedules import Schedule
from surrogates.settings import TrainingSettings
from surrogates.steps import Steps
from surrogates.training_report import Report
from surrogates.validation import Score, Validator

__all__ = ["Outcome", "Reason", "Trainer"]

type Reason = Literal["data", "steps", "seconds", "patience", "stopped"]

# The other processes hear of the trainer at least so often, seconds.
_ALIVE = 30.0
# Longest single wait for data: a signal to stop is seen after it.
_WAIT = 1.0
# A checkpoint of a large reservoir takes long: training takes at least so many times longer.
_SHARE = 20.0


@final
@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes
    ----------
    reason
        ``data``: every item has had its views; ``steps``, ``seconds``: the budget is used;
        ``patience``: the validation error has not fallen any more; ``stopped``: from outside.
    steps
        Gradient steps.
    score
        Of the last validation, if there was one.
    """

    reason: Reason
    steps: int
    score: Score | None


class _Interrupted(Exception):  # noqa: N818 (not an error)
    """Someone wants the training to stop while it validates."""


@final
class Trainer:
    """Trains from a feed until its end or the end of the budget.

    The sequence of batches depends on the feed and the seed alone: validation, checkpoints,
    reports and waiting draw nothing and change nothing but time.

    Parameters
    ----------
    steps
        Carries out the gradient steps.
    feed
        Gives the data.
    settings
        Batch, budget, intervals.
    schedule, planned
        Of the learning rate, and the number of steps that are expected.
    report
        Where progress goes.
    validator
        Held-out trajectories; those of the feed are added to it.
    save
        Writes a checkpoint that holds this trainer's `state` too.
    improved
        Called when the validation error is the best so far.
    stop
        Asked often; whether to stop at once.
    """

    def __init__(
        self,
        steps: Steps,
        feed: Feed,
        settings: TrainingSettings,
        schedule: Schedule,
        planned: int,
        report: Report,
        validator: Validator | None = None,
        save: Callable[[], None] = lambda: None,
        improved: Callable[[], None] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._steps, self._feed, self._settings = steps, feed, settings
        self._schedule, self._report, self._validator = schedule, report, validator
        self._save_all, self._improved, self._stop = save, improved, stop
        self._observed = max(1, round(settings.observe * planned))
        self._early = EarlyStopping(settings.patience, settings.improvement)
        self._score: Score | None = None
        self._step, self._items, self._validated = 0, 0, 0
        self._before, self._starving = 0.0, 0.0
        self._unsaid = 0
        self._cost = 0.0
        self._ended: str | None = None
        self._begin = self._saved = self._spoke = time.monotonic()

    @property
    def step(self) -> int:
        """Gradient steps so far."""
        return self._step

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a checkpoint included."""
        return self._before + time.monotonic() - self._begin

    @property
    def starving(self) -> float:
        """Seconds that the trainer has waited for data."""
        return self._starving

    @property
    def early(self) -> EarlyStopping:
        """The best validation error, and when it was."""
        return self._early

    def run(self) -> Outcome:
        """Train to the end; call it once.

        Raises
        ------
        RomflowError
            If reception fails, a process is lost, or the loss is not finite.
        """
        self._begin = self._saved = self._spoke = time.monotonic()
        self._report.begin(self._feed.counts())
        reason = self._until_the_end()
        try:
            if reason != "stopped":
                self._take_held_out()
                self._validate(self._step, last=True)
        except _Interrupted:
            reason = "stopped"
        self._tell()
        self._ended = self._ended if reason == "stopped" else reason
        self._save()
        return Outcome(reason, self._step, self._score)

    def state(self) -> dict[str, Json]:
        """Return what a checkpoint needs beside weights, optimiser and feed."""
        return {
            "step": self._step,
            "items": self._items,
            "validated": self._validated,
            "ended": self._ended,
            "seconds": self.seconds,
            "starving": self._starving,
            "early_stopping": self._early.state(),
        }

    def restore(self, state: Mapping[str, Json]) -> None:
        """Go on from a `state`."""
        numbers = {k: v for k, v in state.items() if isinstance(v, int | float)}
        self._step, self._items = int(numbers["step"]), int(numbers["items"])
        self._validated = int(numbers["validated"])
        ended = state["ended"]
        self._ended = None if ended is None else str(ended)
        self._before, self._starving = float(numbers["seconds"]), float(numbers["starving"])
        early = state["early_stopping"]
        assert isinstance(early, Mapping), "as `state` wrote it"
        self._early.restore(early)

    @property
    def _rate(self) -> float:
        by_samples = self._settings.schedule.unit == "samples"
        units = self._items if by_samples else self._step
        return self._settings.learning_rate * self._schedule.factor(units)

    def _until_the_end(self) -> Reason:
        while (reason := self._used_up()) is None:
            self._feed.admit()
            self._take_held_out()
            drawn = self._feed.choose(self._settings.batch)
            if isinstance(drawn, End):
                return "data"
            if isinstance(drawn, Wait):
                self._wait()
            else:
                self._take_step(drawn)
            try:
                self._now_and_then()
            except _Interrupted:
                return "stopped"
        return reason

    def _used_up(self) -> Reason | None:
        budget = self._settings
        if self._stop():
            return "stopped"
        if self._early.stop:
            return "patience"
        if budget.steps is not None and self._step >= budget.steps:
            return "steps"
        if budget.seconds is not None and self.seconds >= budget.seconds:
            return "seconds"
        return None

    def _take_step(self, slots: Slots) -> None:
        self._steps.step(slots, self._rate, self._step < self._observed)
        self._spoke = time.monotonic()
        self._step += 1
        self._items += len(slots)
        self._unsaid += 1

    def _wait(self) -> None:
        """Wait until something may have come; reception wakes us, nothing is polled."""
        start = time.monotonic()
        self._steps.pause()
        self._feed.wait(_WAIT)
        self._starving += time.monotonic() - start
        self._speak()

    def _speak(self) -> None:
        if time.monotonic() - self._spoke >= _ALIVE:
            self._steps.keep_alive()
            self._spoke = time.monotonic()

    def _now_and_then(self) -> None:
        often = self._settings.validation_every
        if self._step // often > self._validated // often:
            self._validate(self._step)
        if self._report.due:
            self._tell()
        every = max(self._settings.checkpoint_every, _SHARE * self._cost)
        if time.monotonic() - self._saved >= every:
            self._save()

    def _take_held_out(self) -> None:
        for held in self._feed.held_out():
            if self._validator is not None:
                self._validator.add(held)

    def _validate(self, step: int, *, last: bool = False) -> None:
        """Measure the error, once for each step, as soon as the held-out set is what it will be."""
        validator = self._validator
        if validator is None or step == 0 or (self._validated == step and self._score is not None):
            return
        if not (self._can_validate(validator) or (last and validator.samples)):
            return
        score = validator.score(self._steps.learner.surrogate, self._between_slices)
        again = self._validated == step
        self._validated, self._score = step, score
        if again:  # after a checkpoint, which does not hold the score; early stopping knows it
            self._report.validated(step, score, self._early.best_step == step)
            return
        best = self._early.update(score.error, step)
        self._report.validated(step, score, best)
        if best:
            self._improved()

    def _can_validate(self, validator: Validator) -> bool:
        # A set that still grows would give errors that cannot be compared.
        return validator.complete or (bool(validator.samples) and self._feed.counts().over)

    def _between_slices(self) -> None:
        self._feed.admit()
        self._speak()
        if self._stop():
            raise _Interrupted

    def _tell(self) -> None:
        loss = self._loss()
        counts = self._feed.counts()
        self._report.progress(self._step, counts, self.seconds, self._starving, loss, self._rate)

    def _loss(self) -> float:
        """Return the mean loss since the last call, and end a training that has diverged."""
        if not self._unsaid:
            return math.nan
        loss = self._steps.mean_loss()
        self._unsaid = 0
        if not math.isfinite(loss):
            raise TrainingError(
                f"Expected a finite loss; received {loss} before step {self._step}. Lower "
                "`learning_rate`, set `clip`, or give `precision: float32`; the checkpoints "
                "before it are kept."
            )
        return loss

    def _save(self) -> None:
        if self._unsaid:  # weights that are not numbers are never written
            self._tell()
        start = time.monotonic()
        self._steps.require_agreement()
        self._save_all()
        self._saved = self._spoke = time.monotonic()
        self._cost = self._saved - start
