"""Sequences of linear systems: one solver object against every method started afresh, and SKR."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, final

from _families import Family, darcy, published
from _fresh import DEFINITE, GENERAL, Fresh, Result
from _own_race import AUTO, Runner, race
from _report import Report, arguments, middle
from _skr import Skr

__all__ = ["main"]

# Seconds that a competitor may take for a family, and its most samples.
_PATIENCE, _SAMPLES = 10.0, 10


@final
@dataclass
class Competitor:
    """A method and its results so far."""

    name: str
    method: Fresh | Skr
    results: list[Result] = field(default_factory=list)
    spent: float = 0.0

    @property
    def tired(self) -> bool:
        """Whether it has had its samples or its time."""
        return self.spent > _PATIENCE or len(self.results) >= _SAMPLES

    @property
    def failed(self) -> bool:
        """Whether any solution misses the tolerance (by more than a tenth)."""
        return any(not result.residual <= 1.1e-8 for result in self.results)

    @property
    def seconds(self) -> float:
        """Median seconds of a solve."""
        return middle([result.seconds for result in self.results])

    def solve(self, family: Family) -> None:
        """Solve the present system."""
        started = time.perf_counter()
        self.results.append(self.method.solve(family.matrix, family.b))
        self.spent += time.perf_counter() - started


@final
@dataclass
class Row:
    """The outcome for one family."""

    family: Family
    competitors: list[Competitor]
    plain: Runner
    grid: Runner | None

    @property
    def fresh(self) -> Competitor:
        """The best method that starts afresh and reaches the tolerance."""
        able = [c for c in self.competitors if isinstance(c.method, Fresh) and not c.failed]
        return min(able, key=lambda c: c.seconds)

    @property
    def skr(self) -> Competitor:
        """SKR with the better of its preconditioners."""
        return min((c for c in self.competitors if isinstance(c.method, Skr)), key=lambda c: c.seconds)


def compete(family: Family, samples: int, *, skip: tuple[str, ...] = ()) -> Row:
    """Run everything over the same systems, interleaved.

    SKR needs neighbours and gets the first ones; the fresh methods get systems from all parts.
    """
    methods = DEFINITE if family.traits.definite else GENERAL
    fresh = [Competitor(name, Fresh(o)) for name, o in methods.items() if name not in skip]
    skr = [Competitor(f"SKR, {pc.upper()}", Skr(pc)) for pc in ("ilu", "sor")]
    plain = Runner.make(family, AUTO, samples, grid=False)
    grid = Runner.make(family, AUTO, samples, grid=True) if family.traits.grid else None
    stride = max(samples // _SAMPLES, 1)
    for step, index in enumerate(family.tour[:samples]):
        family.fill(int(index))
        for runner in (plain, grid):
            if runner is not None:
                runner.solve(family)
        for one in skr if step < _SAMPLES else []:
            if not one.tired:
                one.solve(family)
        for one in fresh if step % stride == stride - 1 else []:
            if not one.tired:
                one.solve(family)
    for runner in (plain, grid):
        if runner is not None:
            runner.solver.destroy()
    return Row(family, [*fresh, *skr], plain, grid)


def show(report: Report, row: Row) -> None:
    """Add the table of one family."""
    family, best = row.family, row.fresh
    report.section(f"{family.name}, {family.size} unknowns")
    lines: list[list[object]] = [
        [
            c.name,
            f"{1e3 * c.seconds:.1f}",
            len(c.results),
            int(middle([r.iterations for r in c.results])),
            f"{max(r.residual for r in c.results):.1e}" + (" (missed)" if c.failed else ""),
            f"{c.seconds / best.seconds:.2f}",
        ]
        for c in sorted(row.competitors, key=lambda c: c.seconds)
    ]
    for name, runner in (("SequenceSolver", row.plain), ("SequenceSolver, grid known", row.grid)):
        if runner is not None:
            lines.append(_own(name, runner, best.seconds))
    head = ["method", "ms per system", "systems", "iterations", "largest residual", "of best fresh"]
    report.table(head, lines)
    report.note("; ".join(_used(row)))


def _own(name: str, runner: Runner, best: float) -> list[object]:
    iterations = middle([r.work.iterations for r in runner.reports])
    return [
        f"**{name}** (mean with all set-ups and trials)",
        f"**{1e3 * runner.mean:.1f}**",
        len(runner.seconds),
        int(iterations),
        f"{runner.residual:.1e}",
        f"**{runner.mean / best:.2f}**",
    ]


def _used(row: Row) -> list[str]:
    texts = []
    for name, runner in (("SequenceSolver", row.plain), ("with the grid", row.grid)):
        if runner is None:
            continue
        counts = Counter(r.configuration for r in runner.reports)
        median = 1e3 * middle(runner.seconds)
        texts.append(
            f"{name} used {', '.join(f'{k} {v}' for k, v in counts.most_common())} "
            f"(median {median:.1f} ms)"
        )
    return texts


def gain(report: Report, row: Row, target: str, limit: float) -> None:
    """Record how many times faster than the best fresh method the matrix-only solver is."""
    report.at_least(target, row.fresh.seconds / row.plain.mean, limit)
    if row.grid is not None:
        report.note(
            f"Against the best fresh method ({row.fresh.name}): {row.fresh.seconds / row.plain.mean:.2f} "
            f"times faster; with the grid known {row.fresh.seconds / row.grid.mean:.2f} times."
        )


def definite(report: Report, sizes: dict[int, tuple[int, ...]], contrasts: Any, samples: int) -> None:
    """Corrected Darcy in two and three dimensions."""
    for dimension, cells in sizes.items():
        for n in cells:
            for contrast in contrasts:
                family = darcy(n, dimension, contrast, samples)
                skip = ("Cholesky (PETSc)",) if dimension == 3 else ()
                skip += ("Cholesky (MUMPS)",) if n**dimension > 2e5 else ()
                row = compete(family, samples, skip=skip)
                show(report, row)
                limit = 2.5 if dimension == 2 else 1.5
                gain(report, row, f"darcy{dimension}d_n{n**dimension}_c{contrast:g}", limit)


def skr_matrices(report: Report, n: int, samples: int) -> None:
    """SKR's own matrices."""
    for kind in ("darcy", "helmholtz"):
        row = compete(published(kind, n, samples), samples)
        show(report, row)
        report.note(f"SKR here: {row.skr.name}, {1e3 * row.skr.seconds:.1f} ms.")
        report.at_least(f"skr_{kind}_n{n * n}_against_skr", row.skr.seconds / row.plain.mean, 10)


def never_slower(report: Report, families: list[tuple[Family, int]]) -> None:
    """The learned choice against each configuration of its own, fixed."""
    report.section("The learned choice against its own configurations, fixed")
    rows = []
    for family, samples in families:
        auto, *fixed = race(family, samples, grid=False)
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


def main() -> int:
    """Measure everything."""
    quick = arguments(__doc__).quick
    report = Report("sequences", "Sequences of linear systems", quick=quick)
    report.note(
        "One process, one thread. All methods reach a relative true residual of 1e-8 and get the "
        "same assembled matrices; `SequenceSolver` is charged with everything (set-ups, trials, "
        "checks) over all its systems, the others with a set-up and a solve each. Systems are "
        "sorted by nearest neighbours; SKR recycles along that order."
    )
    samples = 20 if quick else 200
    sizes = {2: (64,), 3: (16,)} if quick else {2: (100, 256, 400), 3: (32, 64)}
    definite(report, sizes, (25.0,) if quick else (3.0, 25.0, 1000.0), samples)
    skr_matrices(report, 50 if quick else 100, samples)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
