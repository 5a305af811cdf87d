"""Quantities of interest as comma separated values: one row per query and time."""

import csv
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from rom.answer import Answer
from rom.served_model import ServedModel

__all__ = ["CSV", "csv_bytes"]

CSV = "text/csv"


def csv_bytes(model: ServedModel, mu: NDArray[np.float64], answer: Answer) -> bytes:
    """Return quantities, indicator and range of queries mu (q, d) as text, units in the header."""
    units = {p.name: p.unit for p in model.parameters.space.parameters}
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = model.parameters.names
    writer.writerow(
        [
            "query",
            "time [s]",
            *(f"{name} [{units[name]}]" for name in names),
            *(f"{name} [{answer.units[name]}]" for name in answer.values),
            "indicator [1]",
            "in_range",
        ]
    )
    for i, row in enumerate(mu.tolist()):
        trust = [repr(float(answer.eta[i])), int(answer.in_range[i])]
        for k, time in enumerate(answer.times.tolist()):
            # One number per sample stands in all rows of its query.
            values = [float(v[i, min(k, v.shape[1] - 1)]) for v in answer.values.values()]
            writer.writerow([i, repr(time), *map(repr, row), *map(repr, values), *trust])
    return text.getvalue().encode()
