"""The picture of a steady dataset's card: coefficient and solution of several samples."""

import math

import numpy as np
from matplotlib.figure import Figure

from flows.figures.panels import SIZE, Box, Sheet
from flows.figures.rows import Row, draw_rows, panel_width, sample_title
from flows.figures.samples import chosen_samples
from flows.figures.steady_fields import SteadyField, SteadyReader, fields_of
from infra.store import SnapshotStore

__all__ = ["steady_overview_figure"]

# Samples side by side when a coefficient stands above its solution, and without one.
_COLUMNS, _LARGEST = 4, 6


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
    width = panel_width(columns, box.aspect)
    titles = [sample_title(store, sample, width) for sample in samples]
    rows = _rows(fields, readers, titles, columns)
    sheet = draw_rows(rows, columns, width, box)
    _heading(sheet, store, fields, readers[0])
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
) -> list[Row]:
    everyone = tuple(readers)
    if len(fields) > 1:
        first, last = fields
        return [
            Row(first, everyone, everyone, tuple(titles), last=False),
            Row(last, everyone, everyone, (), last=True),
        ]
    cuts = [slice(i, i + columns) for i in range(0, len(readers), columns)]
    return [
        Row(fields[0], everyone[cut], everyone, tuple(titles[cut]), cut is cuts[-1]) for cut in cuts
    ]


def _heading(
    sheet: Sheet, store: SnapshotStore, fields: tuple[SteadyField, ...], reader: SteadyReader
) -> None:
    names = " and ".join(field.name.replace("_", " ") for field in fields)
    where = "" if reader.height is None else f" in the plane z = {reader.height:.4g} m"
    done = f"{len(store.committed())} of {len(store.samples)} samples computed"
    sheet.text(0.2, 0.13, store.description.title, SIZE + 2, "bold")
    sheet.text(0.2, 0.42, f"{names[:1].upper()}{names[1:]}{where}, {done}", SIZE)
