"""Empirical cubature: ours, the published algorithm, and the latter with SciPy's faster solver.

All find positive weights for the same integrands to the same tolerance.
"""

import sys
import time
from dataclasses import dataclass
from typing import final

import numpy as np
from _cubature_field import block, integrands
from _cubature_published import matching_pursuit
from _report import Report, arguments, middle
from numpy.typing import NDArray

from rom.cubature.integrands import Integrands
from rom.cubature.rule import cubature

__all__ = ["main"]

_TOLERANCE = 1e-4


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What one method found, in `seconds` (median) and `steps`."""

    points: NDArray[np.int64]
    weights: NDArray[np.float64]
    steps: int
    seconds: float


def ours(functions: Integrands, repeats: int) -> Outcome:
    """Run ours a few times."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        rule = cubature(functions, _TOLERANCE)
        seconds.append(time.perf_counter() - start)
    return Outcome(rule.points, rule.weights, rule.steps, middle(seconds))


def published(functions: Integrands, solver: str) -> Outcome:
    """Run the published algorithm once: it takes long."""
    G = functions.at(slice(None))
    start = time.perf_counter()
    found = matching_pursuit(
        G, functions.weights, _TOLERANCE, solver=solver, rng=np.random.default_rng(0)
    )
    return Outcome(found.points, found.weights, found.solves, time.perf_counter() - start)


def quality(functions: Integrands, found: Outcome) -> tuple[float, float, float]:
    """Return residual and volume error, both relative, and the least weight."""
    exact = functions.integrals()
    away = functions.at(found.points) @ found.weights - exact
    residual = float(np.linalg.norm(away) / np.linalg.norm(exact))
    volume = abs(float(found.weights.sum()) / functions.volume - 1.0)
    return residual, volume, float(found.weights.min())


def main() -> int:
    """Compare."""
    quick = arguments(__doc__).quick
    report = Report("cubature", "Empirical cubature", quick=quick)
    n, modes = (9, 22) if quick else (12, 30)
    functions = integrands(block(n, 3, 30), modes, modes)
    report.note(
        f"{functions.functions} integrands at {functions.points} points, tolerance {_TOLERANCE:g}. "
        "Integrands are ready in memory for all; everything else counts, ours with its "
        "compression and the check of the residual on all integrands. The published algorithm is "
        "run without its random points, which only add solves."
    )
    found = {
        "ours": ours(functions, 3),
        "published": published(functions, "bvls"),
        "published, with SciPy's nnls": published(functions, "nnls"),
    }
    head = ["method", "s", "steps", "points", "residual", "volume error", "least weight"]
    rows = [
        [name, own.seconds, own.steps, len(own.points), *quality(functions, own)]
        for name, own in found.items()
    ]
    report.table(head, rows)
    _targets(report, functions, found["ours"], found["published"])
    return report.finish()


def _targets(report: Report, functions: Integrands, own: Outcome, other: Outcome) -> None:
    residual, volume, least = quality(functions, own)
    report.at_least("cubature-speed-up", other.seconds / own.seconds, 5.0)
    report.at_most("cubature-points", len(own.points) / len(other.points), 1.0)
    report.at_most("cubature-residual", residual, _TOLERANCE)
    report.at_most("cubature-volume-error", volume, 1e-6)
    report.at_least("cubature-least-weight", least, np.finfo(float).tiny)


if __name__ == "__main__":
    sys.exit(main())
