"""The cube of the reduced structures: parity over cycles, and speed over mesh sizes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import final

import matplotlib
from _report import Report, cores
from _structures_full import Job, full_run
from _structures_reduced import (
    Errors,
    ReducedTimes,
    errors_of,
    first_steps,
    states_of,
    timed,
)

from rom.structures.offline import build_structure
from rom.structures.settings import StructureSettings
from solvers.laws.description import law_from

matplotlib.use("Agg")
import matplotlib.pyplot as plt

__all__ = ["compare_cycles", "compare_sizes"]

# Steps of a cycle of the parity case, and how far Newton's method goes, on both sides.
_STEPS, _TOLERANCE = 10, 1e-8
_SETTINGS = StructureSettings(
    displacement_tolerance=1e-7,
    stress_tolerance=1e-6,
    cubature_tolerance=1e-6,
    dual_tolerance=1e-7,
)
_RANKS = 2


@final
@dataclass(frozen=True)
class _Size:
    """What was measured at one mesh size; times in seconds.

    Attributes
    ----------
    cells : along an edge
    ranks : of the full-order model, the number that was faster
    full, setup : the steps of the full-order model, and what comes before them
    build : making the reduced model from the run
    reduced : its times
    errors : of the reduced run
    modes, points, all_points : of the model
    steps : of a run
    linear : linear solver of the full-order model
    """

    cells: int
    ranks: int
    full: float
    setup: float
    build: float
    reduced: ReducedTimes
    errors: Errors
    modes: int
    points: int
    all_points: int
    steps: int
    linear: str

    @property
    def speed_up(self) -> float:
        """Steps of the full-order model over reduced steps."""
        return self.full / self.reduced.steps

    @property
    def query(self) -> float:
        """A run of the reduced model with its reduced loads, and the fields at all times."""
        return self.reduced.loads + self.reduced.steps + self.steps * self.reduced.fields

    @property
    def offline(self) -> float:
        """The full-order run that taught the model, and the building."""
        return self.setup + self.full + self.build

    @property
    def break_even(self) -> float:
        """Runs from which on the reduced model was worth it; both sides with what is around."""
        gained = self.setup + self.full - self.query
        spent = self.offline + self.reduced.loading
        return spent / gained if gained > 0 else float("inf")


def compare_cycles(report: Report, cells: int, seen: Sequence[int], cycles: int) -> None:
    """Build models of the first cycles, and compare all cycles with a full-order run."""
    job = Job("cube", {"cells": cells, "cycles": cycles, "increments": _STEPS}, {}, _TOLERANCE)
    case, full = job.case(), full_run(job, _RANKS)
    report.section(f"Parity cube, {cells}^3 hexahedra, {cycles} cycles")
    report.note(
        "The judge is a full-order run of all cycles. Largest errors over the steps, relative in "
        "L2; plasticity below a hundredth of its largest norm counts relative to that. Plastic "
        "strain goes on in all cycles, and in the first one the rotation still rises, so that it "
        "says nothing about the second: how many cycles must be seen is part of the answer."
    )
    rows, last = [], (0.0, 0.0, 0.0, 0.0)
    for known in seen:
        steps = known * _STEPS
        model, _ = build_structure(
            case.mesh, law_from(case.law), [first_steps(case, full, steps)], _SETTINGS
        )
        errors = errors_of(model, case, full, states_of(model, case, _TOLERANCE))
        inside, after = slice(steps), slice(steps, steps + _STEPS)
        last = *errors.largest(inside), *errors.largest(after)
        end = errors.largest(slice(steps, None))
        places = f"{len(model.places)} of {case.mesh.n_material_points}"
        rows.append([known, model.rank, places, *last, *end])
    report.table(
        [
            "cycles seen",
            "modes",
            "points",
            "u, seen",
            "p, seen",
            "u, next cycle",
            "p, next cycle",
            f"u, up to cycle {cycles}",
            f"p, up to cycle {cycles}",
        ],
        rows,
    )
    names = ("u-reproduced", "p-reproduced", "u-next-cycle", "p-next-cycle")
    for name, value, limit in zip(names, last, (1e-4, 1e-4, 1e-4, 1e-3), strict=True):
        report.at_most(f"cube-{name}", value, limit)


def compare_sizes(report: Report, sizes: Sequence[int], least: float, repeats: int) -> None:
    """Time steps of both models on finer and finer meshes."""
    report.section("Speed against mesh size: one cycle of the cube")
    report.note(
        f"The full-order model runs on 1 and on {_RANKS} ranks ({cores()} cores) and the faster "
        "way counts, the reduced one runs on one thread; same steps, same tolerance "
        f"{_TOLERANCE:g} of Newton's method relative to the forces. Full-order steps are timed "
        "after one that is thrown away; the set-up is told apart. The reduced model was built from "
        "this very run. Offline: full-order run and building. A query: reduced loads, steps, and "
        "displacement, stress and plasticity on the whole mesh at all times. Break-even: number "
        "of runs from which on offline has paid."
    )
    found = [_measured(cells, repeats) for cells in sizes]
    report.table(
        ["N", "ranks", "linear solver", "full, ms/step", "reduced, ms/step", "**speed-up**"],
        [_speed(one) for one in found],
    )
    report.table(
        ["N", "modes", "points", "of", "error u", "error p"],
        [
            [one.cells, one.modes, one.points, one.all_points, *one.errors.largest(slice(None))]
            for one in found
        ],
    )
    report.table(
        [
            "N",
            "full set-up, s",
            "full run, s",
            "building, s",
            "**offline, s**",
            "loading, s",
            "reduced loads, ms",
            "fields, ms/time",
            "query, s",
            "**break-even, runs**",
        ],
        [_costs(one) for one in found],
    )
    picture = report.path.with_suffix(".png")
    _draw(found, least, picture)
    report.note(f"![speed-up against mesh size]({picture.name})")
    report.at_least(f"cube-speed-up-{sizes[-1]}", found[-1].speed_up, least)
    growth = min(b.speed_up / a.speed_up for a, b in pairwise(found))
    report.at_least("cube-speed-up-growth", growth, 1.0)


def _speed(one: _Size) -> list[object]:
    times = 1e3 * one.full / one.steps, 1e3 * one.reduced.steps / one.steps
    return [one.cells, one.ranks, one.linear, *times, one.speed_up]


def _costs(one: _Size) -> list[object]:
    reduced = one.reduced
    offline = one.setup, one.full, one.build, one.offline
    online = reduced.loading, 1e3 * reduced.loads, 1e3 * reduced.fields, one.query
    return [one.cells, *offline, *online, one.break_even]


def _measured(cells: int, repeats: int) -> _Size:
    job = Job("cube", {"cells": cells, "cycles": 1, "increments": _STEPS}, {}, _TOLERANCE)
    # On small meshes ranks cost more than they bring: the faster way is the baseline.
    runs = {ranks: full_run(job, ranks) for ranks in range(1, _RANKS + 1)}
    ranks = min(runs, key=lambda number: runs[number].total)
    case, full = job.case(), runs[ranks]
    clock = time.perf_counter()
    training = first_steps(case, full, _STEPS)
    model, _ = build_structure(case.mesh, law_from(case.law), [training], _SETTINGS)
    build = time.perf_counter() - clock
    return _Size(
        cells=cells,
        ranks=ranks,
        full=full.total,
        setup=full.setup,
        build=build,
        reduced=timed(model, case, _TOLERANCE, repeats),
        errors=errors_of(model, case, full, states_of(model, case, _TOLERANCE)),
        modes=model.rank,
        points=len(model.places),
        all_points=case.mesh.n_material_points,
        steps=_STEPS,
        linear=full.linear,
    )


def _draw(found: Sequence[_Size], least: float, path: Path) -> None:
    figure, axis = plt.subplots(figsize=(4.8, 3.6))
    sizes = [one.cells for one in found]
    axis.plot(sizes, [one.speed_up for one in found], "o-", color="#0072b2", label="steps")
    whole = [(one.setup + one.full) / one.query for one in found]
    axis.plot(
        sizes, whole, "s--", color="#d55e00", label="runs: set-up, loads and all fields too"
    )  # fmt: skip
    axis.axhline(least, color="k", ls=":", lw=1, label=f"target at {sizes[-1]}: {least:g}")
    axis.set_yscale("log")
    axis.set_xlabel("N (mesh of N x N x N hexahedra)")
    axis.set_ylabel("full-order time / reduced time")
    axis.grid(which="both", color="0.9", lw=0.6)
    axis.legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
