"""Trainings in this process: the same model, settings and validation, whatever feeds them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from surrogates.arrivals import HeldOut
from surrogates.batch import Batch
from surrogates.bias import Bias
from surrogates.feed import Feed
from surrogates.learner import Learner
from surrogates.progress_lines import ProgressLines
from surrogates.schedules import make_schedule
from surrogates.settings import TrainingSettings
from surrogates.steps import LocalSteps, Steps, take_part
from surrogates.study import Study
from surrogates.training import Trainer
from surrogates.training_report import Report
from surrogates.validation import Validator

__all__ = ["Fit", "Loop", "fit", "items_of", "silent"]

_NEVER = 10**9


@final
@dataclass(frozen=True)
class Fit:
    """What came of a training.

    Attributes
    ----------
    error, mse : of the held-out trajectories at the end: relative error, normalised mean square
    steps : gradient steps
    seconds : of the training
    bias : of the visits
    """

    error: float
    mse: float
    steps: int
    seconds: float
    bias: Bias


def silent(**settings: Any) -> TrainingSettings:
    """Return settings of a training that says nothing, and validates at its end only."""
    quiet = {"logging": {"interval": _NEVER}, "checkpoint_every": _NEVER}
    return TrainingSettings.model_validate({"validation_every": _NEVER, **quiet, **settings})


def fit(
    study: Study,
    feed: Feed,
    held_out: Sequence[HeldOut],
    planned: int,
    steps: Steps | None = None,
) -> Fit:
    """Train from a feed to its end, but no more than the planned steps."""
    values = study.job.training.model_dump()
    settings = silent(**{**values, "passes": None, "steps": planned, **_quiet()})
    taken = steps or LocalSteps(Learner(study.recipe(), settings), feed.pool)
    validator = _validator(held_out)
    report = Report(ProgressLines(lambda _: None, _NEVER))
    schedule = make_schedule(settings.schedule, planned, settings.batch)
    trainer = Trainer(taken, feed, settings, schedule, planned, report, validator)
    started = time.perf_counter()
    outcome = trainer.run()
    seconds = time.perf_counter() - started
    assert outcome.score is not None, "there are held-out trajectories"
    return Fit(outcome.score.error, outcome.score.mse, outcome.steps, seconds, feed.bias())


def _quiet() -> dict[str, Any]:
    return {"logging": {"interval": _NEVER}, "checkpoint_every": _NEVER, "validation_every": _NEVER}


def _validator(held_out: Sequence[HeldOut]) -> Validator:
    validator = Validator(frozenset(held.sample for held in held_out), 32)
    for held in held_out:
        validator.add(held)
    return validator


@final
class Loop:
    """The trainer's arithmetic without its loop: for consumers that bring batches themselves.

    Parameters
    ----------
    study : brings model, settings and seed
    held_out : validation trajectories
    planned : steps for which the learning rate and the normalisation are planned
    """

    def __init__(self, study: Study, held_out: Sequence[HeldOut], planned: int) -> None:
        self.settings = study.job.training
        self.learner = Learner(study.recipe(), self.settings)
        self.steps = 0
        self._observed = max(1, round(self.settings.observe * planned))
        self._schedule = make_schedule(self.settings.schedule, planned, self.settings.batch)
        self._validator = _validator(held_out)

    def step(self, batch: Batch) -> None:
        """Take one gradient step, as `surrogates.steps.LocalSteps` does."""
        rate = self.settings.learning_rate * self._schedule.factor(self.steps)
        take_part(self.learner, batch, 0, 1, rate, self.steps < self._observed)
        self.steps += 1

    def errors(self) -> tuple[float, float]:
        """Return relative error and normalised mean square error."""
        score = self._validator.score(self.learner.surrogate)
        return score.error, score.mse


def items_of(
    trajectories: Sequence[HeldOut],
) -> Callable[[int, int], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return a function that gives inputs and frame of a trajectory's step, by its place."""

    def item(place: int, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        one = trajectories[place]
        return np.append(one.mu, one.times[step]).astype(np.float32), one.values[step]

    return item
