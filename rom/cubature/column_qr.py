r"""Least squares with columns that come and go, by a QR factorisation that is kept up to date.

.. math:: \min_w \| A w - b \|, \qquad A = Q R

A new column is made orthogonal to the others twice (Gram-Schmidt), at the cost of O(m n); a column
is dropped by Givens rotations, O((m + n) n). Nothing is squared, unlike with normal equations.

Sources: Daniel, Gragg, Kaufman, Stewart (1976), doi:10.1090/S0025-5718-1976-0431641-8; Giraud,
Langou, Rozloznik, van den Eshof (2005), doi:10.1007/s00211-005-0615-4.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr_delete, solve_triangular

__all__ = ["ColumnQR"]

type _Floats = NDArray[np.float64]

# What is left of a dependent column is rounding.
_DEPENDENT = 1e-10


@final
class ColumnQR:
    """See the module.

    Parameters
    ----------
    target
        b, (m,).
    """

    def __init__(self, target: _Floats) -> None:
        m = len(target)
        self._target = target
        self._Q: _Floats = np.empty((m, m), order="F")
        self._R: _Floats = np.zeros((m, m), order="F")
        self._along: _Floats = np.empty(m)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, column: _Floats) -> bool:
        """Add a column (m,); return False, without adding it, if it depends on the others."""
        n, size = self._n, float(np.linalg.norm(column))
        if n == len(self._target):
            return False
        Q, rest, above = self._Q[:, :n], column, np.zeros(n)
        for _ in range(2):
            part = Q.T @ rest
            rest = rest - Q @ part
            above += part
        norm = float(np.linalg.norm(rest))
        if norm <= _DEPENDENT * size:
            return False
        self._Q[:, n] = rest / norm
        self._R[:n, n], self._R[n, n] = above, norm
        self._along[n] = self._Q[:, n] @ self._target
        self._n = n + 1
        return True

    def drop(self, places: list[int]) -> None:
        """Drop the columns at these places, in the order in which they are held."""
        for place in sorted(places, reverse=True):
            n = self._n
            Q, R = qr_delete(
                self._Q[:, :n], self._R[:n, :n], place, 1, "col", check_finite=False
            )  # fmt: skip
            self._n = n - 1
            self._Q[:, : n - 1] = Q[:, : n - 1]
            self._R[: n - 1, : n - 1] = R[: n - 1]
        self._along[: self._n] = self._Q[:, : self._n].T @ self._target

    def solve(self) -> _Floats:
        """Return w, (n,)."""
        n = self._n
        found = solve_triangular(self._R[:n, :n], self._along[:n], check_finite=False)
        return np.asarray(found, np.float64)

    def losses(self) -> _Floats:
        r"""Return by how much the squared residual grows if one column is dropped, (n,).

        .. math:: w_k^2 / (A^T A)^{-1}_{kk}
        """
        n = self._n
        inverse = solve_triangular(self._R[:n, :n], np.eye(n), check_finite=False)
        return np.asarray(self.solve() ** 2 / np.einsum("ij,ij->i", inverse, inverse))

    def residual(self) -> _Floats:
        """Return b - A w for this w, (m,)."""
        n = self._n
        Q = self._Q[:, :n]
        rest = self._target - Q @ self._along[:n]
        # Once more: the first difference has lost digits where it is small.
        return np.asarray(rest - Q @ (Q.T @ rest))
