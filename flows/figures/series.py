"""Small panels with quantities of interest over time."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from flows.figures.arrangement import BELOW
from flows.figures.panels import INK, SIZE, Sheet
from flows.figures.text import labelled
from infra.description import DatasetDescription
from infra.store import SnapshotStore

__all__ = ["SERIES_ROOM", "draw_series", "series_names", "series_row"]

_LINE, _NOW = "#1f4e79", "#c0392b"
# Inches: the row of series.
_LEFT, _HEIGHT, _GAP, _ABOVE = 0.95, 1.15, 1.05, 0.15
# All the room that it takes.
SERIES_ROOM = _ABOVE + _HEIGHT + BELOW
_LABELS = {"drag": "drag coefficient", "lift": "lift coefficient"}
# Smallest span of the vertical axis over the largest value: below, a curve shows rounding only.
_SPAN = 0.02


def series_names(description: DatasetDescription) -> list[str]:
    """Return drag and lift if the dataset has them, else the kinetic energy, else nothing."""
    forces = [name for name in ("drag", "lift") if name in description.specs]
    return forces or [name for name in ("kinetic_energy",) if name in description.specs]


def draw_series(axes: Axes, store: SnapshotStore, sample: int, name: str, frame: int) -> None:
    """Draw one number per frame over time and mark the frame that is shown."""
    spec, times = store.description.specs[name], store.times
    values = np.asarray(store.read(sample, name))
    axes.plot(times, values, color=_LINE, linewidth=1.2)
    axes.axvline(times[frame], color=_NOW, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(times[frame], values[frame], "o", color=_NOW, markersize=4, clip_on=False, zorder=3)
    # Forces need a step: at t = 0 they are NaN, and so is a whole series of one such frame.
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = max(0.08 * (high - low), 0.5 * _SPAN * max(abs(low), abs(high)), 1e-12)
    axes.set_ylim(low - margin, high + margin)
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.ticklabel_format(axis="y", useOffset=False, scilimits=(-3, 4))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("t [s]", fontsize=SIZE, color=INK, labelpad=2)
    label = _LABELS.get(name, name.replace("_", " ")).replace(" ", "\n", 1)
    axes.set_ylabel(labelled(label, spec.units), fontsize=SIZE, color=INK)


def series_row(sheet: Sheet, n_panels: int, top: float) -> list[Axes]:
    """Add a row of `n_panels` axes below `top`, inches."""
    if n_panels == 0:
        return []
    room = sheet.width - _LEFT - 0.35
    width = (room - (n_panels - 1) * _GAP) / n_panels
    lefts = [_LEFT + i * (width + _GAP) for i in range(n_panels)]
    return [sheet.axes(left, top + _ABOVE, width, _HEIGHT) for left in lefts]
