"""The time from nothing to the same validation error: online, and generated first."""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import torch
from _online_balance import Balance, balance
from _online_contest import Contest, Stored
from _online_jobs import Curve
from _online_study import HeatCase
from _report import Report, middle, number
from _stored_feeds import MappedReader, NpzReader, Reader, StoreReader, write_npz

from surrogates.study import Study

__all__ = ["measure"]

OURS, PUBLISHED = "ours, online", "published kind, online"
ZARR, MAPPED = "Zarr, copied to .npy, memory-mapped", "memory-mapped .npy from the solver"
MEMORY, BOTH = "Zarr, then all in memory, shuffled", "memory-mapped .npy, generated on both cores"
NPZ, FRAMES = "one npz per simulation (*)", "Zarr, frame by frame (*)"
# The level is the best error of generate-then-train within this part of its steps.
_LEVEL = 0.9
# Ours may take so many times the budget: all end at the level, and the learning rate is constant.
_MORE = 1.5


@final
@dataclass(frozen=True)
class _Sizes:
    cells: int
    simulations: int
    frames: int
    repeats: int
    passes: int = 20
    every: int = 100
    held_out: int = 8

    @property
    def settings(self) -> tuple[str, ...]:
        """Settings of `HeatCase.make`."""
        items = self.simulations * self.frames
        return (
            f"study.problem.settings.cells={self.cells}",
            f"study.sampling.samples={self.simulations}",
            f"study.time.frames={self.frames}",
            f"validation={self.held_out}",
            # All that comes fits, as it does for the contestant that has everything in memory.
            f"reservoir.capacity={items}",
            "reservoir.threshold=null",
            # A rate that falls over the budget would make the budget decide, not the error.
            "training.schedule={kind: constant}",
        )


