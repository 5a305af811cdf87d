r"""Galerkin correction on a coarse grid of hat functions, by products of small dense matrices.

With the hats :math:`P = P_1 \otimes \dots \otimes P_d` (zero at the boundary) on a uniform grid of
cells and a matrix B that couples neighbours,

.. math:: Q = P (P^T B P)^{-1} P^T .

For an edge between the cells i and i + 1 of an axis the Galerkin matrix gathers
:math:`B_{i,i+1} P_{ik} P_{i+1,l}`. The pairs (k, l) with a product that is not zero are few and
separate by axis, so that the sums over all cells are d small matrix products.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

__all__ = ["CoarseGrid"]

type Floats = NDArray[np.float64]

# Hats per axis at most: more of them cost more than the iterations that they save.
_HATS = {1: 31, 2: 15, 3: 7}
# Cells between two hats at least.
_CELLS = 4


@final
class CoarseGrid:
    """See the module.

    Parameters
    ----------
    shape : cells per axis, slowest first, 3 axes at most

    Attributes
    ----------
    hats : hat functions per axis
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        most = _HATS[len(shape)]
        self.hats = tuple(min(most, max(cells // _CELLS, 1)) for cells in shape)
        self._shape = shape
        self._basis = [_hats(n, m) for n, m in zip(shape, self.hats, strict=True)]
        self._same = [_Pairs(p, p) for p in self._basis]
        self._next = [_Pairs(p[:-1], p[1:]) for p in self._basis]
        self._factor: tuple[Floats, bool] | None = None

    def compute(self, diagonal: Floats, couplings: list[Floats]) -> None:
        """Set up for the matrix with this diagonal and these entries between neighbours.

        Parameters
        ----------
        diagonal : shape of the grid
        couplings : for each axis, one cell less on that axis

        Raises
        ------
        numpy.linalg.LinAlgError
            If the Galerkin matrix is not positive definite.
        """
        total = self._gathered(diagonal, self._same)
        for axis, one in enumerate(couplings):
            pairs = [self._next[a] if a == axis else s for a, s in enumerate(self._same)]
            half = self._gathered(one, pairs)
            total += half + half.T
        self._factor = linalg.cho_factor(total, check_finite=False)

    def correct(self, residual: Floats) -> Floats:
        """Return ``Q r``, shape of the grid."""
        assert self._factor is not None, "computed before"
        # The last axis first, and last: whole rows are read in the order in which they lie.
        coarse = residual
        for axis in range(residual.ndim - 1, -1, -1):
            coarse = _along(self._basis[axis].T, coarse, axis)
        fine = linalg.cho_solve(self._factor, coarse.ravel(), check_finite=False)
        fine = fine.reshape(self.hats)
        for axis in range(residual.ndim):
            fine = _along(self._basis[axis], fine, axis)
        return fine

    def galerkin(self, diagonal: Floats, couplings: list[Floats]) -> Floats:
        """Return ``P^T B P``, for tests."""
        self.compute(diagonal, couplings)
        assert self._factor is not None, "just computed"
        upper = np.triu(self._factor[0])
        return np.asarray(upper.T @ upper)

    def _gathered(self, weights: Floats, pairs: "list[_Pairs]") -> Floats:
        table = weights
        for axis in range(weights.ndim - 1, -1, -1):
            table = _along(pairs[axis].products.T, table, axis)
        size = int(np.prod(self.hats))
        rows, columns = pairs[0].left, pairs[0].right
        for one, m in zip(pairs[1:], self.hats[1:], strict=True):
            rows = rows[..., None] * m + one.left
            columns = columns[..., None] * m + one.right
        found = np.zeros((size, size))
        found[rows.ravel(), columns.ravel()] = table.ravel()
        return found


@final
class _Pairs:
    """Pairs of hats whose product on an axis is not zero everywhere."""

    def __init__(self, first: Floats, second: Floats) -> None:
        every = first[:, :, None] * second[:, None, :]
        self.left, self.right = np.nonzero(every.any(axis=0))
        self.products = np.ascontiguousarray(every[:, self.left, self.right])


def _along(matrix: Floats, values: Floats, axis: int) -> Floats:
    """Return the values with a matrix, shape (m, n), applied along an axis of n values."""
    shape = values.shape
    result = (*shape[:axis], len(matrix), *shape[axis + 1 :])
    if axis == len(shape) - 1:
        return np.asarray(values.reshape(-1, shape[axis]) @ matrix.T).reshape(result)
    before = int(np.prod(shape[:axis]))
    return np.asarray(matrix @ values.reshape(before, shape[axis], -1)).reshape(result)


def _hats(cells: int, hats: int) -> Floats:
    """Return hat functions at the cells' centres, shape (cells, hats)."""
    centres = (np.arange(cells) + 0.5) / cells * (hats + 1)
    distance = np.abs(centres[:, None] - np.arange(1, hats + 1))
    return np.ascontiguousarray(np.maximum(0.0, 1.0 - distance))
