"""The error after equal gradient steps: trained from a stream, and from shuffled memory."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from _online_arrival import PacedFeed, Production, order_of_arrival
from _online_fit import Fit, fit
from _online_published_fit import published_fit
from _online_study import HeatCase
from _report import Report, middle, number

from surrogates.feed_choice import offline_feed
from surrogates.study import Study

__all__ = ["measure"]

RAM = "RAM, shuffled"
OURS, QUARTER = "ours", "ours, 1/4"
PUBLISHED, PUBLISHED_QUARTER = "published", "published, 1/4"
FIRO, FIFO = "FIRO, 1/4", "FIFO, 1/4"
# Places of the reservoir as a part of all items: that of the shipped training, 2500 of 3100, and
# that of the published run on one machine, 2500 of 10 000, which held back 500.
_SHIPPED, _QUARTER, _HELD_BACK = 25 / 31, 1 / 4, 1 / 20


@final
@dataclass(frozen=True)
class _Sizes:
    cells: int
    simulations: int
    seeds: int
    passes: tuple[int, ...] = (1, 20)
    frames: int = 31
    batch: int = 10


@final
class _Bench:
    """The dataset in memory, and trainings from it in all ways."""

    def __init__(self, folder: Path, sizes: _Sizes) -> None:
        self.sizes = sizes
        self.items = sizes.simulations * sizes.frames
        self._case = HeatCase.make(
            folder,
            f"study.problem.settings.cells={sizes.cells}",
            f"study.sampling.samples={sizes.simulations}",
            f"study.time.frames={sizes.frames}",
            f"training.batch={sizes.batch}",
        )
        self._case.generate()
        study = self._study(0, 1, OURS)
        self.values = study.spec.n_values
        self.trained = study.committed(study.job.samples)
        self.held_out = study.committed(study.job.validation)

    def steps(self, passes: int) -> int:
        """Return the equal number of steps."""
        return -(-passes * self.items // self.sizes.batch)

    def run(self, name: str, passes: int, seed: int) -> Fit:
        """Train once."""
        study = self._study(seed, passes, name)
        if name == RAM:
            return self._ram(study, self.steps(passes))
        if name in (PUBLISHED, PUBLISHED_QUARTER):
            return self._loop(study, self.steps(passes))
        return self._stream(study, self.steps(passes))

    def _study(self, seed: int, passes: int, name: str) -> Study:
        job = self._case.job("none", seed=seed, passes=passes)
        share = _SHIPPED if name in (OURS, PUBLISHED) else _QUARTER
        reservoir: dict[str, Any] = {
            "kind": {FIRO: "firo", FIFO: "fifo"}.get(name, "levelled"),
            "capacity": round(share * self.items),
            # Ours chooses itself.
            "threshold": None if name in (OURS, QUARTER) else round(_HELD_BACK * self.items),
        }
        return Study.of(type(job).model_validate({**job.model_dump(), "reservoir": reservoir}))

    def _production(self, steps: int) -> Production:
        order = order_of_arrival(self.sizes.simulations, self.sizes.frames, 2)
        return Production(order, steps / len(order))

    def _ram(self, study: Study, steps: int) -> Fit:
        return fit(study, offline_feed(study).feed, self.held_out, steps)

    def _stream(self, study: Study, steps: int) -> Fit:
        with tempfile.TemporaryDirectory(prefix="romflow-online-") as name:
            feed = PacedFeed(study, self.trained, self._production(steps), Path(name))
            with feed:
                return fit(study, feed, self.held_out, steps)

    def _loop(self, study: Study, steps: int) -> Fit:
        made = self._production(steps)
        return published_fit(study, self.trained, self.held_out, made, steps)


def measure(report: Report, *, quick: bool) -> None:
    """Train in all ways with all seeds, and add tables and targets."""
    torch.set_num_threads(1)
    sizes = _Sizes(16, 100, 1, frames=11) if quick else _Sizes(48, 100, 5)
    with tempfile.TemporaryDirectory(prefix="romflow-quality-") as name:
        bench = _Bench(Path(name), sizes)
        _describe(report, bench)
        ours = [one for passes in sizes.passes for one in _one_budget(report, bench, passes)]
    report.at_most("decile-ratio", max(one.bias.ratio for one in ours), 1.3)
    report.at_most("never-seen", float(max(one.bias.never_seen for one in ours)), 0.0)


def _describe(report: Report, bench: _Bench) -> None:
    sizes = bench.sizes
    report.section("Error after equal gradient steps")
    report.note(
        f"Heat, {bench.values} values, {sizes.simulations} simulations of {sizes.frames} frames, "
        f"{len(bench.held_out)} held out; perceptron with the papers' widths 256-256, batch "
        f"{sizes.batch}, Adam 1e-3 with a cosine over the budget, the same for all. Frames arrive "
        "in the order in which two simulations side by side make them, through the in-memory "
        "stream; production takes as long as training. Time is counted in gradient steps, so the "
        f"load of the machine changes nothing. Of {bench.items} items, reservoirs hold as large a "
        "part as in the training that is shipped, or a quarter (1/4), as in the published run on "
        "one machine; the published ones and FIRO keep a twentieth back, ours what it chooses "
        "itself. `published` is the loop of `_published_loop.py`; FIRO and FIFO are the policies "
        "of `surrogates.reservoirs`."
    )


def _one_budget(report: Report, bench: _Bench, passes: int) -> Sequence[Fit]:
    """Add table and target of a budget; return our trainings."""
    names: tuple[str, ...] = (RAM, OURS, QUARTER, PUBLISHED, PUBLISHED_QUARTER, FIRO, FIFO)
    if passes > 1:
        names = names[:-1]  # FIFO reads everything once, whatever the budget is
    fits: dict[str, list[Fit]] = {name: [] for name in names}
    for seed in range(bench.sizes.seeds):
        for name in names:
            fits[name].append(bench.run(name, passes, seed))
    base = fits[RAM]
    plural = "pass" if passes == 1 else "passes"
    report.note(
        f"**{passes} {plural}: {bench.steps(passes)} steps**, {bench.sizes.seeds} seeds. Medians "
        "(min-max); the ratio is that of the medians, as for the target."
    )
    head = ["trained from", "relative error, %", "ratio", "ratio of mean squares", "steps"]
    head += ["views, CV", "deciles max/min", "never seen", "s"]
    report.table(head, [_row(name, of, base) for name, of in fits.items()])
    if passes > 1:
        report.note("FIFO reads every item once: its error is that of one pass.")
    target = f"equal-steps-{passes}-{plural}"
    report.at_most(target, _ratio(fits[OURS], base, "error"), 1.10)
    report.at_most(f"{target}-quarter", _ratio(fits[QUARTER], base, "error"), 1.10)
    return [*fits[OURS], *fits[QUARTER]]


def _row(name: str, fits: Sequence[Fit], base: Sequence[Fit]) -> list[object]:
    errors = [100.0 * one.error for one in fits]
    ratios = [one.bias.ratio for one in fits]
    return [
        name,
        f"{number(middle(errors), 3)} ({number(min(errors), 3)}-{number(max(errors), 3)})",
        number(_ratio(fits, base, "error"), 3),
        number(_ratio(fits, base, "mse"), 3),
        " ".join(str(steps) for steps in sorted({one.steps for one in fits})),
        number(middle([one.bias.cv for one in fits]), 2),
        f"{number(middle(ratios), 3)} (max {number(max(ratios), 3)})",
        max(one.bias.never_seen for one in fits),
        number(middle([one.seconds for one in fits]), 3),
    ]


def _ratio(fits: Sequence[Fit], base: Sequence[Fit], what: str) -> float:
    return middle([getattr(f, what) for f in fits]) / middle([getattr(b, what) for b in base])
