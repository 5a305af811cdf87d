"""The course of a training as a picture."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["learning_figure"]


def learning_figure(title: str, history: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Return loss and error over the steps, and below them what the reservoir did.

    Parameters
    ----------
    title : of the figure
    history : columns by name; ``step`` among them, the others as far as they are there
    """
    figure = Figure(figsize=(8.0, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    step = history["step"]
    for name, label in (("loss", "loss of the batches"), ("validation_error", "held-out error")):
        values = history.get(name)
        if values is not None and np.isfinite(values).any():
            known = np.isfinite(values)
            marker = "o" if name == "validation_error" else ""
            above.semilogy(step[known], values[known], marker=marker, ms=3, lw=1, label=label)
    baseline = history.get("baseline_error")
    if baseline is not None and np.isfinite(baseline).any():
        level = float(baseline[np.isfinite(baseline)][-1])
        above.axhline(level, color="0.5", ls="--", lw=1, label="error without a model")
    above.set_ylabel("normalised loss, relative error")
    above.legend(fontsize=8)
    above.grid(alpha=0.3, which="both")
    for name, label in (("admitted", "items that came"), ("unique", "items seen at least once")):
        if name in history:
            known = np.isfinite(history[name])
            below.plot(step[known], history[name][known], lw=1, label=label)
    below.set_xlabel("gradient steps")
    below.set_ylabel("items")
    below.grid(alpha=0.3)
    if below.lines:
        below.legend(fontsize=8)
    figure.suptitle(title)
    return figure
