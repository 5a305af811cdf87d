"""The figure of enrichment: indicator and true error over time, and when it was enriched."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

__all__ = ["Curves", "draw"]

type _Floats = NDArray[np.float64]

_LEAST = 1e-5


@final
@dataclass(frozen=True, eq=False)
class Curves:
    """What is drawn; (T,) each.

    Attributes
    ----------
    times : s
    plain, plain_eta : true error and indicator as built
    errors, eta : the same of the enriched run
    full : whether the step was of high fidelity
    tolerance : of the indicator
    """

    times: _Floats
    plain: _Floats
    plain_eta: _Floats
    errors: _Floats
    eta: _Floats
    full: NDArray[np.bool_]
    tolerance: float


def draw(curves: Curves, path: Path) -> None:
    """Draw the run as built beside the enriched one."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), sharey=True)
    _panel(left, curves, curves.plain, curves.plain_eta, "as built")
    for number, t in enumerate(curves.times[curves.full]):
        label = "high-fidelity step" if number == 0 else None
        right.axvline(t, color="#009e73", lw=0.8, alpha=0.7, label=label)
    _panel(right, curves, curves.errors, curves.eta, "enriched")
    left.set_ylabel("relative error of accumulated plasticity")
    figure.legend(
        *right.get_legend_handles_labels(), loc="lower center", ncols=4, fontsize=8, frameon=False
    )
    figure.tight_layout(rect=(0.0, 0.06, 1.0, 1.0))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _panel(axis: Axes, curves: Curves, error: _Floats, eta: _Floats, title: str) -> None:
    shown = np.isfinite(eta)
    axis.plot(curves.times, np.maximum(error, _LEAST), color="#d55e00", label="true error")
    axis.plot(
        curves.times[shown], np.maximum(eta[shown], _LEAST), color="#0072b2", label="indicator"
    )  # fmt: skip
    axis.axhline(curves.tolerance, color="k", ls=":", lw=1, label="tolerance")
    axis.set_yscale("log")
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("time, s")
    axis.grid(which="both", color="0.9", lw=0.6)
