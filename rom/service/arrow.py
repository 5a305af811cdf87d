"""Answers as an Arrow stream: one row per query and time, in the order of the answer.

Columns: ``query``, ``time``, the free parameters, what was asked for (a number, or a list of equal
length per row), ``indicator`` and ``in_range``. Units stand in the metadata of the columns.
"""

from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rom.answer import Answer
from rom.served_model import ServedModel

__all__ = ["ARROW", "arrow_bytes"]

ARROW = "application/vnd.apache.arrow.stream"


def arrow_bytes(
    model: ServedModel, mu: NDArray[np.float64], answer: Answer, precision: str
) -> bytes:
    """Return an answer as an Arrow IPC stream.

    Parameters
    ----------
    model
        Whose parameters they are.
    mu
        Of the queries, (q, d).
    answer
        To them.
    precision
        Of the values: ``float64`` or ``float32``.
    """
    q, t = len(mu), len(answer.times)
    units = {p.name: p.unit for p in model.parameters.space.parameters}
    columns: list[tuple[str, Any, str]] = [
        ("query", _array(np.repeat(np.arange(q, dtype=np.int32), t)), "1"),
        ("time", _array(np.tile(answer.times, q)), "s"),
    ]
    for i, name in enumerate(model.parameters.names):
        columns.append((name, _array(np.repeat(mu[:, i], t)), units[name]))
    for name, values in answer.values.items():
        columns.append((name, _column(values.astype(precision), t), answer.units[name]))
    columns.append(("indicator", _array(np.repeat(answer.eta, t)), "1"))
    columns.append(("in_range", _array(np.repeat(answer.in_range, t)), "1"))
    return _written(columns, answer)


def _column(values: NDArray[Any], times: int) -> Any:
    if values.ndim == 2:
        # One number per sample stands in all rows of its query.
        rows = np.broadcast_to(values, (len(values), times))
        return _array(np.ascontiguousarray(rows).reshape(-1))
    flat = _array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[2])


def _array(values: NDArray[Any]) -> Any:
    """Return an Arrow array over the memory of a numpy array.

    `pyarrow.array` would load pandas with the first request, which takes most of a second.
    """
    if values.dtype == np.bool_:
        bits = np.packbits(values, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _written(columns: list[tuple[str, Any, str]], answer: Answer) -> bytes:
    fields = [pa.field(name, a.type, metadata={"units": unit}) for name, a, unit in columns]
    about = {
        "model": answer.model,
        "version": str(answer.version),
        "coverage": repr(answer.coverage),
        "level_used": answer.level_used,
    }
    schema = pa.schema(fields, metadata=about)
    batch = pa.record_batch([array for _, array, _ in columns], schema=schema)
    sink = BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
