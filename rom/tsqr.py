"""QR factorisation of a tall matrix, one block of rows after the other.

Each block of rows is factorised on its own, then the small triangles on top of each other:
Householder reflections throughout, hence as stable as one factorisation of the whole, and the
blocks stay in the cache.

Source: Demmel, Grigori, Hoemmen, Langou (2012), doi:10.1137/080731992.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["tall_skinny_qr"]

type _Floats = NDArray[np.float64]

_ROWS = 4096


def tall_skinny_qr(columns: _Floats, rows: int = _ROWS) -> tuple[_Floats, _Floats]:
    """Return Q and R of columns = Q R.

    Parameters
    ----------
    columns
        Shape (n, k). They are overwritten by Q where their shape allows it.
    rows
        Rows of a block; at least 2 k are taken.

    Returns
    -------
    tuple
        Q, shape (n, q), and R, shape (q, k), with q = min(n, k).
    """
    n, k = columns.shape
    step = max(rows, 2 * k, 1)
    if n < 2 * step:
        q, r = np.linalg.qr(columns)
        return np.asarray(q), np.asarray(r)
    # The last block takes the rest, so that none has less rows than columns.
    edges = [*range(0, n - step + 1, step)]
    blocks = [slice(a, b) for a, b in zip(edges, [*edges[1:], n], strict=True)]
    triangles = np.empty((len(blocks), k, k))
    for place, block in enumerate(blocks):
        columns[block], triangles[place] = np.linalg.qr(columns[block])
    turned, r = np.linalg.qr(triangles.reshape(-1, k))
    for place, block in enumerate(blocks):
        columns[block] = columns[block] @ turned[place * k : (place + 1) * k]
    return columns, np.asarray(r)
