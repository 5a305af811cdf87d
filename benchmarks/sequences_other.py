"""Sequences beyond Darcy: SKR's matrices, fixed operators, waves and winds, and the own choice."""

import sys
import time
from collections import Counter
from typing import Any

from _families import Family, darcy, of_problem, published
from _own_race import AUTO, Runner, race
from _report import Report, arguments
from _whole_sample import whole_sample
from sequences import RULES, compete, show

from solvers.backend import PETSc

__all__ = ["main"]

# About 7 x 10^4, 3.3 x 10^4 (real and imaginary parts) and 10^4 unknowns.
THERMAL: dict[str, Any] = {"cells": 186}
HELMHOLTZ: dict[str, Any] = {}
WIND: dict[str, Any] = {"cells": 100}


def skr_matrices(report: Report, n: int, samples: int) -> None:
    """SKR's own matrices."""
    for kind in ("darcy", "helmholtz"):
        row = compete(published(kind, n, samples), samples)
        show(report, row)
        report.note(f"SKR here: {row.skr.name}, {1e3 * row.skr.seconds:.1f} ms.")
        report.at_least(f"skr_{kind}_n{n * n}_against_skr", row.skr.seconds / row.plain.mean, 10)


def fixed_operator(report: Report, name: str, settings: dict[str, Any], samples: int) -> None:
    """Measure a family with one matrix and many right-hand sides."""
    row = compete(of_problem(name, settings, samples), samples)
    show(report, row)
    skr, own = row.skr.seconds, row.plain.mean
    each, block = _block(row.family, samples)
    report.note(
        f"SKR here: {row.skr.name}, {1e3 * skr:.1f} ms. In blocks of {block} right-hand sides, as "
        f"the flow solves them, {1e3 * each:.2f} ms each with the factorisation."
    )
    report.at_least(f"{name}_n{row.family.size}_against_skr", skr / own, 100)


def _block(family: Family, samples: int, columns: int = 16) -> tuple[float, int]:
    """Return seconds for each right-hand side when they are solved in blocks."""
    solver = Runner.make(family, AUTO, samples).solver
    right = PETSc.Mat().createDense((family.size, columns))
    right.setUp()
    for column, index in enumerate(family.tour[:columns]):
        family.fill(int(index))
        right.getDenseArray()[:, column] = family.b.array_r
    right.assemble()
    solution = right.duplicate()
    started = time.perf_counter()
    for _ in range(samples // columns):
        solver.solve_many(right, solution)
    seconds = time.perf_counter() - started
    solver.destroy()
    return seconds / (samples // columns * columns), columns


def weak_preconditioners(report: Report, families: list[tuple[str, Family, int]]) -> None:
    """Problems where multigrid fails: true Helmholtz, dominating convection."""
    for key, family, samples in families:
        row = compete(family, samples)
        show(report, row)
        used = Counter(r.configuration for r in row.plain.reports).most_common(1)[0][0]
        ratio = row.fresh.seconds / row.plain.mean
        if row.fresh.name.startswith("LU"):
            report.note(
                f"A direct method ({row.fresh.name}) is the best fresh one; SequenceSolver used "
                f"{used} most and is {ratio:.2f} times faster."
            )
            report.at_least(f"{key}_picks_direct_where_it_wins", ratio * ("direct" in used), 1)
        else:
            report.at_least(f"{key}_n{family.size}_against_fresh", ratio, 1.5)


def never_slower(report: Report, families: list[tuple[Family, int]]) -> None:
    """Measure the learned choice against each configuration of its own, fixed."""
    report.section("The learned choice against its own configurations, fixed")
    rows = []
    for family, samples in families:
        auto, *fixed = race(family, samples)
        able = [one for one in fixed if not one.stopped]
        best = min(able, key=lambda one: one.total)
        first = next(one for one in fixed if one.name == auto.solver.arms[0])
        rows.append([
            family.name, family.size, samples, f"{auto.total:.2f}", f"{best.name} {best.total:.2f}",
            f"{auto.total / best.total:.3f}",
            f"{first.name} " + ("stopped" if first.stopped else f"{first.total:.2f}"),
        ])  # fmt: skip
        key = family.name.lower().replace(" ", "_").replace(",", "").replace("'", "")
        report.at_most(f"never_slower_{key}_{family.size}", auto.total / best.total, 1.05)
    head = ["family", "unknowns", "solves", "learned, s", "best fixed, s", "ratio", "default, s"]
    report.table(head, rows)


def _quick(report: Report) -> None:
    skr_matrices(report, 50, 20)
    fixed_operator(report, "poisson", {"cells": 100}, 64)
    whole_sample(report, 100, 20)
    never_slower(report, [(darcy(64, 2, 25.0, 40), 40)])


def _full(report: Report) -> None:
    show(report, compete(darcy(256, 2, 1000.0, 60, jumps=True), 60))
    skr_matrices(report, 100, 200)
    fixed_operator(report, "thermal", THERMAL, 200)
    fixed_operator(report, "poisson", {"cells": 264}, 200)
    weak_preconditioners(
        report,
        [
            ("helmholtz", of_problem("helmholtz", HELMHOLTZ, 40), 40),
            ("convection_diffusion", of_problem("convection-diffusion", WIND, 200), 200),
        ],
    )
    whole_sample(report, 256, 60)
    never_slower(
        report,
        [
            (darcy(100, 2, 3.0, 200), 200),
            (darcy(100, 2, 1000.0, 200, jumps=True), 200),
            (of_problem("convection-diffusion", WIND, 200), 200),
            (published("darcy", 100, 200), 200),
        ],
    )


def main() -> int:
    """Measure everything."""
    quick = arguments(__doc__).quick
    report = Report("sequences_other", "Sequences of linear systems beyond Darcy", quick=quick)
    report.note(RULES)
    (_quick if quick else _full)(report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
