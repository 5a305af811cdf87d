"""Sequences of linear systems: one solver object against every method started afresh, and SKR."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, final

from _families import Family, darcy
from _fresh import DEFINITE, GENERAL, Fresh, Result
from _own_race import AUTO, Runner
from _report import Report, arguments, middle
from _skr import Skr

__all__ = ["RULES", "Row", "compete", "main", "show"]

# Seconds that a competitor may take for a family, and its most samples.
_PATIENCE, _SAMPLES, _LEAST = 3.0, 10, 4
_HIDDEN = "SequenceSolver, unknowns renumbered"
MUMPS = ("Cholesky (MUMPS)", "Cholesky (MUMPS, AMD)", "Cholesky (MUMPS, AMF)")
RULES = (
    "One process, one thread. All methods reach a relative true residual of 1e-8 and get the "
    "same assembled matrices; `SequenceSolver` is charged with everything (set-ups, trials, "
    "checks) over all its systems, the others with a set-up and a solve each. Systems are "
    "sorted by nearest neighbours; SKR recycles along that order. Where unknowns are renumbered "
    "(reverse Cuthill-McKee), the grid cannot be seen in the pattern."
)


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
        """Whether it has had its samples or its time; a method that recycles gets four at least."""
        enough = len(self.results) >= (_LEAST if isinstance(self.method, Skr) else 1)
        return (enough and self.spent > _PATIENCE) or len(self.results) >= _SAMPLES

    @property
    def failed(self) -> bool:
        """Whether any solution misses the tolerance (by more than a tenth)."""
        return any(not result.residual <= 1.1e-8 for result in self.results)

    @property
    def seconds(self) -> float:
        """Median seconds of a solve; without the first one where that had nothing to recycle."""
        counted = self.results[1:] if isinstance(self.method, Skr) else self.results
        return middle([result.seconds for result in counted])

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
    hidden: Runner | None

    @property
    def fresh(self) -> Competitor:
        """The best method that starts afresh and reaches the tolerance."""
        able = [c for c in self.competitors if isinstance(c.method, Fresh) and not c.failed]
        return min(able, key=lambda c: c.seconds)

    @property
    def skr(self) -> Competitor:
        """SKR with the better of its preconditioners."""
        every = [c for c in self.competitors if isinstance(c.method, Skr)]
        return min([c for c in every if not c.failed] or every, key=lambda c: c.seconds)


def compete(
    family: Family, samples: int, *, skip: tuple[str, ...] = (), renumber: bool = False
) -> Row:
    """Run everything over the same systems, interleaved.

    SKR needs neighbours and gets the first ones; the fresh methods get systems from all parts.
    """
    twin = family.renumbered() if renumber else None
    methods = DEFINITE if family.traits.definite else GENERAL
    definite = family.traits.definite
    fresh = [Competitor(n, Fresh(o, definite)) for n, o in methods.items() if n not in skip]
    skr = [Competitor(f"SKR, {pc.upper()}", Skr(pc)) for pc in ("ilu", "sor")]
    plain = Runner.make(family, AUTO, samples)
    hidden = None if twin is None else Runner.make(twin, AUTO, samples)
    stride = max(samples // _SAMPLES, 1)
    for step, index in enumerate(family.tour[:samples]):
        family.fill(int(index))
        plain.solve(family)
        if twin is not None and hidden is not None:
            twin.fill(int(index))
            hidden.solve(twin)
        for one in skr if step < _SAMPLES else []:
            if not one.tired:
                one.solve(family)
        for one in fresh if step % stride == stride - 1 else []:
            if not one.tired:
                one.solve(family)
    for runner in (plain, hidden):
        if runner is not None:
            runner.solver.destroy()
    return Row(family, [*fresh, *skr], plain, hidden)


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
    for name, runner in (("SequenceSolver", row.plain), (_HIDDEN, row.hidden)):
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
    for name, runner in (("SequenceSolver", row.plain), ("renumbered", row.hidden)):
        if runner is None:
            continue
        counts = Counter(r.configuration for r in runner.reports)
        median = 1e3 * middle(runner.seconds)
        texts.append(
            f"{name} used {', '.join(f'{k} {v}' for k, v in counts.most_common())} "
            f"(median {median:.1f} ms"
            + (f"; {runner.refused} refused as beyond double precision)" if runner.refused else ")")
        )
    return texts


def gain(report: Report, row: Row, target: str, limit: float) -> None:
    """Record how many times faster than the best fresh method the solver is.

    It sees the grid in the pattern; what it can do where unknowns are numbered as in a mesh is a
    target of its own.
    """
    best = row.fresh.seconds
    assert row.hidden is not None, "renumbered"
    report.note(
        f"Against the best fresh method ({row.fresh.name}): {best / row.plain.mean:.2f} times "
        f"faster, {best / row.hidden.mean:.2f} times where renumbering hides the grid."
    )
    report.at_least(target, best / row.plain.mean, limit)
    report.at_least(f"{target}_renumbered", best / row.hidden.mean, limit)


def definite(
    report: Report, sizes: dict[int, tuple[int, ...]], contrasts: Any, samples: int
) -> None:
    """Corrected Darcy in two and three dimensions."""
    for dimension, cells in sizes.items():
        for n in cells:
            for contrast in contrasts:
                # The largest take too long for more.
                count = samples if n**dimension < 1e5 else min(samples, 60)
                family = darcy(n, dimension, contrast, count)
                skip = ("Cholesky (PETSc)",) if dimension == 3 else ()
                skip += MUMPS if n**dimension > 2e5 else ()
                row = compete(family, count, skip=skip, renumber=True)
                show(report, row)
                if skip:
                    report.note(f"Not run, far too slow here: {', '.join(skip)}.")
                limit = 2.5 if dimension == 2 else 1.5
                gain(report, row, f"darcy{dimension}d_n{n**dimension}_c{contrast:g}", limit)


def main() -> int:
    """Measure Darcy's systems."""
    quick = arguments(__doc__).quick
    report = Report("sequences", "Sequences of linear systems", quick=quick)
    report.note(RULES)
    if quick:
        definite(report, {2: (100,), 3: (20,)}, (25.0,), 40)
    else:
        definite(report, {2: (100, 256, 400), 3: (32, 64)}, (3.0, 25.0, 1000.0), 200)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
