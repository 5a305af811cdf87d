r"""Which point is added next: the one whose column says most about the residual.

.. math:: \tau = \arg\max_k \; j_k^T r / \|j_k\|

Looking at all points costs as much as everything else together. So each look keeps the best few,
and the next points come from these, with their values for the residual of that moment, until the
best of them says much less than the best of all did (the partial pricing of linear programming).
With several processes each looks at its own points, and the best of all their lists make one.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.cubature.compression import Compressed
from rom.parts import gathered

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
    problem
        J, and which of its columns are here.
    """

    def __init__(self, problem: Compressed) -> None:
        self._problem = problem
        self._factors = [_inverse_sizes(rows) for rows in problem.rows]
        self._best: _Ints = np.empty(0, np.int64)
        self._columns: _Floats = np.empty((0, len(problem.target)))
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
        parts = self._problem.parts
        own = np.empty(len(parts.numbers))
        for block, rows, factors in zip(
            parts.blocks, self._problem.rows, self._factors, strict=True
        ):
            start = parts.here.start
            own[block.start - start : block.stop - start] = (residual @ rows) * factors
        own[closed[parts.here]] = -np.inf
        listed = _largest(own)
        pairs = np.full((2, _SHORT), -np.inf)
        pairs[:, : len(listed)] = own[listed], parts.numbers[listed]
        # Processes have consecutive points: the list of all is in the order of the points too.
        values, numbers = gathered(parts.reducer, pairs).swapaxes(0, 1).reshape(2, -1)
        best = _largest(values)
        self._best = numbers[best].astype(np.int64)
        columns = self._problem.columns(self._best)
        self._columns = columns * _inverse_sizes(columns.T)[:, None]
        return np.asarray(values[best])


def _inverse_sizes(rows: _Floats) -> _Floats:
    """Return 1 / |j_k| for columns; a point at which all functions vanish explains nothing."""
    sizes = np.sqrt(np.einsum("ij,ij->j", rows, rows))
    return np.asarray(np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0))


def _largest(values: _Floats) -> _Ints:
    """Return the places of the largest values, ascending; among equal ones the first."""
    n = int((values > -np.inf).sum())
    if n > _SHORT:
        cut = np.partition(values, -_SHORT)[-_SHORT]
        above, equal = np.flatnonzero(values > cut), np.flatnonzero(values == cut)
        return np.asarray(np.sort(np.r_[above, equal[: _SHORT - len(above)]]))
    return np.flatnonzero(values > -np.inf)
