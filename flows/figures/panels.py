"""The parts of a figure: a sheet measured in inches, field panels and their colour bars."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import TriMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import Triangulation

from flows.figures.fields import Quantity
from flows.figures.limits import Limits
from flows.figures.text import labelled, wrapped
from solvers.mesh import FloatArray, IntArray

__all__ = [
    "INK",
    "SIZE",
    "SMALL",
    "Box",
    "Sheet",
    "border",
    "colour_bar",
    "colour_bar_below",
    "draw_field",
    "label_axes",
    "outlines",
]

# Font sizes in points.
SIZE, SMALL = 10.0, 9.0
INK, _SOLID = "0.15", "0.82"
# Steps between ticks, over powers of ten.
_STEPS, _BAR_STEPS = [1, 2, 5, 10], [1, 2, 2.5, 5, 10]
_BAR, _BAR_BELOW = 0.13, 0.09
# Part of a bar that counts as its end.
_END = 0.12


@final
@dataclass(frozen=True)
class Box:
    """A rectangle of the domain, metres."""

    x: tuple[float, float]
    y: tuple[float, float]

    @classmethod
    def around(cls, points: FloatArray) -> "Box":
        """Return the box around (n, 2) points."""
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return cls((float(x0), float(x1)), (float(y0), float(y1)))

    @property
    def aspect(self) -> float:
        """Width over height."""
        return (self.x[1] - self.x[0]) / (self.y[1] - self.y[0])


@final
@dataclass(frozen=True)
class Sheet:
    """A figure on which things are placed in inches from its upper left corner."""

    figure: Figure
    width: float
    height: float

    @classmethod
    def blank(cls, width: float, height: float) -> "Sheet":
        """Return an empty white figure of this size in inches."""
        figure = Figure(figsize=(width, height), facecolor="white")
        return cls(figure, width, height)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes whose frame has this place and size, with few ticks and thin lines."""
        bottom = self.height - top - height
        place = (
            left / self.width,
            bottom / self.height,
            width / self.width,
            height / self.height,
        )
        axes = self.figure.add_axes(place)
        _tidy(axes, width, height)
        return axes

    def text(self, left: float, top: float, text: str, size: float, weight: str = "normal") -> None:
        """Add a text whose upper left corner is here."""
        place = left / self.width, 1 - top / self.height
        self.figure.text(*place, text, fontsize=size, fontweight=weight, va="top", color=INK)


def draw_field(
    axes: Axes,
    triangles: IntArray,
    points: FloatArray,
    values: FloatArray,
    limits: Limits,
    quantity: Quantity,
    box: Box,
) -> TriMesh:
    """Draw nodal values over the domain, with its outline; what is solid is grey."""
    mesh = axes.tripcolor(
        Triangulation(points[:, 0], points[:, 1], triangles),
        values,
        shading="gouraud",
        cmap=quantity.colours,
        norm=(LogNorm if quantity.scale == "log" else Normalize)(limits.low, limits.high),
    )
    border(axes, [points[loop] for loop in outlines(triangles)], box)
    return mesh


def border(axes: Axes, loops: Sequence[FloatArray], box: Box) -> None:
    """Draw the outline of a domain, and what is solid inside its box in grey.

    Parameters
    ----------
    axes : a field is drawn in it
    loops : (n, 2) closed lines, metres
    box : what the axes show
    """
    # The outline lies on the frame: half of its width would be clipped.
    for loop in loops:
        axes.plot(*loop.T, color=INK, linewidth=0.8, clip_on=False)
    own = Box.around(np.concatenate(loops))
    corner, width, height = (own.x[0], own.y[0]), own.x[1] - own.x[0], own.y[1] - own.y[0]
    axes.add_patch(Rectangle(corner, width, height, facecolor=_SOLID, zorder=0))
    axes.set(xlim=box.x, ylim=box.y, aspect="equal")
    axes.spines[:].set_visible(False)


