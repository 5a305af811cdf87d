"""The figure of `online_offline`: validation error over gradient steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import matplotlib
from _papers_cases import Case
from _papers_runs import Run

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

__all__ = ["draw"]

# Colours that people with the common kinds of colour blindness can tell apart.
_COLOURS = {"offline": "#d55e00", "online": "#0072b2", "all stored": "#555555"}


def draw(results: Mapping[Case, Sequence[Run]], labels: Mapping[str, str], path: Path) -> None:
    """Draw a panel for each kind: seeds thin, their median thick, the baseline dotted.

    Parameters
    ----------
    results : all trainings by case
    labels : of the ways in the legend
    path : of the picture
    """
    figure, axes = plt.subplots(1, len(results), figsize=(4.2 * len(results), 3.8), squeeze=False)
    for axis, (case, runs) in zip(axes[0], results.items(), strict=True):
        for way, label in labels.items():
            _curves(axis, [run for run in runs if run.way == way], _COLOURS[way], label)
        baseline = runs[0].metrics["baseline_error"]
        axis.axhline(baseline, color="k", ls=":", lw=1, label="no model")
        axis.set_yscale("log")
        axis.set_title(case.title.replace("`", ""), fontsize=9)
        axis.set_xlabel("gradient steps")
        axis.grid(which="both", color="0.9", lw=0.6)
    axes[0][0].set_ylabel("relative error on held-out trajectories")
    shown = axes[0][0].get_legend_handles_labels()
    figure.legend(*shown, loc="lower center", ncols=4, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0.0, 0.06, 1.0, 1.0))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _curves(axis: Axes, runs: Sequence[Run], colour: str, label: str) -> None:
    for run in runs:
        axis.plot(run.steps, run.errors, color=colour, lw=0.6, alpha=0.6)
    curves = [dict(zip(run.steps, run.errors, strict=True)) for run in runs]
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    middle = [median(curve[step] for curve in curves) for step in steps]
    if steps:
        axis.plot(steps, middle, color=colour, lw=1.8, label=label)
