"""When recycling a subspace pays: products with the matrix, and time, recycled against cold.

Sequences of 12 systems. `cold` is the same method without a recycle space: plain CG, or restarted
GMRES; a method that keeps its space within a solve only (deflated restarting) stands between them.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import matplotlib
import numpy as np
from _families import Family, darcy, of_problem
from _report import ROOT, Report, arguments, middle

from solvers.backend import PETSc
from solvers.krylov.deflated_cg import DeflatedCG
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.linear_operator import Operator
from solvers.krylov.method import RecyclingMethod
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import Tolerance

matplotlib.use("Agg")
import matplotlib.pyplot as plt

__all__ = ["main"]

SYSTEMS, SETTLED = 12, 3


@final
@dataclass(frozen=True)
class Case:
    """A sequence and how it is solved."""

    name: str
    family: Family
    fill: Callable[[int], None]
    preconditioner: str
    definite: bool
    same: bool = False

    def methods(self) -> dict[str, RecyclingMethod]:
        """Return cold, restarted and recycling methods."""
        if self.definite:
            return {"cold": DeflatedCG(0), "recycled": DeflatedCG(20)}
        return {"cold": GCRODR(40, 0), "restarted": GCRODR(40, 20), "recycled": GCRODR(40, 20)}


def run(case: Case) -> dict[str, list[tuple[int, float]]]:
    """Return products and seconds of each solve, by method; interleaved."""
    methods = case.methods()
    spaces = {name: RecycleSpace.empty(case.family.size) for name in methods}
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in methods}
    pc: Any = PETSc.PC().create(case.family.matrix.comm)
    pc.setType(case.preconditioner)
    operator = Operator(case.family.matrix, pc)
    x = np.zeros(case.family.size)
    for step in range(SYSTEMS):
        case.fill(step)
        pc.setOperators(case.family.matrix)
        pc.setUp()
        for name, method in methods.items():
            x[:] = 0.0
            empty = name != "recycled"
            space = RecycleSpace.empty(case.family.size) if empty else spaces[name]
            started = time.perf_counter()
            done = method.solve(
                operator,
                case.family.b.getArray(readonly=True),
                x,
                space,
                same=case.same and step > 0 and not empty,
                tolerance=Tolerance(rtol=1e-8),
            )
            found[name].append((done.products, time.perf_counter() - started))
            spaces[name] = done.space
    operator.destroy()
    pc.destroy()
    return found


def cases(n: int) -> list[Case]:
    """Return the sequences."""
    made = []
    rng = np.random.default_rng(5)

    def random_right(family: Family) -> Callable[[int], None]:
        def fill(_step: int) -> None:
            family.b.setArray(rng.standard_normal(family.size))

        return fill

    for pc in ("jacobi", "icc"):
        same = darcy(n, 2, 3.0, 2)
        made.append(Case(f"one SPD matrix, new right-hand sides, CG+{pc.upper()}", same,
                         random_right(same), pc, True, same=True))  # fmt: skip
    for contrast in (3.0, 25.0, 1000.0):
        family = darcy(n, 2, contrast, 100)
        made.append(Case(f"sorted independent Darcy fields, contrast {contrast:g}, CG+ICC", family,
                         _along(family), "icc", True))  # fmt: skip
        if contrast != 25.0:
            made.append(Case(f"the same, contrast {contrast:g}, GMRES(40)+JACOBI", family,
                             _along(family), "jacobi", False))  # fmt: skip
    wind = of_problem("convection-diffusion", {"cells": n}, SYSTEMS)
    made.append(Case("random wind, GMRES(40)+ILU", wind, _along(wind), "ilu", False))
    still = of_problem("convection-diffusion", {"cells": n}, 2)
    made.append(Case("one wind, new right-hand sides, GMRES(40)+ILU", still, random_right(still),
                     "ilu", False, same=True))  # fmt: skip
    return made


def _along(family: Family) -> Callable[[int], None]:
    return lambda step: family.fill(int(family.tour[step]))


def draw(results: list[tuple[Case, dict[str, list[tuple[int, float]]]]], name: str) -> None:
    """Draw the share of products and of time that recycling leaves."""
    figure, axis = plt.subplots(figsize=(8.6, 0.42 * len(results) + 1.4))
    places = np.arange(len(results))[::-1]
    for shift, column, label, colour in ((0.18, 0, "products with the matrix", "#4878cf"),
                                         (-0.18, 1, "time", "#d65f5f")):  # fmt: skip
        shares = [_share(found, column) for _, found in results]
        axis.barh(places + shift, shares, 0.34, color=colour, label=label)
    axis.axvline(1.0, color="k", lw=1)
    axis.set_yticks(places, [case.name for case, _ in results], fontsize=8)
    axis.set_xlabel("recycled / cold, median of settled solves (below 1: recycling pays)")
    axis.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(ROOT / "results" / name, dpi=140)
    plt.close(figure)


def _share(found: dict[str, list[tuple[int, float]]], column: int) -> float:
    cold, own = (
        middle([float(one[column]) for one in found[name][SETTLED:]])
        for name in ("cold", "recycled")
    )
    return own / cold


def main() -> int:
    """Run all sequences."""
    quick = arguments(__doc__).quick
    report = Report("recycling", "When recycling pays", quick=quick)
    results = [(case, run(case)) for case in cases(40 if quick else 100)]
    rows = []
    for case, found in results:
        settled = {k: v[SETTLED:] for k, v in found.items()}
        counts = {k: int(middle([float(p) for p, _ in v])) for k, v in settled.items()}
        times = {k: 1e3 * middle([s for _, s in v]) for k, v in settled.items()}
        rows.append([
            case.name, counts["cold"], counts.get("restarted", ""), counts["recycled"],
            f"{_share(found, 0):.2f}", f"{times['cold']:.1f}", f"{times['recycled']:.1f}",
            f"{_share(found, 1):.2f}",
        ])  # fmt: skip
    report.section(f"Medians of solves {SETTLED + 1} to {SYSTEMS}")
    head = ["sequence", "products cold", "deflated restarting", "recycled", "ratio",
            "ms cold", "ms recycled", "ratio"]  # fmt: skip
    report.table(head, rows)
    name = "recycling-quick.png" if quick else "recycling.png"
    draw(results, name)
    report.note(f"![Recycled against cold]({name})")
    report.at_most("same_spd_matrix_products", _share(results[0][1], 0), 1 / 1.8)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