def colour_bar(sheet: Sheet, axes: Axes, mesh: TriMesh, limits: Limits, quantity: Quantity) -> None:
    """Add a colour bar to the right of a field's axes, named and with its unit."""
    place = axes.get_position()
    height = place.height * sheet.height
    left = place.x1 * sheet.width + 0.14
    bar_axes = sheet.axes(left, (1 - place.y1) * sheet.height, _BAR, height)
    bar = Colorbar(bar_axes, mesh, extend=limits.extend, extendfrac=min(0.08, 0.1 / height))
    if quantity.scale != "log":
        bar.locator = MaxNLocator(nbins=max(2, min(6, int(height / 0.3))), steps=_BAR_STEPS)
        bar.update_ticks()
    bar_axes.tick_params(labelsize=SMALL, colors=INK, width=0.6, length=3)
    bar_axes.yaxis.label.set(fontsize=SIZE, color=INK)
    text = labelled(quantity.label, quantity.units)
    if len(wrapped(text, height, SIZE)) == 1:
        bar_axes.set_ylabel(text)
    else:  # upright, the text would be longer than the bar
        lines = text.replace(" ", "\n")
        bar_axes.set_ylabel(lines, rotation=0, ha="left", va="center")


def colour_bar_below(
    sheet: Sheet, axes: Axes, mesh: TriMesh, limits: Limits, quantity: Quantity, gap: float
) -> None:
    """Add a colour bar `gap` inches below a field's axes, named and with its unit."""
    place = axes.get_position()
    left, width = place.x0 * sheet.width, place.width * sheet.width
    bar_axes = sheet.axes(left, (1 - place.y0) * sheet.height + gap, width, _BAR_BELOW)
    bar = Colorbar(bar_axes, mesh, orientation="horizontal", extend=limits.extend, extendfrac=0.04)
    bar.locator = MaxNLocator(nbins=max(2, int(width / 0.6)), steps=_BAR_STEPS)
    bar.update_ticks()
    bar_axes.tick_params(labelsize=SMALL, colors=INK, width=0.6, length=3)
    for label in bar_axes.get_xticklabels():
        # Numbers at the ends would reach those of the neighbouring bar.
        share = bar.norm(label.get_position()[0])
        label.set_horizontalalignment(
            "left" if share < _END else "right" if share > 1 - _END else "center"
        )
    bar_axes.set_xlabel(labelled(quantity.label, quantity.units), fontsize=SMALL, color=INK)


def label_axes(axes: Axes, x: bool = True, y: bool = True) -> None:
    """Name the coordinates, or hide the numbers of those that another panel names."""
    if x:
        axes.set_xlabel("x [m]", fontsize=SIZE, color=INK, labelpad=2)
    if y:
        axes.set_ylabel("y [m]", fontsize=SIZE, color=INK, labelpad=4)
    axes.tick_params(labelbottom=x, labelleft=y)


def outlines(triangles: IntArray) -> list[list[int]]:
    """Return the closed loops of nodes along the edges that belong to one triangle only."""
    edges = np.sort(np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    found, counts = np.unique(edges, axis=0, return_counts=True)
    neighbours: dict[int, list[int]] = defaultdict(list)
    for a, b in found[counts == 1].tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    loops = []
    while neighbours:
        loop = [next(iter(neighbours))]
        while loop[-1] in neighbours:
            here, there = loop[-1], neighbours[loop[-1]][0]
            _cut(neighbours, here, there)
            _cut(neighbours, there, here)
            loop.append(there)
        loops.append(loop)
    return loops


def _cut(neighbours: dict[int, list[int]], here: int, there: int) -> None:
    neighbours[here].remove(there)
    if not neighbours[here]:
        del neighbours[here]


def _tidy(axes: Axes, width: float, height: float) -> None:
    for axis, inches, room in ((axes.xaxis, width, 0.7), (axes.yaxis, height, 0.3)):
        bins = max(1, min(8, int(inches / room)))
        axis.set_major_locator(MaxNLocator(nbins=bins, steps=_STEPS, min_n_ticks=2))
    axes.tick_params(labelsize=SMALL, colors=INK, width=0.6, length=3)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=INK)
