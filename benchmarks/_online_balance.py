"""What production and consumption cost, and the solver's step with which they are equal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from _online_fit import Loop, fit
from _online_jobs import events
from _online_study import HeatCase
from _report import middle

from surrogates.array_feed import ArrayFeed
from surrogates.arrivals import HeldOut
from surrogates.study import Study

__all__ = ["Balance", "balance"]

_STEPS, _SCORES, _SAMPLES = 200, 3, 4


@final
@dataclass(frozen=True)
class Balance:
    """Steps of the solver between two frames, and what was measured to choose them.

    Attributes
    ----------
    per_frame : solver steps from frame to frame
    solver_step, train_step, validation : seconds of each
    """

    per_frame: int
    solver_step: float
    train_step: float
    validation: float


def balance(folder: Path, settings: Sequence[str], passes: int, every: int) -> Balance:
    """Compute some simulations and take some steps, one after the other.

    Parameters
    ----------
    folder : an empty folder
    settings : of the contest, see `HeatCase.make`
    passes, every : budget of the training, and steps between its validations
    """
    whole = HeatCase.make(folder / "whole", *settings)
    probe = ("study.time.step=0.001", f"study.sampling.samples={_SAMPLES}", "validation=1")
    case = HeatCase.make(folder / "probe", *settings, *probe)
    case.generate()
    log = case.dataset / "logs" / "000000.jsonl"
    lines = events(log, "committed")[1:]  # the first one sets the solver up
    solver_step = middle([line["seconds"] / line["steps"] for line in lines])
    study = Study.of(case.job("probe", passes=passes))
    train_step, validation = _training_costs(study, len(whole.training.held_out))
    steps = passes * whole.items / study.job.training.batch
    wanted = steps * train_step + steps / every * validation
    gaps = (whole.simulations + len(whole.training.held_out)) * (whole.frames - 1)
    per_frame = max(1, round(wanted / (gaps * solver_step)))
    return Balance(per_frame, solver_step, train_step, validation)


def _training_costs(study: Study, held: int) -> tuple[float, float]:
    (one,) = study.committed(study.job.validation)
    many = [replace(one, sample=number) for number in range(held)]
    rng = np.random.default_rng(0)
    frames = rng.uniform(100.0, 500.0, (500, 1, study.spec.n_values)).astype(np.float32)
    inputs = rng.uniform(100.0, 500.0, (500, study.inputs.n_inputs)).astype(np.float32)
    feed = ArrayFeed(inputs, frames, None, rng)
    seconds = fit(study, feed, [one], _STEPS).seconds / _STEPS
    return seconds, _validation_seconds(study, many, feed)


def _validation_seconds(study: Study, held: Sequence[HeldOut], feed: ArrayFeed) -> float:
    loop = Loop(study, held, _STEPS)
    loop.step(feed.pool.gather(np.arange(10)))
    loop.errors()  # the first one also sums what the errors are measured by
    started = time.perf_counter()
    for _ in range(_SCORES):
        loop.errors()
    return (time.perf_counter() - started) / _SCORES
