"""Pictures of a reduced model: its modes, its errors, what it says about them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

__all__ = [
    "enrichment_figure",
    "indicator_figure",
    "modes_figure",
    "separation_figure",
    "singular_values_figure",
]

type _Floats = NDArray[np.float64]

_SIZE = (6.4, 4.2)
_MET, _MISSED = "tab:blue", "tab:red"


def singular_values_figure(values: _Floats, rank: int) -> Figure:
    """Return the decay of the singular values.

    Parameters
    ----------
    values : all that were computed, descending
    rank : how many modes the model keeps
    """
    figure = Figure(figsize=_SIZE, layout="constrained")
    axis = figure.subplots()
    number = np.arange(1, len(values) + 1)
    relative = values / values[0]
    axis.semilogy(number[:rank], relative[:rank], "o", ms=4, label=f"the model's {rank} modes")
    if rank < len(values):
        axis.semilogy(number[rank:], relative[rank:], ".", color="0.6", ms=4, label="left out")
    axis.set_xlabel("mode")
    axis.set_ylabel("singular value over the first")
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    return figure


def modes_figure(projection: _Floats, truncated: _Floats) -> Figure:
    """Return the error of held-out simulations over the number of modes.

    Parameters
    ----------
    projection : (m, r) relative errors of the best approximation by 1 to r modes
    truncated : (m, r) relative errors of the model with so many; may be empty
    """
    figure = Figure(figsize=_SIZE, layout="constrained")
    axis = figure.subplots()
    number = np.arange(1, projection.shape[1] + 1)
    for values, label, colour in (
        (projection, "best approximation", "tab:green"),
        (truncated, "model", "tab:blue"),
    ):
        if values.size:
            low, middle, high = np.quantile(values, (0.1, 0.5, 0.9), axis=0)
            axis.semilogy(number, middle, marker="o", ms=3, lw=1, color=colour, label=label)
            axis.fill_between(number, low, high, color=colour, alpha=0.15, lw=0)
    axis.set_xlabel("number of modes")
    _percent(axis.yaxis)
    axis.set_ylabel("relative error: median, 10 % to 90 %")
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    return figure


def indicator_figure(errors: _Floats, eta: _Floats, level: float) -> Figure:
    """Return what the indicator says over what is true.

    Parameters
    ----------
    errors, eta : (m,) true error and indicator of each held-out simulation
    level : probability that the indicator promises
    """
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axis = figure.subplots()
    both = np.concatenate([errors, eta])
    ends = np.array([both[both > 0].min(initial=1.0) / 1.5, both.max(initial=1e-300) * 1.5])
    axis.fill_between(ends, ends, 3 * ends, color="0.5", alpha=0.12, lw=0, label="1 to 3 times")
    axis.loglog(ends, ends, color="0.3", lw=1)
    below = errors <= eta
    for chosen, colour, text in ((below, _MET, "below"), (~below, _MISSED, "above")):
        count = int(chosen.sum())
        label = f"error {text} its indicator: {count} of {len(errors)}"
        axis.plot(errors[chosen], eta[chosen], "o", ms=4, color=colour, label=label)
    for side in (axis.xaxis, axis.yaxis):
        _percent(side)
    axis.set_xlim(*ends)
    axis.set_ylim(*ends)
    axis.set_aspect("equal")
    axis.set_xlabel("true relative error")
    axis.set_ylabel(f"indicator, for a probability of {level:.0%}")
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8, loc="lower right")
    return figure


def separation_figure(inside: _Floats, outside: _Floats) -> Figure:
    """Return the scores of queries in and out of range, as shares up to each score.

    Parameters
    ----------
    inside, outside : scores, up to 1 in range
    """
    figure = Figure(figsize=_SIZE, layout="constrained")
    axis = figure.subplots()
    for values, label in ((inside, "in the trained box"), (outside, "outside of it")):
        share = np.arange(1, len(values) + 1) / len(values)
        axis.step(np.sort(values), share, where="post", label=label)
    axis.axvline(1.0, color="0.3", ls="--", lw=1, label="flagged beyond")
    axis.set_xscale("log")
    axis.set_xlabel("score of the range test")
    axis.set_ylabel("share of the queries up to it")
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    return figure


def enrichment_figure(trajectories: Sequence[int], largest: Sequence[float], goal: float) -> Figure:
    """Return how the largest indicator fell while simulations were added.

    Parameters
    ----------
    trajectories : simulations of the model before each round
    largest : its largest indicator on the pool of candidates
    goal : the tolerance
    """
    figure = Figure(figsize=_SIZE, layout="constrained")
    axis = figure.subplots()
    axis.semilogy(trajectories, largest, "o-", ms=4, lw=1, label="largest indicator")
    axis.axhline(goal, color="0.3", ls="--", lw=1, label="tolerance")
    _percent(axis.yaxis)
    axis.set_xlabel("simulations")
    axis.set_ylabel("largest indicator on the candidates")
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    return figure


def _percent(side: Axis) -> None:
    """Label a logarithmic axis by per cents that do not crowd."""
    side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    side.set_minor_formatter(NullFormatter())
