"""The picture of a steady dataset's card: coefficient and solution of several samples."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from matplotlib.figure import Figure

from flows.figures.panels import (
    INK,
    SIZE,
    SMALL,
    Box,
    Sheet,
    colour_bar,
    colour_bar_below,
    label_axes,
)
from flows.figures.samples import chosen_samples
from flows.figures.steady import draw
from flows.figures.steady_fields import SteadyField, SteadyReader, fields_of
from flows.figures.steady_scales import one_scale_suits, scale_of
from flows.figures.text import parameter_text, wrapped
from infra.store import SnapshotStore
from solvers.mesh import FloatArray

__all__ = ["steady_overview_figure"]

# Samples side by side when a coefficient stands above its solution, and without one.
_COLUMNS, _LARGEST = 4, 6
# Inches: sheet, margins, gaps between panels, and the height of a line of a panel's title.
_WIDTH, _LEFT, _RIGHT, _TOP, _BELOW = 9.0, 0.7, 1.4, 0.75, 0.5
_GAP_X, _GAP_Y, _LINE, _TALLEST, _NARROWEST = 0.35, 0.16, 0.165, 3.2, 6.2
# A colour bar below its panel: distance from numbers of the axis, and all the room that it takes.
_BAR_GAP, _BAR_ROOM = 0.1, 0.6


@final
@dataclass(frozen=True)
class _Row:
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


def steady_overview_figure(store: SnapshotStore) -> Figure:
    """Draw a coefficient above the solution for up to four samples.

    Without a coefficient that varies over the domain, the solutions of up to six samples are
    drawn. The samples are spread evenly over the committed ones. They share a colour scale unless
    some would look empty on it.

    Raises
    ------
    UserError
        If no sample is committed, or the dataset has no mesh.
    """
    fields = _pair(fields_of(store.description))
    samples = chosen_samples(store, _COLUMNS if len(fields) > 1 else _LARGEST)
    readers = [SteadyReader(store, sample) for sample in samples]
    box = Box.around(np.concatenate([loop for reader in readers for loop in reader.border]))
    columns = len(samples) if len(fields) > 1 else math.ceil(len(samples) / _halves(len(samples)))
    width = (_WIDTH - _LEFT - _RIGHT - (columns - 1) * _GAP_X) / columns
    width = min(width, _TALLEST * box.aspect)
    titles = [_title(store, sample, width) for sample in samples]
    rows = _rows(fields, readers, titles, columns)
    sheet_width = max(_LEFT + columns * (width + _GAP_X) - _GAP_X + _RIGHT, _NARROWEST)
    height = width / box.aspect
    sheet = Sheet.blank(sheet_width, _TOP + sum(row.head + height + row.foot for row in rows))
    _heading(sheet, store, fields, readers[0])
    top = _TOP
    for row in rows:
        row.draw(sheet, top + row.head, width, box)
        top += row.head + height + row.foot
    return sheet.figure


def _pair(fields: tuple[SteadyField, ...]) -> tuple[SteadyField, ...]:
    """Return the first coefficient, if there is one, and the first solution."""
    firsts = {field.coefficient: field for field in reversed(fields)}
    return tuple(firsts[kind] for kind in (True, False) if kind in firsts)


def _halves(n_samples: int) -> int:
    return math.ceil(n_samples / 3)


def _rows(
    fields: tuple[SteadyField, ...],
    readers: list[SteadyReader],
    titles: list[list[str]],
    columns: int,
) -> list[_Row]:
    everyone = tuple(readers)
    if len(fields) > 1:
        first, last = fields
        return [
            _Row(first, everyone, everyone, tuple(titles), last=False),
            _Row(last, everyone, everyone, (), last=True),
        ]
    cuts = [slice(i, i + columns) for i in range(0, len(readers), columns)]
    return [
        _Row(fields[0], everyone[cut], everyone, tuple(titles[cut]), cut is cuts[-1])
        for cut in cuts
    ]


def _title(store: SnapshotStore, sample: int, width: float) -> list[str]:
    text = parameter_text(store.description, sample)
    return wrapped(f"{sample}: {text}" if text else f"sample {sample}", width, SMALL)


def _heading(
    sheet: Sheet, store: SnapshotStore, fields: tuple[SteadyField, ...], reader: SteadyReader
) -> None:
    names = " and ".join(field.name.replace("_", " ") for field in fields)
    where = "" if reader.height is None else f" in the plane z = {reader.height:.4g} m"
    done = f"{len(store.committed())} of {len(store.samples)} samples computed"
    sheet.text(0.2, 0.13, store.description.title, SIZE + 2, "bold")
    sheet.text(0.2, 0.42, f"{names[:1].upper()}{names[1:]}{where}, {done}", SIZE)
