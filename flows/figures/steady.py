"""The figure of one steady sample: its coefficients beside its solution."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import TriMesh
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from flows.figures.arrangement import arrange
from flows.figures.panels import SIZE, Box, Sheet, border, colour_bar, label_axes
from flows.figures.steady_fields import Drawing, SteadyField, SteadyReader, fields_of
from flows.figures.steady_scales import Scale, scale_of
from flows.figures.text import parameter_text, unit_text, wrapped
from infra.errors import UserError
from infra.store import SnapshotStore

__all__ = ["chosen_fields", "draw", "quantities_text", "steady_figure"]

_LINE = 0.19
# More panels than this would be small.
_LARGEST = 4


def steady_figure(store: SnapshotStore, sample: int, field: str | None = None) -> Figure:
    """Draw the fields of a steady sample; of one in space a slice through the middle.

    Parameters
    ----------
    store : dataset with the layout of `solvers.steady_snapshots.steady_layout`
    sample : index of a committed sample
    field : name of the field to draw; None draws all, up to four

    Returns
    -------
    Figure
        Independent of pyplot; nothing needs to be closed.

    Raises
    ------
    UserError
        If the sample is not committed, or there is no such field.
    """
    reader, fields = SteadyReader(store, sample), chosen_fields(store, field)
    box = Box.around(np.concatenate(reader.border))
    plan = arrange(box.aspect, len(fields))
    lines = _heading(store, reader, sample, plan.sheet_width - 0.4)
    top = 0.6 + _LINE * len(lines)
    sheet = Sheet.blank(plan.sheet_width, top + plan.depth + 0.05)
    sheet.text(0.2, 0.13, store.description.title, SIZE + 2, "bold")
    sheet.text(0.2, 0.42, "\n".join(lines), SIZE)
    for number, one in enumerate(fields):
        axes, drawing = sheet.axes(*plan.place(number, top)), reader.drawing(one)
        scale = scale_of(one, [drawing.values])
        mesh = draw(axes, reader, drawing, scale, box)
        colour_bar(sheet, axes, mesh, scale.limits, scale.quantity)
        label_axes(axes, x=plan.is_lowest(number), y=plan.is_first(number))
    return sheet.figure


def chosen_fields(store: SnapshotStore, field: str | None) -> list[SteadyField]:
    """Return the field of this name, or up to four fields for None.

    Raises
    ------
    UserError
        If there is no field of this name.
    """
    known = {one.name: one for one in fields_of(store.description)}
    if field is None:
        return list(known.values())[:_LARGEST]
    if field not in known:
        raise UserError(f"field: expected one of {', '.join(known)}, received {field!r}.")
    return [known[field]]


def draw(axes: Axes, reader: SteadyReader, drawing: Drawing, scale: Scale, box: Box) -> TriMesh:
    """Draw a field and the outline of its domain."""
    x, y = drawing.points.T
    mesh = axes.tripcolor(
        Triangulation(x, y, drawing.triangles),
        drawing.values,
        shading="gouraud",
        cmap=scale.quantity.colours,
        norm=scale.norm,
    )
    border(axes, reader.border, box)
    return mesh


def quantities_text(store: SnapshotStore, sample: int) -> str:
    """Return a sample's quantities of interest, ``mean pressure = 0.07 m``; empty without any."""
    specs = [spec for spec in store.description.arrays if spec.dims == ("sample",)]
    texts = []
    for spec in specs:
        unit = "" if spec.units == "1" else f"\u00a0{unit_text(spec.units)}"
        value = float(store.read(sample, spec.name))
        texts.append(f"{spec.name.replace('_', '\u00a0')}\u00a0=\u00a0{value:.4g}{unit}")
    return ", ".join(texts)


def _heading(store: SnapshotStore, reader: SteadyReader, sample: int, width: float) -> list[str]:
    text = f"Sample\u00a0{sample}"
    if reader.height is not None:
        text += f", plane\u00a0z\u00a0=\u00a0{reader.height:.4g}\u00a0m"
    parameters = parameter_text(store.description, sample)
    lines = wrapped(f"{text}: {parameters}" if parameters else text, width, SIZE)
    found = quantities_text(store, sample)
    return lines + (wrapped(found, width, SIZE) if found else [])
