"""Fields of a surrogate as pictures: side by side, truth above prediction where both are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

__all__ = ["Patch", "comparison_figure", "prediction_figure"]

_WIDE, _HIGH, _MOST = 3.6, 3.0, 4


@final
@dataclass(frozen=True, eq=False)
class Patch:
    """Values on the points of a triangulated plane.

    Attributes
    ----------
    title, units : what they are
    points : (n, 2) metres
    triangles : (m, 3) indices of points
    values : (n,)
    """

    title: str
    units: str
    points: NDArray[np.float64]
    triangles: NDArray[np.int64]
    values: NDArray[np.float64]


def prediction_figure(title: str, patches: Sequence[Patch]) -> Figure:
    """Return one panel for each field, four in a row at most."""
    columns = min(len(patches), _MOST)
    rows = -(-len(patches) // columns)
    figure = Figure(figsize=(_WIDE * columns, _HIGH * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, patch in zip(axes, patches, strict=False):
        _draw(figure, axis, patch, patch.title, _range(patch.values))
    for axis in axes[len(patches) :]:
        axis.set_visible(False)
    figure.suptitle(title)
    return figure


def comparison_figure(
    title: str, truth: Sequence[Patch], prediction: Mapping[str, Sequence[Patch]]
) -> Figure:
    """Return truth, predictions and differences: a column for each patch, a row for each kind.

    Parameters
    ----------
    title : of the figure
    truth : patches
    prediction : for each model its patches, at the same places
    """
    columns = len(truth)
    rows = 1 + 2 * len(prediction)
    figure = Figure(figsize=(_WIDE * columns, _HIGH * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for column, patch in enumerate(truth):
        shown = _range(patch.values)
        _draw(figure, axes[0, column], patch, f"truth, {patch.title}", shown)
        for row, (name, patches) in enumerate(prediction.items()):
            guess = patches[column]
            _draw(figure, axes[1 + 2 * row, column], guess, name, shown)
            off = guess.values - patch.values
            wrong = Patch("", patch.units, patch.points, patch.triangles, off)
            width = max(float(np.abs(off).max()), 1e-300)
            text = f"{name} - truth"
            _draw(figure, axes[2 + 2 * row, column], wrong, text, (-width, width), "RdBu_r")
    figure.suptitle(title)
    return figure


def _draw(
    figure: Figure,
    axis: Axes,
    patch: Patch,
    title: str,
    limits: tuple[float, float],
    colours: str = "viridis",
) -> None:
    x, y = patch.points.T
    mesh = Triangulation(x, y, patch.triangles)
    low, high = limits
    drawn = axis.tripcolor(mesh, patch.values, shading="gouraud", cmap=colours, vmin=low, vmax=high)
    axis.set_aspect("equal")
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("x, m", fontsize=8)
    axis.set_ylabel("y, m", fontsize=8)
    axis.tick_params(labelsize=7)
    bar = figure.colorbar(drawn, ax=axis, shrink=0.85)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(patch.units, fontsize=8)


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
