"""The figure of one sample at one time: its fields, and its quantities of interest."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.figures.arrangement import arrange
from flows.figures.fields import QUANTITIES, FieldName, FlowReader
from flows.figures.limits import field_limits
from flows.figures.panels import SIZE, Box, Sheet, colour_bar, draw_field, label_axes
from flows.figures.series import SERIES_ROOM, draw_series, series_names, series_row
from flows.figures.text import parameter_text, time_texts, wrapped
from infra.errors import UserError
from infra.store import SnapshotStore

__all__ = ["frame_index", "snapshot_figure"]

# Height of a line of text, inches.
_LINE = 0.19


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
    plan = arrange(box.aspect, len(fields))
    series = series_names(store.description)
    lines = _heading(store, sample, frame, plan.sheet_width - 0.4)
    top = 0.6 + _LINE * len(lines)
    below = SERIES_ROOM if series else 0.0
    sheet = Sheet.blank(plan.sheet_width, top + plan.depth + below + 0.05)
    sheet.text(0.2, 0.13, store.description.title, SIZE + 2, "bold")
    sheet.text(0.2, 0.42, "\n".join(lines), SIZE)
    for number, name in enumerate(fields):
        axes = _panel(sheet, reader, name, frame, box, plan.place(number, top))
        label_axes(axes, x=plan.is_lowest(number), y=plan.is_first(number))
    row = series_row(sheet, len(series), top + plan.depth)
    for axes, quantity in zip(row, series, strict=True):
        draw_series(axes, store, sample, quantity, frame)
    return sheet.figure


def frame_index(store: SnapshotStore, frame: int) -> int:
    """Return the index from 0 of a frame that may be counted from the end.

    Raises
    ------
    UserError
        If there is no such frame.
    """
    n_frames = len(store.times)
    if not -n_frames <= frame < n_frames:
        raise UserError(
            f"frame: expected {-n_frames} to {n_frames - 1}, received {frame}. "
            "Negative frames count from the last one, -1."
        )
    return frame % n_frames


def _fields(field: FieldName | None) -> tuple[FieldName, ...]:
    if field is None:
        return ("speed", "vorticity")
    if field not in QUANTITIES:
        raise UserError(f"field: expected one of {', '.join(QUANTITIES)}, received {field!r}.")
    return (field,)


def _heading(store: SnapshotStore, sample: int, frame: int, width: float) -> list[str]:
    description = store.description
    time = time_texts(description.times)[frame]
    text = f"Sample\u00a0{sample}, t\u00a0=\u00a0{time}\u00a0s"
    parameters = parameter_text(description, sample)
    return wrapped(f"{text}: {parameters}" if parameters else text, width, SIZE)


def _panel(
    sheet: Sheet,
    reader: FlowReader,
    field: FieldName,
    frame: int,
    box: Box,
    place: tuple[float, float, float, float],
) -> Axes:
    axes, quantity = sheet.axes(*place), QUANTITIES[field]
    limits = field_limits(reader, field, [frame])
    values, points = reader.values(field, frame), reader.points(field)
    mesh = draw_field(axes, reader.triangles(field), points, values, limits, quantity, box)
    colour_bar(sheet, axes, mesh, limits, quantity)
    return axes
