"""The picture of a dataset's catalogue card: small multiples of its samples."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import TriMesh
from matplotlib.figure import Figure

from flows.figures.fields import QUANTITIES, FlowReader
from flows.figures.limits import Limits, field_limits
from flows.figures.panels import INK, SIZE, SMALL, Box, Sheet, colour_bar, draw_field, label_axes
from flows.figures.samples import chosen_samples
from flows.figures.snapshot import frame_index
from flows.figures.text import parameter_text, time_texts, wrapped
from infra.store import SnapshotStore

__all__ = ["overview_figure"]

# Inches: sheet, margins, gaps between panels, and the height of a line of a panel's title.
_WIDTH, _LEFT, _RIGHT, _TOP, _BELOW = 9.0, 0.7, 1.4, 0.7, 0.5
_GAP_X, _GAP_Y, _LINE, _TALLEST, _NARROWEST = 0.35, 0.14, 0.165, 3.2, 6.2


def overview_figure(store: SnapshotStore) -> Figure:
    """Draw the last vorticity of up to six samples, all to the same scales.

    The samples are spread evenly over the committed ones. The colour limits are the median of
    the samples' own, so that no single violent sample makes the others pale.

    Raises
    ------
    UserError
        If no sample is committed, or the flow is not plane.
    """
    samples, frame = chosen_samples(store), frame_index(store, -1)
    readers = [FlowReader(store, sample) for sample in samples]
    box = Box.around(np.concatenate([reader.positions for reader in readers]))
    limits = _common([field_limits(reader, "vorticity", [frame]) for reader in readers])
    columns, width = _columns(box.aspect, len(samples))
    titles = [_title(store, sample, width) for sample in samples]
    head = max(len(lines) for lines in titles) * _LINE + 0.05
    height, rows = width / box.aspect, math.ceil(len(samples) / columns)
    pitch_x, pitch_y = width + _GAP_X, head + height + _GAP_Y
    sheet_width = max(_LEFT + columns * pitch_x - _GAP_X + _RIGHT, _NARROWEST)
    sheet = Sheet.blank(sheet_width, _TOP + rows * pitch_y - _GAP_Y + _BELOW)
    _heading(sheet, store, frame)
    for number, (reader, lines) in enumerate(zip(readers, titles, strict=True)):
        row, column = divmod(number, columns)
        axes = sheet.axes(_LEFT + column * pitch_x, _TOP + head + row * pitch_y, width, height)
        mesh = _draw(axes, reader, frame, limits, box)
        label_axes(axes, x=number + columns >= len(samples), y=column == 0)
        axes.set_title("\n".join(lines), fontsize=SMALL, loc="left", pad=3, color=INK)
        if number == columns - 1:
            colour_bar(sheet, axes, mesh, limits, QUANTITIES["vorticity"])
    return sheet.figure


def _draw(axes: Axes, reader: FlowReader, frame: int, limits: Limits, box: Box) -> TriMesh:
    triangles, values = reader.triangles("vorticity"), reader.values("vorticity", frame)
    quantity = QUANTITIES["vorticity"]
    return draw_field(axes, triangles, reader.positions, values, limits, quantity, box)


def _columns(aspect: float, n_panels: int) -> tuple[int, float]:
    """Return the number of columns, with full rows if possible, and a panel's width."""
    most = 1 if aspect > 8 else 2 if aspect > 1.8 else 3
    columns = math.ceil(n_panels / math.ceil(n_panels / most))
    width = (_WIDTH - _LEFT - _RIGHT - (columns - 1) * _GAP_X) / columns
    return columns, min(width, _TALLEST * aspect)


def _title(store: SnapshotStore, sample: int, width: float) -> list[str]:
    text = parameter_text(store.description, sample)
    return wrapped(f"{sample}: {text}" if text else str(sample), width, SMALL)


def _heading(sheet: Sheet, store: SnapshotStore, frame: int) -> None:
    description = store.description
    time, done = time_texts(description.times)[frame], len(store.committed())
    sheet.text(0.2, 0.13, description.title, SIZE + 2, "bold")
    text = f"Vorticity at t = {time} s, {done} of {len(store.samples)} samples computed"
    sheet.text(0.2, 0.42, text, SIZE)


def _common(limits: list[Limits]) -> Limits:
    middle = sorted(limits, key=lambda one: one.high)[len(limits) // 2]
    wider = any(one.high > middle.high or one.extend != "neither" for one in limits)
    return Limits(middle.low, middle.high, "both" if wider else "neither")
