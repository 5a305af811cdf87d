"""Fields of a reduced model beside the true ones: a row for each field."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from flows.figures.model_fields import Patch

__all__ = ["side_by_side_figure"]

_WIDE = 4.4
# Room above and below a panel for its title and axis, and the least height of the panel itself.
_ROOM, _LEAST = 0.75, 0.7


def side_by_side_figure(title: str, truth: Sequence[Patch], model: Sequence[Patch]) -> Figure:
    """Return truth, model and their difference side by side.

    Parameters
    ----------
    title : of the figure
    truth, model : the same fields, one row each
    """
    spans = np.ptp(truth[0].points, axis=0)
    high = _ROOM + max(_LEAST, 0.78 * _WIDE * min(float(spans[1] / spans[0]), 1.0))
    figure = Figure(figsize=(3 * _WIDE, high * len(truth) + 0.4), layout="constrained")
    axes = figure.subplots(len(truth), 3, squeeze=False)
    for row, true, guess in zip(axes, truth, model, strict=True):
        both = np.concatenate([true.values, guess.values])
        low, top = float(both.min()), float(both.max())
        limits = (low, top) if top > low else (low - 0.5, low + 0.5)
        off = guess.values - true.values
        width = float(np.abs(off).max()) or 1e-300
        _draw(figure, row[0], true, f"{true.title}, truth", limits, "viridis")
        _draw(figure, row[1], guess, "model", limits, "viridis")
        wrong = Patch("", true.units, true.points, true.triangles, off)
        _draw(figure, row[2], wrong, "model - truth", (-width, width), "RdBu_r")
    for axis in axes[-1]:
        axis.set_xlabel("x, m", fontsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("y, m", fontsize=8)
    figure.suptitle(title)
    return figure


def _draw(
    figure: Figure,
    axis: Axes,
    patch: Patch,
    title: str,
    limits: tuple[float, float],
    colours: str,
) -> None:
    mesh = Triangulation(patch.points[:, 0], patch.points[:, 1], patch.triangles)
    low, high = limits
    drawn = axis.tripcolor(mesh, patch.values, shading="gouraud", cmap=colours, vmin=low, vmax=high)
    axis.set_aspect("equal")
    axis.margins(0.01)
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=7)
    bar = figure.colorbar(drawn, ax=axis, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("" if patch.units == "1" else patch.units, fontsize=8)
