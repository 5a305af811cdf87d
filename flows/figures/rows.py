"""Rows of panels of an overview: one field of several samples side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from flows.figures.panels import (
    INK,
    SMALL,
    Box,
    Sheet,
    colour_bar,
    colour_bar_below,
    label_axes,
)
from flows.figures.steady import draw
from flows.figures.steady_fields import SteadyField, SteadyReader
from flows.figures.steady_scales import one_scale_suits, scale_of
from flows.figures.text import parameter_text, wrapped
from infra.store import SnapshotStore
from solvers.mesh import FloatArray

__all__ = ["Row", "draw_rows", "panel_width", "sample_title"]

# Inches: sheet, margins, gaps between panels, and the height of a line of a panel's title.
_WIDTH, _LEFT, _RIGHT, _TOP, _BELOW = 9.0, 0.7, 1.4, 0.75, 0.5
_GAP_X, _GAP_Y, _LINE, _TALLEST, _NARROWEST = 0.35, 0.16, 0.165, 3.2, 6.2
# A colour bar below its panel: distance from numbers of the axis, and all the room that it takes.
_BAR_GAP, _BAR_ROOM = 0.1, 0.6


@final
@dataclass(frozen=True)
class Row:
    """Panels side by side: a field of some samples.

    Attributes
    ----------
    field, readers : what is drawn
    together : all samples of the figure, which one colour scale has to suit
    titles : lines above each panel, none in a row below another one of the same samples
    last : whether the x axis is named
    """

    field: SteadyField
    readers: tuple[SteadyReader, ...]
    together: tuple[SteadyReader, ...]
    titles: tuple[list[str], ...]
    last: bool

    @property
    def head(self) -> float:
        """Room above the panels, inches."""
        return max(map(len, self.titles)) * _LINE + 0.05 if self.titles else 0.0

    @cached_property
    def shared(self) -> bool:
        """Whether the panels have one colour scale."""
        return one_scale_suits(self.field, self._values)

    @cached_property
    def _values(self) -> list[FloatArray]:
        return [reader.drawing(self.field).values for reader in self.together]

    @property
    def foot(self) -> float:
        """Room below the panels, inches."""
        return (_BELOW if self.last else _GAP_Y) + (0.0 if self.shared else _BAR_ROOM)

    def draw(self, sheet: Sheet, top: float, width: float, box: Box) -> None:
        """Draw the panels with their upper edges at `top`, inches."""
        for column, reader in enumerate(self.readers):
            drawing = reader.drawing(self.field)
            scale = scale_of(self.field, self._values if self.shared else [drawing.values])
            left = _LEFT + column * (width + _GAP_X)
            axes = sheet.axes(left, top, width, width / box.aspect)
            mesh = draw(axes, reader, drawing, scale, box)
            label_axes(axes, x=self.last, y=column == 0)
            if self.titles:
                text = "\n".join(self.titles[column])
                axes.set_title(text, fontsize=SMALL, loc="left", pad=3, color=INK)
            if not self.shared:
                gap = _BAR_GAP + (_BELOW - 0.05 if self.last else 0.0)
                colour_bar_below(sheet, axes, mesh, scale.limits, scale.quantity, gap)
            elif reader is self.readers[-1]:
                colour_bar(sheet, axes, mesh, scale.limits, scale.quantity)


def panel_width(columns: int, aspect: float) -> float:
    """Return the width in inches of each of `columns` panels of this width over height."""
    width = (_WIDTH - _LEFT - _RIGHT - (columns - 1) * _GAP_X) / columns
    return min(width, _TALLEST * aspect)


def draw_rows(rows: Sequence[Row], columns: int, width: float, box: Box) -> Sheet:
    """Return a sheet with rows of up to `columns` panels; there is room for a heading above."""
    height = width / box.aspect
    left_and_right = max(_LEFT + columns * (width + _GAP_X) - _GAP_X + _RIGHT, _NARROWEST)
    sheet = Sheet.blank(left_and_right, _TOP + sum(row.head + height + row.foot for row in rows))
    top = _TOP
    for row in rows:
        row.draw(sheet, top + row.head, width, box)
        top += row.head + height + row.foot
    return sheet


def sample_title(store: SnapshotStore, sample: int, width: float) -> list[str]:
    """Return number and parameters of a sample in lines that fit into `width` inches."""
    text = parameter_text(store.description, sample)
    return wrapped(f"{sample}: {text}" if text else f"sample {sample}", width, SMALL)
