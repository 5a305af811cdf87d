r"""Principal coordinates of many wide samples in one pass over the data.

The directions are the leading right singular vectors of m rows, spread evenly over the order
given, from the m x m Gram matrix:

.. math::
   S S^T = W \Lambda W^T, \qquad V = S^T W_k \Lambda_k^{-1/2}, \qquad y_i = V^T (u_i - u_0)

(Sirovich, 1987, doi:10.1090/qam/910462, the method of snapshots; the restriction to sampled rows
is the Nystroem approximation of Williams and Seeger, 2001, NIPS 13). Nothing is random.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["principal_coordinates"]

# Rows that give the directions: several times the largest number of directions.
_ROWS = 512
# Points in this many dimensions are taken as they are. Random fields with 96 % of their variance
# in 32 directions have a greedy tour that is 0.2 % longer than in full space.
_FEW = 32
_MANY = 128
_VARIANCE = 0.95
# Directions below are round-off.
_RANK = 1e-13
# Single precision values of a block of rows: 32 MiB, but no fewer rows than a product needs.
_BLOCK = 2**23
_BLOCK_ROWS = 64


def principal_coordinates(
    points: NDArray[Any], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reduce rows to their coordinates along the directions of largest variance.

    Up to 32 columns are left as they are. Otherwise 32 directions are kept, and up to 128 until
    they hold 95 % of the sampled rows' variance. O(n d k) operations in single precision, relative
    to the spread of the data, not to its mean.

    Parameters
    ----------
    points : shape (n, d), floating point, squares neither overflowing nor vanishing
    rows : numbers of the rows to return, in this order, shape (n,)

    Returns
    -------
    coordinates : shape (n, k), in the order of `rows`
    origin : coordinates of the zero vector, shape (k,)
    """
    d = points.shape[1]
    if d <= _FEW or len(rows) < 2:
        return points[rows].astype(np.float64), np.zeros(d)
    reference = points[rows[0]]
    basis = _directions(points, rows)
    coordinates = np.empty((len(rows), basis.shape[1]))
    size = max(_BLOCK_ROWS, _BLOCK // d)
    block = np.empty((min(size, len(rows)), d), dtype=np.float32)
    for low in range(0, len(rows), size):
        part = rows[low : low + size]
        # Row by row: no copy of the data in double precision, and every row is read once.
        for target, row in zip(block, part, strict=False):
            np.subtract(points[row], reference, out=target, casting="same_kind")
        coordinates[low : low + size] = block[: len(part)] @ basis
    return coordinates, -(reference.astype(np.float64) @ basis)


def _directions(points: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return orthonormal directions, shape (d, k), by descending variance."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, _ROWS).astype(np.int64))]
    sampled = points[chosen].astype(np.float64)
    sampled -= sampled.mean(axis=0)
    variances, weights = np.linalg.eigh(sampled @ sampled.T)
    variances, weights = variances[::-1], weights[:, ::-1]
    rank = int(np.sum(variances > _RANK * variances[0]))
    explained = np.cumsum(variances[:rank])
    enough = 1 + int(np.searchsorted(explained, _VARIANCE * variances[:rank].sum()))
    k = min(rank, _MANY, max(_FEW, enough))
    return np.asarray(sampled.T @ (weights[:, :k] / np.sqrt(variances[:k])), dtype=np.float32)
