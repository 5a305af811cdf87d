"""What a study in chunks loses against one sequence: how much of the gain parallel chunks keep.

Chunks of neighbours as the flow makes them, two at a time: the first two begin cold, each later one
with what an earlier one has learned, and all of them set up their own factors and recycle spaces.
"""

import sys
import time
from dataclasses import dataclass, field
from typing import Any, final

from _families import Family, darcy, published
from _fresh import DEFINITE, GENERAL, Fresh
from _own_race import AUTO, Runner
from _report import Report, arguments, middle

from solvers.ordering import chunks

__all__ = ["main"]

# Chunks that run at the same time.
_WORKERS = 2
_FRESH = {True: "Cholesky (MUMPS, AMF)", False: "LU (MUMPS, AMF)"}


@final
@dataclass
class Chunked:
    """The solvers of the chunks, one after another.

    Attributes
    ----------
    family, method : systems and method
    length : systems of a chunk
    seconds : for making the solvers, and for all solves
    states : what the chunks that have ended had learned
    """

    family: Family
    method: str
    length: int
    seconds: float = 0.0
    states: list[Any] = field(default_factory=list)
    runner: Runner | None = None

    def solve(self, first: bool) -> None:
        """Solve the present system; `first` of its chunk."""
        if first:
            self._begin()
        assert self.runner is not None, "begun"
        self.runner.solve(self.family)
        self.seconds += self.runner.seconds[-1]

    def end(self) -> None:
        """Close the present chunk."""
        if self.runner is not None:
            self.states.append(self.runner.solver.state())
            self.runner.solver.destroy()

    def _begin(self) -> None:
        self.end()
        started = time.perf_counter()
        self.runner = Runner.make(self.family, self.method, self.length)
        if len(self.states) >= _WORKERS:
            self.runner.solver.restore(self.states[-_WORKERS])
        self.seconds += time.perf_counter() - started


def measure(report: Report, key: str, family: Family, method: str, size: int) -> list[object]:
    """Solve all systems as one sequence and in chunks, interleaved; return a row."""
    parts = chunks(family.tour, size)
    started = time.perf_counter()
    serial = Runner.make(family, method, len(family.tour))
    making = time.perf_counter() - started
    chunked = Chunked(family, method, size)
    fresh = Fresh((DEFINITE | GENERAL)[_FRESH[family.traits.definite]], family.traits.definite)
    cold: list[float] = []
    for part in parts:
        for place, index in enumerate(part):
            family.fill(int(index))
            if place % 2:
                serial.solve(family)
                chunked.solve(place == 0)
            else:
                chunked.solve(place == 0)
                serial.solve(family)
            if place % 10 == 5:
                cold.append(fresh.solve(family.matrix, family.b).seconds)
    chunked.end()
    serial.solver.destroy()
    systems = len(family.tour)
    total = making + serial.total
    kept = total / chunked.seconds
    report.at_least(f"chunks_{key}_gain_kept", kept, 0.9)
    each = [1e3 * middle(cold), 1e3 * total / systems, 1e3 * chunked.seconds / systems]
    return [family.name, family.size, method, f"{len(parts)} of {size}",
            *[f"{ms:.1f}" for ms in each], f"{kept:.3f}"]  # fmt: skip


def main() -> int:
    """Measure four families."""
    quick = arguments(__doc__).quick
    report = Report("chunks", "What chunks keep of the gain of one sequence", quick=quick)
    n, samples, size = (64, 80, 20) if quick else (100, 200, 50)
    large = 128 if quick else 256
    flat = darcy(n, 2, 25.0, samples)
    smooth = darcy(large, 2, 3.0, samples)
    rows = [
        measure(report, "grid", flat, AUTO, size),
        measure(report, "renumbered", twin(flat), AUTO, size),
        measure(report, "large_renumbered", twin(smooth), AUTO, size),
        measure(report, "recycled", published("darcy", n, samples), "ilu-recycled", size),
    ]
    head = ["family", "unknowns", "method", "chunks", "fresh direct, ms", "one sequence, ms",
            "in chunks, ms", "gain kept"]  # fmt: skip
    report.table(head, rows)
    return report.finish()


def twin(family: Family) -> Family:
    """Return the renumbered family with a `fill` that fills the original first."""
    hidden, own = family.renumbered(), family.fill
    permute = hidden.fill

    def fill(index: int) -> None:
        own(index)
        permute(index)

    hidden.fill = fill
    return hidden


if __name__ == "__main__":
    sys.exit(main())
