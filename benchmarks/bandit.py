"""The bandit over solver configurations: its total against the best fixed one and the default.

Relaxation factors as arms on shifted matrices, the setting of Khodak et al. (2024),
arXiv:2310.02246, where iterations are the cost, are a test: tests/solvers/tuning/test_omega.py.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from _families import Family, darcy, of_problem
from _own_race import Runner, race
from _report import ROOT, Report, arguments
from chunks import twin

from solvers.tuning.regret import RegretCurves, Run, regret_curves

matplotlib.use("Agg")
import matplotlib.pyplot as plt

__all__ = ["main"]


def families(samples: int, *, quick: bool) -> list[Family]:
    """Return families whose best configurations differ, and one whose best ones do not by much."""
    n, cube = (64, 16) if quick else (100, 32)
    return [
        darcy(n, 2, 25.0, samples),
        twin(darcy(n, 2, 25.0, samples)),
        darcy(cube, 3, 25.0, samples),
        of_problem("convection-diffusion", {"cells": 48 if quick else 100}, samples),
    ]


def one(report: Report, family: Family, samples: int) -> tuple[Family, Runner, list[Runner]]:
    """Race on one family and add its table and targets."""
    auto, *fixed = race(family, samples)
    able = sorted((f for f in fixed if not f.stopped), key=lambda f: f.total)
    default = next(f for f in fixed if f.name == auto.solver.arms[0])
    report.section(f"{family.name}, {family.size} unknowns, {samples} solves")
    rows: list[list[object]] = [["**learned**", f"**{auto.total:.3f}**", "1.000", _uses(auto)]]
    rows += [[f.name, f"{f.total:.3f}", f"{f.total / auto.total:.3f}", ""] for f in able]
    rows += [
        [f.name, f"stopped after {len(f.seconds)}", f"> {6:.0f}", ""] for f in fixed if f.stopped
    ]
    report.table(["configuration", "total, s", "of learned", "solves by configuration"], rows)
    key = family.name.lower().replace(" ", "_").replace(",", "")
    share = float(curves(auto, able).share[-1])
    report.at_most(f"bandit_{key}_against_best_fixed", 1.0 + share, 1.05)
    n = len(default.seconds)
    ratios = np.cumsum(auto.seconds[:n]) / np.cumsum(default.seconds)
    worst = float(ratios[min(20, n) - 1 :].max())
    report.at_most(f"bandit_{key}_worst_against_default_{default.name}", worst, 1.1)
    return family, auto, able


def curves(auto: Runner, able: list[Runner]) -> RegretCurves:
    """Return the regret of the learned choice against the best of the fixed ones."""
    runs = [Run(t, 0, seconds) for t, seconds in enumerate(auto.seconds)]
    return regret_curves(runs, np.array([one.seconds for one in able]).T)


def _uses(auto: Runner) -> str:
    names = [r.configuration for r in auto.reports]
    trials = sum(bool(r.tried) for r in auto.reports)
    used = ", ".join(f"{name} {names.count(name)}" for name in dict.fromkeys(names))
    return f"{used}; {trials} trials given up"


def draw(results: list[tuple[Family, Runner, list[Runner]]], path: Path) -> None:
    """Draw the cost beyond the best fixed configuration over the solves."""
    figure, axes = plt.subplots(1, len(results), figsize=(4.6 * len(results), 3.6))
    for axis, (family, auto, able) in zip(np.atleast_1d(axes), results, strict=True):
        best, regret = np.cumsum(able[0].seconds), curves(auto, able).regret
        steps = np.arange(1, len(best) + 1)
        axis.plot(steps, regret, "k", lw=2, label="learned")
        for other in able[1:4]:
            axis.plot(steps, np.cumsum(other.seconds) - best, lw=1, label=other.name)
        axis.fill_between(steps, 0, 0.05 * best[-1], color="0.9", label="5 % of the best total")
        axis.axhline(0, color="0.5", lw=0.8)
        top = max(0.1 * best[-1], 1.1 * float(regret.max()))
        axis.set_ylim(-0.05 * best[-1], 2.5 * top)
        axis.set_title(f"{family.name}\n{family.size} unknowns, best: {able[0].name}", fontsize=9)
        axis.set_xlabel("solves")
        axis.legend(fontsize=7, loc="upper left")
    np.atleast_1d(axes)[0].set_ylabel("seconds beyond the best fixed")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> int:
    """Race on all families."""
    quick = arguments(__doc__).quick
    report = Report("bandit", "The bandit over solver configurations", quick=quick)
    samples = 40 if quick else 200
    results = [one(report, family, samples) for family in families(samples, quick=quick)]
    name = "bandit-quick.png" if quick else "bandit.png"
    draw(results, ROOT / "results" / name)
    report.note(f"![Cost beyond the best fixed configuration]({name})")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
