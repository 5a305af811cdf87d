"""An order of rows that depends on their values only, not on how they are numbered."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["canonical_order"]

# Up to this many columns the order is lexicographic; sorting by thousands would take minutes.
_FEW = 32
_GOLDEN = (5**0.5 - 1) / 2


def canonical_order(points: NDArray[Any]) -> NDArray[np.int64]:
    r"""Return the numbers of the rows in canonical order; identical rows keep theirs.

    Up to 32 columns the order is lexicographic. Wider rows are ordered by
    :math:`\sum_j w_j u_j` with the fixed weights :math:`w_j = (j \varphi \bmod 1) - 1/2`,
    :math:`\varphi = (\sqrt 5 - 1) / 2`, and by their bytes where these agree.

    Parameters
    ----------
    points : shape (n, d)

    Returns
    -------
    ndarray
        Permutation of 0..n-1, shape (n,)
    """
    n, d = points.shape
    if d <= _FEW:
        return np.lexsort(points.T[::-1]) if d else np.arange(n)
    weights = (np.arange(1, d + 1) * _GOLDEN % 1 - 0.5).astype(points.dtype)
    # Row by row: a product with all rows may round equal rows differently.
    keys = np.array([np.ascontiguousarray(row) @ weights for row in points])
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    for low, high in zip([0, *cuts], [*cuts, n], strict=True):
        if high - low > 1:
            # Adding zero makes one of -0 and +0.
            order[low:high] = sorted(order[low:high], key=lambda i: (points[i] + 0).tobytes())
    return order
