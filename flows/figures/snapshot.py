"""The figure of one sample at one time: its fields, and its quantities of interest."""

from dataclasses import dataclass
from typing import final

from matplotlib.figure import Figure

from flows.figures.fields import QUANTITIES, FieldName, FlowReader
from flows.figures.limits import field_limits
from flows.figures.panels import SIZE, Box, Sheet, colour_bar, draw_field, label_axes
from flows.figures.series import draw_series, series_names
from flows.figures.text import parameter_text, time_texts, wrapped
from infra.errors import UserError
from infra.store import SnapshotStore

__all__ = ["frame_index", "snapshot_figure"]

# Wider domains have their panels above each other, others side by side.
_WIDE = 1.8
# Inches: margins around panels, room right of a panel for its colour bar, gaps and text.
_LEFT, _BAR_ROOM, _GAP, _BELOW, _LINE = 0.75, 1.3, 0.16, 0.5, 0.19
_SERIES, _SERIES_GAP = 1.15, 0.95


@final
@dataclass(frozen=True)
class _Plan:
    """Where panels go: each `width` by `height` inches, `columns` in a row."""

    width: float
    height: float
    columns: int
    rows: int

    @property
    def content(self) -> float:
        """Width of a row without the left margin and the last colour bar."""
        return self.columns * self.width + (self.columns - 1) * (_BAR_ROOM + _LEFT)

    def corner(self, number: int) -> tuple[float, float]:
        """Return the upper left corner of a panel relative to that of the first."""
        row, column = divmod(number, self.columns)
        return column * (self.width + _BAR_ROOM + _LEFT), row * (self.height + _GAP)

    @property
    def depth(self) -> float:
        """Height of all rows with the labels below."""
        return self.rows * self.height + (self.rows - 1) * _GAP + _BELOW


def snapshot_figure(
    store: SnapshotStore, sample: int, frame: int = -1, field: FieldName | None = None
) -> Figure:
    """Draw a sample's fields at one time, and its quantities of interest over time.

    Parameters
    ----------
    store : dataset with the layout of `solvers.snapshots.flow_layout`
    sample : index of a committed sample
    frame : index of the output time; negative ones count from the end
    field : the field to draw; None draws speed and vorticity

    Returns
    -------
    Figure
        Independent of pyplot; nothing needs to be closed.

    Raises
    ------
    UserError
        If the sample is not committed, the frame or field does not exist, or the flow is not
        plane.
    """
    fields = _fields(field)
    frame = frame_index(store, frame)
    reader = FlowReader(store, sample)
    box = Box.around(reader.positions)
    plan = _plan(box.aspect, len(fields))
    names = series_names(store.description)
    width = max(_LEFT + plan.content + _BAR_ROOM, 6.4)
    lines = _heading(store, sample, frame, width - 0.4)
    top = 0.15 + 0.27 + _LINE * len(lines) + 0.15
    below = _SERIES + _BELOW + 0.15 if names else 0.0
    sheet = Sheet.blank(width, top + plan.depth + below + 0.05)
    sheet.text(0.2, 0.13, store.description.title, SIZE + 2, "bold")
    sheet.text(0.2, 0.42, "\n".join(lines), SIZE)
    left = (width - plan.content - _LEFT - _BAR_ROOM) / 2 + _LEFT
    for number, name in enumerate(fields):
        x, y = plan.corner(number)
        _panel(sheet, reader, name, frame, box, (left + x, top + y, plan.width, plan.height))
    for axes in sheet.figure.axes[: -2 * plan.columns if plan.columns == 1 else 0]:
        pass
    _series_row(sheet, store, sample, frame, names, top + plan.depth + 0.15)
    return sheet.figure
