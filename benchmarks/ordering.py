"""Ordering random fields: seconds and length of tours, against the published greedy tour.

Fields as in Wang et al. (2024), arXiv:2401.09516: Gaussian, alpha = 2.5, tau = 7, 100 x 100 pixels.
A tour's length is the sum of the distances between consecutive full fields.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from _report import Report, arguments, interleaved, middle, number
from numpy.typing import NDArray
from scipy import fft

from solvers.ordering import order
from solvers.samplers.random_field import GaussianRandomFieldSampler

__all__ = ["main"]

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

PIXELS = 100
MODES = 4000  # leaves out 2 parts in 10^5 of the variance
SEED = 20241
BLOCK = 500
# Up to this many fields the published greedy tour is timed; beyond, it takes minutes to hours.
STREAMED = 1000


def fields(n: int, seed: int = SEED) -> Floats:
    """Return random fields of zero mean as rows, shape (n, PIXELS^2).

    Without the constant mode, as the published generator of such fields.
    """
    law = GaussianRandomFieldSampler(seed=seed, modes=MODES, tau=7.0, alpha=2.5)
    (j, k), scale = law.wave_numbers[:, :2].T, np.sqrt(law.spectrum)
    rng = np.random.default_rng(seed)
    found = np.empty((n, PIXELS**2))
    for low in range(0, n, BLOCK):
        count = min(BLOCK, n - low)
        waves = np.zeros((count, PIXELS, PIXELS))
        waves[:, j, k] = scale * rng.standard_normal((count, MODES))
        waves[:, 0, 0] = 0
        rows = PIXELS * fft.idctn(waves, axes=(1, 2), norm="ortho")
        found[low : low + count] = rows.reshape(count, -1)
    return found


def length(points: Floats, tour: Integers) -> float:
    """Return the length of a path through the full rows."""
    total = 0.0
    for low in range(0, len(tour) - 1, BLOCK):
        steps = np.diff(points[tour[low : low + BLOCK + 1]], axis=0)
        total += float(np.linalg.norm(steps, axis=1).sum())
    return total


def greedy_by_products(points: Floats) -> Integers:
    """Return the greedy tour from one matrix of all inner products: n^2 numbers of memory.

    The strongest form of the competitor: the same tour, with the distances of all pairs computed
    at once by a matrix product.
    """
    products = points @ points.T
    halves = 0.5 * np.diag(products)
    tour, here = np.empty(len(points), dtype=np.int64), int(np.argmin(halves))
    for step in range(len(points)):
        tour[step], halves[here] = here, np.inf
        here = int(np.argmin(halves - products[here]))
    return tour


def timed(action: Callable[[], Integers], found: list[Integers]) -> Callable[[], float]:
    """Return an action that keeps its tour in `found` and returns its seconds."""

    def run() -> float:
        start = time.perf_counter()
        tour = action()
        seconds = time.perf_counter() - start
        found[:] = [tour]
        return seconds

    return run


def race(points: Floats, repeats: int) -> dict[str, tuple[float, Integers]]:
    """Return median seconds and tour of each competitor."""
    names: dict[str, Callable[[], Integers]] = {
        "products": lambda: greedy_by_products(points),
        "scalable": lambda: order(points, method="scalable"),
    }
    if len(points) <= STREAMED:
        names["greedy"] = lambda: order(points, method="greedy")
    tours: dict[str, list[Integers]] = {name: [] for name in names}
    actions = {name: timed(action, tours[name]) for name, action in names.items()}
    seconds = interleaved(repeats, **actions)
    return {name: (middle(seconds[name]), tours[name][0]) for name in names}


def on_fields(report: Report, sizes: tuple[int, ...], repeats: int) -> None:
    """Compare the tours through fields of several numbers of samples."""
    report.section(f"Random fields, {PIXELS} x {PIXELS} pixels")
    all_fields = fields(max(sizes))
    rows = [compared(report, all_fields[:n], repeats) for n in sizes]
    report.at_most(f"seconds_{max(sizes)}_fields", float(rows[-1][4]), 2.0)
    head = [
        "fields",
        "greedy, as published, s",
        "greedy, one matrix product, s",
        "its length",
        "scalable, s",
        "its length",
        "scalable / greedy",
    ]
    report.table(head, rows)
    report.note(
        "Lengths are relative to the fields in the order drawn (random: 1). Both forms of greedy "
        "give one tour; the second holds all n^2 inner products. Seconds are medians of "
        f"{repeats} interleaved runs on one thread, the reduction to principal coordinates "
        "included. As published, greedy costs O(n^2): ten times the fields, a hundred times the "
        "time."
    )


def compared(report: Report, points: Floats, repeats: int) -> list[float | str]:
    """Return one row of the table, and record its targets."""
    n, found = len(points), race(points, repeats)
    plain = length(points, np.arange(n))
    greedy, scalable = (length(points, found[k][1]) / plain for k in ("products", "scalable"))
    if "greedy" in found:
        equal = np.array_equal(found["greedy"][1], found["products"][1])
        report.at_least(f"greedy_forms_agree_{n}", float(equal), 1)
    report.at_most(f"length_over_greedy_{n}", scalable / greedy, 1.05)
    streamed = number(found["greedy"][0]) if "greedy" in found else "not run"
    times = found["products"][0], found["scalable"][0]
    return [str(n), streamed, times[0], greedy, times[1], scalable, scalable / greedy]


def on_points(report: Report, n: int, dimensions: tuple[int, ...]) -> None:
    """Show many samples in few dimensions, where pools bound the cost."""
    report.section(f"{n} points in few dimensions")
    rows = []
    for d in dimensions:
        points = np.random.default_rng(SEED).random((n, d))
        start = time.perf_counter()
        tour = order(points, method="scalable")
        seconds = time.perf_counter() - start
        rows.append([d, seconds, length(points, tour) / length(points, np.arange(n))])
        report.at_most(f"seconds_{n}_points_{d}_dimensions", seconds, 60)
    report.table(["dimensions", "scalable, s", "its length (random: 1)"], rows)
    report.note("Uniform in the unit cube, one run each.")


def published(report: Report) -> None:
    """Quote what others report."""
    report.section("Published, on other machines")
    rows = [
        ["greedy on raw fields, as SKR sorts", "7.3", "592.7"],
        ["truncated Fourier coefficients, as SCSF sorts", "1.44", "151.1"],
    ]
    report.table(["sort", "10^3 samples, s", "10^4 samples, s"], rows)
    report.note(
        "Both rows are figures of SCSF, arXiv:2510.23215, as the project's reference on sequences "
        "of linear systems quotes them (section 2). No lengths of tours are given there; machine "
        "and fields differ, so only the tables above compare like with like. Greedy itself is "
        "algorithm 1 of SKR, arXiv:2401.09516."
    )


def main() -> int:
    """Measure times and lengths."""
    quick = arguments(__doc__).quick
    report = Report("ordering", "Ordering samples: seconds and tour lengths", quick=quick)
    on_fields(report, (100, 1000) if quick else (100, 1000, 10_000), 3)
    on_points(report, 20_000 if quick else 100_000, (10,) if quick else (10, 20))
    published(report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
