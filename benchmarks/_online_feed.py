"""Gradient steps per second: fed from a live stream, and from tensors in memory."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from _online_feed_parts import Arrivals, Items, LiveReception, preloaded, published
from _online_fit import silent
from _online_pair import core_of
from _online_study import HeatCase
from _report import Report, interleaved, middle, number

from surrogates.batch import Batch
from surrogates.learner import Learner
from surrogates.progress_lines import ProgressLines
from surrogates.schedules import make_schedule
from surrogates.steps import LocalSteps
from surrogates.study import Study
from surrogates.training import Trainer
from surrogates.training_report import Report as Progress

__all__ = ["measure"]

_SAMPLES, _FRAMES, _BATCH, _VIEWS = 100, 26, 10, 20


@final
@dataclass(frozen=True)
class _Model:
    """A model of the race: its name in targets, for people, its study's settings, its steps."""

    name: str
    title: str
    cells: int
    settings: str
    steps: int


_MLP = "model={name: mlp}"
_FNO = "model={name: fno, mode: autoregressive, settings: {hidden: 16, modes: 8}}"


def measure(report: Report, *, quick: bool) -> None:
    """Race for both models, and add table and targets."""
    torch.set_num_threads(1)
    models = (
        _Model("mlp", "perceptron 256-256", 99, _MLP, 25 if quick else 150),
        _Model("fno", "FNO, 16 channels, 8 modes, 32x32", 31, _FNO, 8 if quick else 40),
    )
    report.section("The trainer's feed")
    report.note(
        "Gradient steps of batch 10 on one core, on which the reception thread runs as well. "
        "`preloaded`: a bare loop over tensors in memory, drawn by a random permutation; same "
        "model, normalisation and Adam (fused). `ours`: the trainer's whole loop, over a live "
        "stream with ledger and journal; the reservoir is full, and nothing arrives, or half full, "
        "and frames arrive from another process at the rate at which they are used up at "
        f"{_VIEWS} views. `published kind`: the bare loop, batches of `_published_loop.py`, "
        "full, nothing arriving. Steps per second, medians (min-max) of turns; ratios to "
        "`preloaded` turn by turn, their median."
    )
    cores, core = os.sched_getaffinity(0), core_of(1)
    solver = core_of(0)
    os.sched_setaffinity(0, {core})
    try:
        for model in models:
            _race(report, model, solver, repeats=3 if quick else 5)
    finally:
        os.sched_setaffinity(0, cores)


def _race(report: Report, model: _Model, solver: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory(prefix="romflow-feed-") as name:
        folder = Path(name)
        study = _study(folder, model)
        items = Items.of(study, _SAMPLES)
        full, half = (LiveReception(study, folder / part, samples) for part, samples in
                      (("full", _SAMPLES - 1), ("half", _SAMPLES // 2)))  # fmt: skip
        with full, half, Arrivals(half.rendezvous, _SAMPLES // 2, solver) as arrivals:
            quiet, busy = _ours(study, full, model.steps), _ours(study, half, model.steps)
            bare = _bare(study, preloaded(items, _BATCH, 0), model.steps)
            kind = _bare(study, published(items, _BATCH, 0), model.steps)
            bare()
            usual = bare()

            def with_arrivals() -> float:
                arrivals.send(max(1, model.steps * _BATCH // _VIEWS), usual)
                return busy()

            ways = {"preloaded": bare, "quiet": quiet, "arriving": with_arrivals, "published": kind}
            for way in ways.values():
                way()
            seconds = interleaved(repeats, **ways)
            admitted = half.feed.counts().admitted
        _tell(report, model, study, seconds)
        arrived = admitted - half.here
        report.note(f"{arrived} frames arrived during {repeats + 1} turns of `arriving`.")


def _study(folder: Path, model: _Model) -> Study:
    case = HeatCase.make(
        folder,
        f"study.problem.settings.cells={model.cells}",
        f"study.sampling.samples={_SAMPLES}",
        f"study.time.frames={_FRAMES}",
        model.settings,
    )
    case.chunks()  # the dataset, without any frame
    return Study.of(case.job("feed", passes=_VIEWS))


def _ours(study: Study, live: LiveReception, steps: int) -> Callable[[], float]:
    """Return a function that takes so many steps of the trainer."""
    settings = silent(batch=_BATCH, steps=steps, observe=1e-6, logging={"interval": 1.0})
    local = LocalSteps(Learner(study.recipe(), settings), live.feed.pool)
    schedule = make_schedule(settings.schedule, steps, _BATCH)

    def run() -> float:
        report = Progress(ProgressLines(lambda _: None, 1.0))
        trainer = Trainer(local, live.feed, settings, schedule, steps, report)
        began = time.perf_counter()
        trainer.run()
        return time.perf_counter() - began

    return run


def _bare(study: Study, batches: Iterator[Batch], steps: int) -> Callable[[], float]:
    """Return a function that takes so many steps of a bare loop."""
    surrogate = study.recipe()
    optimiser = torch.optim.Adam(
        surrogate.parameters(),
        lr=1e-3,
        fused=not any(p.is_complex() for p in surrogate.parameters()),
    )
    surrogate.observe(next(batches))
    surrogate.normalisation.freeze()

    def run() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            batch = next(batches)
            optimiser.zero_grad(set_to_none=True)
            loss = surrogate.loss(surrogate(batch.inputs, batch.state), batch)
            torch.autograd.backward([loss])
            optimiser.step()
        return time.perf_counter() - began

    return run


def _tell(report: Report, model: _Model, study: Study, seconds: dict[str, list[float]]) -> None:
    parameters = sum(p.numel() for p in study.recipe().parameters())
    report.note(
        f"**{model.title}**: {parameters / 1e6:.2f} M parameters, frames of "
        f"{study.spec.n_values} values, {model.steps} steps a turn."
    )
    titles = {
        "preloaded": "preloaded",
        "quiet": "ours, reservoir full",
        "arriving": "ours, frames arriving",
        "published": "published kind",
    }
    ratios = {
        name: middle([b / t for b, t in zip(seconds["preloaded"], times, strict=True)])
        for name, times in seconds.items()
    }
    rows = [
        [titles[name], _range([model.steps / t for t in times]), number(ratios[name], 3)]
        for name, times in seconds.items()
    ]
    report.table(["feed", "steps/s", "of preloaded"], rows)
    report.at_least(f"feed-{model.name}", ratios["quiet"], 0.95)
    report.at_least(f"feed-{model.name}-arriving", ratios["arriving"], 0.95)


def _range(values: list[float]) -> str:
    low, mid, high = (number(v, 3) for v in (min(values), middle(values), max(values)))
    return f"{mid} ({low}-{high})"
