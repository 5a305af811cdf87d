"""Quantities of interest of held-out simulations: true ones and those of the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["QuantityPair", "parity_figure", "series_figure"]

type _Floats = NDArray[np.float64]

_COLUMNS, _WIDE, _HIGH = 2, 4.6, 2.6


@final
@dataclass(frozen=True, eq=False)
class QuantityPair:
    """True values and the model's.

    Attributes
    ----------
    name, units : of the quantity
    true, guess : of one shape: (T,) over time, or (m,) over simulations
    """

    name: str
    units: str
    true: _Floats
    guess: _Floats


def series_figure(times: _Floats, cases: Mapping[str, Sequence[QuantityPair]]) -> Figure:
    """Return curves over time, one panel per quantity.

    Parameters
    ----------
    times : (T,) s
    cases : what to show, by the name of the case; the same quantities in each
    """
    pairs = next(iter(cases.values()))
    figure, axes = _panels(len(pairs), _HIGH)
    for place, (axis, first) in enumerate(zip(axes, pairs, strict=False)):
        for number, (name, case) in enumerate(cases.items()):
            pair, colour = case[place], f"C{number}"
            axis.plot(times, pair.true, color=colour, lw=2.5, alpha=0.4, label=f"{name}, truth")
            axis.plot(times, pair.guess, color=colour, lw=1, ls="--", label=f"{name}, model")
        axis.set_ylabel(_label(first))
        axis.set_xlabel("time, s")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    return figure


def parity_figure(pairs: Sequence[QuantityPair]) -> Figure:
    """Return the model's values over the true ones, one panel per quantity."""
    figure, axes = _panels(len(pairs), 4.0)
    for axis, pair in zip(axes, pairs, strict=False):
        both = np.concatenate([pair.true, pair.guess])
        ends = [both.min(), both.max()]
        axis.plot(ends, ends, color="0.3", lw=1)
        axis.plot(pair.true, pair.guess, "o", ms=4)
        axis.locator_params(nbins=5)
        axis.set_xlabel(f"{_label(pair)}: truth")
        axis.set_ylabel("model")
        axis.grid(alpha=0.3)
    return figure


def _panels(count: int, high: float) -> tuple[Figure, list[Axes]]:
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(_WIDE * columns, high * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, list(axes)


def _label(pair: QuantityPair) -> str:
    unit = "" if pair.units == "1" else f", {pair.units}"
    return f"{pair.name.replace('_', ' ')}{unit}"
