"""Figures of linear problems in time: one sample at one time, and an overview of several."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from flows.figures.arrangement import arrange
from flows.figures.panels import SIZE, Box, Sheet, colour_bar, label_axes
from flows.figures.rows import Row, draw_rows, panel_width, sample_title
from flows.figures.samples import chosen_samples
from flows.figures.series import SERIES_ROOM, draw_series, series_row
from flows.figures.snapshot import frame_index
from flows.figures.steady import chosen_fields, draw
from flows.figures.steady_fields import SteadyReader, fields_of
from flows.figures.steady_scales import scale_of
from flows.figures.text import parameter_text, time_texts, wrapped
from infra.store import SnapshotStore

__all__ = ["transient_figure", "transient_overview_figure"]

# Height of a line of text, inches.
_LINE = 0.19
# Series below the fields, and samples side by side in an overview.
_SERIES, _COLUMNS = 2, 3
# Times of an overview, and frames that are looked at to find them.
_TIMES, _PROBES = 3, 100


def transient_figure(
    store: SnapshotStore, sample: int, frame: int = -1, field: str | None = None
) -> Figure:
    """Draw the fields of a sample at one time, and its quantities of interest over time.

    Parameters
    ----------
    store : dataset with the layout of `solvers.transient_snapshots.transient_layout`
    sample : index of a committed sample
    frame : index of the output time; negative ones count from the end
    field : name of the field to draw; None draws all, up to four

    Returns
    -------
    Figure
        Independent of pyplot; nothing needs to be closed.

    Raises
    ------
    UserError
        If the sample is not committed, or the frame or field does not exist.
    """
    frame = frame_index(store, frame)
    reader, fields = SteadyReader(store, sample, frame), chosen_fields(store, field)
    box = Box.around(np.concatenate(reader.border))
    plan = arrange(box.aspect, len(fields))
    series = [spec.name for spec in store.description.arrays if spec.series][:_SERIES]
    lines = _heading(store, sample, frame, plan.sheet_width - 0.4)
    top = 0.6 + _LINE * len(lines)
    below = SERIES_ROOM if series else 0.0
    sheet = Sheet.blank(plan.sheet_width, top + plan.depth + below + 0.05)
    sheet.text(0.2, 0.13, store.description.title, SIZE + 2, "bold")
    sheet.text(0.2, 0.42, "\n".join(lines), SIZE)
    for number, one in enumerate(fields):
        axes, drawing = sheet.axes(*plan.place(number, top)), reader.drawing(one)
        scale = scale_of(one, [drawing.values])
        mesh = draw(axes, reader, drawing, scale, box)
        colour_bar(sheet, axes, mesh, scale.limits, scale.quantity)
        label_axes(axes, x=plan.is_lowest(number), y=plan.is_first(number))
    row = series_row(sheet, len(series), top + plan.depth)
    for axes, quantity in zip(row, series, strict=True):
        draw_series(axes, store, sample, quantity, frame)
    return sheet.figure


def transient_overview_figure(store: SnapshotStore) -> Figure:
    """Draw the solution of up to three samples at three times.

    The samples are spread evenly over the committed ones, and the first one changes by as much
    before each time as between them: what happens fast is seen. Panels of one time share a colour
    scale unless some would look empty on it.

    Raises
    ------
    UserError
        If no sample is committed, or the dataset has no mesh.
    """
    samples = chosen_samples(store, _COLUMNS)
    field = next(one for one in fields_of(store.description) if not one.coefficient)
    frames = _frames(store, samples[0], field.name)
    firsts = [SteadyReader(store, sample, frames[0]) for sample in samples]
    readers = [tuple(reader.at(frame) for reader in firsts) for frame in frames]
    box = Box.around(np.concatenate(firsts[0].border))
    width = panel_width(len(samples), box.aspect)
    titles = tuple(sample_title(store, sample, width) for sample in samples)
    rows = [
        Row(field, row, row, titles if row is readers[0] else (), last=row is readers[-1])
        for row in readers
    ]
    sheet = draw_rows(rows, len(samples), width, box)
    name = field.name.replace("_", " ")
    times = _listed([f"{time_texts(store.description.times)[frame]} s" for frame in frames])
    done = f"{len(store.committed())} of {len(store.samples)} samples computed"
    sheet.text(0.2, 0.13, store.description.title, SIZE + 2, "bold")
    where = f"{times} from top to bottom" if len(frames) > 1 else times
    sheet.text(0.2, 0.42, f"{name[:1].upper()}{name[1:]} at t = {where}, {done}", SIZE)
    return sheet.figure


def _frames(store: SnapshotStore, sample: int, name: str) -> list[int]:
    """Return the last frame, and those before it that part the way to it into equal changes."""
    last = len(store.times) - 1
    probes = np.unique(np.linspace(0, last, min(last + 1, _PROBES)).round().astype(int)).tolist()
    changes, before = [0.0], store.read(sample, name, probes[0])
    for frame in probes[1:]:
        values = store.read(sample, name, frame)
        changes.append(float(np.linalg.norm(values - before)))
        before = values
    way = np.cumsum(changes)
    found = [probes[int(np.searchsorted(way, way[-1] * i / _TIMES))] for i in range(1, _TIMES)]
    return sorted({*found, last})


def _listed(texts: Sequence[str]) -> str:
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else texts[0]


def _heading(store: SnapshotStore, sample: int, frame: int, width: float) -> list[str]:
    time = time_texts(store.description.times)[frame]
    text = f"Sample\u00a0{sample}, t\u00a0=\u00a0{time}\u00a0s"
    parameters = parameter_text(store.description, sample)
    return wrapped(f"{text}: {parameters}" if parameters else text, width, SIZE)