@final
@dataclass
class _Results:
    """Seconds to the level by contestant, one number per repeat."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    steps: dict[str, list[float]] = field(default_factory=dict)
    production: list[float] = field(default_factory=list)
    consumption: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    best: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, before: float, curve: Curve, level: float) -> None:
        """Note when a training reached the level; it began after `before` seconds."""
        seconds, steps = curve.reaches(level)
        self.seconds.setdefault(name, []).append(before + seconds)
        self.steps.setdefault(name, []).append(steps)
        self.best.setdefault(name, []).append(curve.best(math.inf))


def measure(report: Report, *, quick: bool) -> None:
    """Let all contestants run in turns, and add table and target."""
    torch.set_num_threads(1)
    sizes = _Sizes(32, 60, 21, 1, every=50) if quick else _Sizes(48, 100, 31, 5)
    with tempfile.TemporaryDirectory(prefix="romflow-time-") as name:
        folder = Path(name)
        made = balance(folder, sizes.settings, sizes.passes, sizes.every)
        results = _Results()
        for repeat in range(sizes.repeats):
            _repeat(results, folder / str(repeat), sizes, made, repeat, quick=quick)
    _describe(report, sizes, made)
    _tell(report, results)


def _repeat(
    results: _Results, folder: Path, sizes: _Sizes, made: Balance, seed: int, *, quick: bool
) -> None:
    step = f"study.time.step={0.3 / (sizes.frames - 1) / made.per_frame}"
    budget = {"seed": seed, "passes": sizes.passes, "validation_every": sizes.every}
    contest = Contest(folder, (*sizes.settings, step), budget)
    case, generated = contest.generate()
    stored = contest.train_mapped(case)
    contest.level = level = stored.curve.best(_LEVEL * stored.curve.steps[-1])
    ours = contest.online(_MORE * sizes.passes)
    frames, mapped = contest.generate_mapped()
    results.levels.append(level)
    results.production.append(mapped)
    results.consumption.append(stored.curve.reaches(level)[0] - stored.converted)
    results.add(OURS, 0.0, ours, level)
    results.add(MAPPED, mapped - stored.converted, stored.curve, level)
    results.add(ZARR, generated, stored.curve, level)
    if not quick:
        results.add(MEMORY, generated, contest.train_in_memory(case), level)
        _, both = contest.generate_mapped(2)
        results.add(BOTH, both - stored.converted, stored.curve, level)
        results.add(PUBLISHED, 0.0, contest.published(frames), level)
    _extrapolate(results, case, stored, frames, (mapped, generated), level)


def _extrapolate(
    results: _Results,
    case: HeatCase,
    stored: Stored,
    frames: Path,
    generated: tuple[float, float],
    level: float,
) -> None:
    """Add the slow readers: their reading is measured on some batches, the rest is known."""
    study = Study.of(case.job("readers"))
    npz, began = case.folder / "npz", time.perf_counter()
    write_npz(frames, npz)
    written = time.perf_counter() - began
    usual = _seconds_per_batch(MappedReader(study, frames), 200)
    seconds, steps = stored.curve.reaches(level)
    trained = seconds - stored.converted
    readers: list[tuple[str, Reader, float]] = [
        (NPZ, NpzReader(study, npz), generated[0] + written),
        (FRAMES, StoreReader(study), generated[1]),
    ]
    for name, reader, before in readers:
        slower = _seconds_per_batch(reader, 20) - usual
        results.seconds.setdefault(name, []).append(before + trained + steps * slower)
        results.steps.setdefault(name, []).append(steps)


def _seconds_per_batch(reader: Reader, batches: int) -> float:
    rng = np.random.default_rng(0)
    items = len(reader.samples) * reader.n_frames
    slots = [rng.choice(items, 10, replace=False) for _ in range(batches)]
    reader.gather(slots[0])
    began = time.perf_counter()
    for one in slots:
        reader.gather(one)
    return (time.perf_counter() - began) / batches


def _describe(report: Report, sizes: _Sizes, made: Balance) -> None:
    steps = sizes.passes * sizes.simulations * sizes.frames // 10
    report.section("Time to the same validation error")
    report.note(
        f"Heat on {sizes.cells}x{sizes.cells} cells, {sizes.simulations} simulations and "
        f"{sizes.held_out} held out, of {sizes.frames} frames with {made.per_frame} solver steps "
        f"between two; perceptron 256-256, {sizes.passes} passes = {steps} steps of batch 10 at a "
        f"constant rate of 1e-3, a validation every {sizes.every} steps. One core for the "
        "simulations, one for the trainer. The clock begins before the dataset is made and before "
        "any process is started; every contestant starts MPI and PyTorch once. The level of a "
        "repeat is the best error of generate-then-train within the first "
        f"{100 * _LEVEL:.0f} % of its steps; all contestants of a repeat have the same seed. Ours "
        f"is planned for {_MORE:g} times the passes and, like the others, ended at the level; its "
        "reservoir has room for everything, as memory has for the contestant in memory."
    )
    report.note(
        f"Measured beforehand, to balance production and consumption: a solver step takes "
        f"{1e3 * made.solver_step:.3g} ms, a gradient step {1e3 * made.train_step:.3g} ms, a "
        f"validation {1e3 * made.validation:.3g} ms."
    )


def _tell(report: Report, results: _Results) -> None:
    ours, base = results.seconds[OURS], _quicker(results)
    head = ["contestant", "seconds to the level", "of ours", "steps until then"]
    report.table(head, [_row(name, results) for name in results.seconds])
    p, c = middle(results.production), middle(results.consumption)
    report.note(
        f"Production alone takes p = {p:.1f} s, consumption up to the level c = {c:.1f} s "
        f"(p/c = {p / c:.2f}), starts of the processes included. No overlap can be better than "
        f"max(p, c)/(p + c) = {max(p, c) / (p + c):.3f}. Levels: "
        + ", ".join(f"{100 * level:.2f} %" for level in results.levels)
        + ". (*) extrapolated: the reading of 20 batches is measured, and put in the place of "
        "that of the memory-mapped training."
    )
    ratios = [a / b for a, b in zip(ours, base, strict=True)]
    report.note(
        "Ours over the quicker memory-mapped one, repeat by repeat: "
        + ", ".join(f"{ratio:.3f}" for ratio in ratios)
    )
    report.at_most("time-to-error", middle(ratios), 0.65)


def _quicker(results: _Results) -> Sequence[float]:
    return min((results.seconds[name] for name in (ZARR, MAPPED)), key=middle)


def _row(name: str, results: _Results) -> list[object]:
    seconds, ours = results.seconds[name], middle(results.seconds[OURS])
    if not math.isfinite(middle(seconds)):
        best = 100.0 * middle(results.best[name])
        return [name, f"not reached, best {best:.3g} %", "", ""]
    return [
        name,
        f"{middle(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f})",
        number(middle(seconds) / ours, 3),
        f"{middle(results.steps[name]):.0f}",
    ]
