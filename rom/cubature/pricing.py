r"""Which point is added next: the one whose column says most about the residual.

.. math:: \tau = \arg\max_k \; j_k^T r / \|j_k\|

Looking at all points costs as much as everything else together. So each look keeps the best few,
and the next points come from these, with their values for the residual of that moment, until the
best of them says much less than the best of all did (the partial pricing of linear programming).
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pricing"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

_SHORT = 128
# A point of the list is taken while it says this part of what the best point of all said,
# relative to the residual's norm at each moment.
_ENOUGH = 0.7


@final
class Pricing:
    """See the module.

    Parameters
    ----------
    rows
        J, (m, N).
    """

    def __init__(self, rows: _Floats) -> None:
        self._rows = rows
        sizes = np.sqrt(np.einsum("ij,ij->j", rows, rows))
        # A point at which all functions vanish explains nothing.
        self._factors = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        self._best: _Ints = np.empty(0, np.int64)
        self._columns: _Floats = np.empty((0, len(rows)))
        self._level = np.inf

    def choose(self, residual: _Floats, closed: NDArray[np.bool_]) -> int | None:
        """Return the next point; None if no open one lowers the residual.

        Parameters
        ----------
        residual
            r, (m,).
        closed
            Points that may not be chosen, (N,).
        """
        size = float(np.linalg.norm(residual))
        values = np.where(closed[self._best], -np.inf, self._columns @ residual)
        if values.max(initial=-np.inf) < _ENOUGH * self._level * size:
            values = self._look(residual, closed)
            self._level = float(values.max(initial=0.0)) / size
        if values.max(initial=0.0) <= 0:
            return None
        return int(self._best[values.argmax()])

    def _look(self, residual: _Floats, closed: NDArray[np.bool_]) -> _Floats:
        """Look at all points, keep the best, and return their values."""
        values = (residual @ self._rows) * self._factors
        values[closed] = -np.inf
        n = min(_SHORT, len(values))
        best = np.argpartition(values, -n)[-n:]
        # In the order of the points: ties go to the first, whatever the partition did.
        self._best = np.sort(best).astype(np.int64)
        self._columns = np.ascontiguousarray(
            (self._rows[:, self._best] * self._factors[self._best]).T
        )
        return np.asarray(values[self._best])
