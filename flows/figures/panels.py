"""The parts of a figure: a sheet measured in inches, field panels and their colour bars."""

from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, TriMesh
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import Triangulation

from flows.figures.limits import Limits
from flows.figures.fields import Quantity
from flows.figures.text import labelled
from solvers.mesh import FloatArray, IntArray

__all__ = ["SIZE", "SMALL", "Box", "Sheet", "colour_bar", "draw_field", "label_axes", "tidy"]

# Font sizes in points.
SIZE, SMALL = 10.0, 9.0
_SOLID, _INK = "0.82", "0.15"
_STEPS = [1, 2, 2.5, 5, 10]
_BAR = 0.13


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
        figure = Figure(figsize=(width, height), facecolor="white", layout="none")
        return cls(figure, width, height)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes whose frame has this place and size."""
        bottom = self.height - top - height
        place = (
            left / self.width,
            bottom / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(place)

    def text(self, left: float, top: float, text: str, size: float, weight: str = "normal") -> None:
        """Add a text whose upper left corner is here."""
        place = left / self.width, 1 - top / self.height
        self.figure.text(*place, text, fontsize=size, fontweight=weight, va="top", color=_INK)


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
        vmin=limits.low,
        vmax=limits.high,
    )
    outline = LineCollection(
        list(points[_boundary(triangles)]), colors=_INK, linewidths=0.8, capstyle="round"
    )
    # The domain's edge is drawn by the outline, half of which lies outside the frame.
    outline.set_clip_on(False)
    axes.add_collection(outline)
    axes.set_facecolor(_SOLID)
    axes.set(xlim=box.x, ylim=box.y, aspect="equal")
    tidy(axes)
    axes.spines[:].set_visible(False)
    return mesh


def colour_bar(sheet: Sheet, axes: Axes, mesh: TriMesh, limits: Limits, quantity: Quantity) -> None:
    """Add a colour bar to the right of a field's axes, named and with its unit."""
    place = axes.get_position()
    height = place.height * sheet.height
    left = place.x1 * sheet.width + 0.14
    bar_axes = sheet.axes(left, (1 - place.y1) * sheet.height, _BAR, height)
    bar = Colorbar(bar_axes, mesh, extend=limits.extend, extendfrac=min(0.08, 0.1 / height))
    bar.locator = MaxNLocator(nbins=max(2, min(6, int(height / 0.3))), steps=_STEPS)
    bar.update_ticks()
    bar_axes.tick_params(labelsize=SMALL, colors=_INK, width=0.6, length=3)
    name = quantity.label
    if height > 1.35:
        bar_axes.set_ylabel(labelled(name, quantity.units), fontsize=SIZE, color=_INK)
        return
    # Upright, the text would be longer than the bar.
    text = labelled(name.replace(" ", "\n"), quantity.units, "\n")
    sheet.text(left + 0.62, (1 - place.y1) * sheet.height + height / 2 - 0.17, text, SIZE)


def label_axes(axes: Axes, x: bool = True, y: bool = True) -> None:
    """Name the coordinates, or hide the numbers of those that another panel names."""
    if x:
        axes.set_xlabel("x [m]", fontsize=SIZE, color=_INK, labelpad=2)
    if y:
        axes.set_ylabel("y [m]", fontsize=SIZE, color=_INK, labelpad=4)
    axes.tick_params(labelbottom=x, labelleft=y)


def tidy(axes: Axes) -> None:
    """Give the axes few, readable ticks and thin lines."""
    _, _, width, height = axes.get_position().bounds
    figure_width, figure_height = axes.get_figure(root=True).get_size_inches()
    for axis, inches, room in (
        (axes.xaxis, width * figure_width, 0.7),
        (axes.yaxis, height * figure_height, 0.35),
    ):
        bins = max(1, min(8, int(inches / room)))
        axis.set_major_locator(MaxNLocator(nbins=bins, steps=_STEPS, min_n_ticks=2))
    axes.tick_params(labelsize=SMALL, colors=_INK, width=0.6, length=3)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=_INK)


def _boundary(triangles: IntArray) -> IntArray:
    """Return the (n, 2) nodes of the edges that belong to one triangle only."""
    edges = np.sort(np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    found, counts = np.unique(edges, axis=0, return_counts=True)
    return np.asarray(found[counts == 1])
