r"""Inner products in which modes are orthonormal and errors are measured.

.. math:: \langle u, v \rangle = u^T M v, \qquad \|u\| = \sqrt{\langle u, u \rangle},

with a symmetric positive definite matrix M. Fields are columns here: u has shape (n, k). With
rows spread over processes, M is a sum too: each process holds the rows that its own part needs
(shared ones on each that needs them) and its own addend of M, for example the mass matrix of its
own cells, so that nothing counts twice; the product adds the results (`rom.reduction`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from infra.errors import UserError
from rom.reduction import Reducer, Serial

__all__ = ["Diagonal", "Euclidean", "InnerProduct", "SparseProduct"]

type _Floats = NDArray[np.float64]

# Columns that M is applied to at once: no second copy of all snapshots is ever needed.
_CHUNK = 64
# M and its transpose may differ by rounding; so may a square of zero.
_SYMMETRY = 1e-10


class InnerProduct(ABC):
    """A symmetric positive definite bilinear form on fields of n values.

    Parameters
    ----------
    n
        Number of values of a field on this process.
    reducer
        The processes that share the fields; by default this one alone.
    """

    def __init__(self, n: int, reducer: Reducer | None = None) -> None:
        self._n = n
        self._reducer = reducer or Serial()

    @property
    def n(self) -> int:
        """Number of values of a field on this process."""
        return self._n

    @property
    def reducer(self) -> Reducer:
        """The processes that share the fields."""
        return self._reducer

    @property
    @abstractmethod
    def weights(self) -> _Floats | None:
        """The diagonal of M, shape (n,), if M is diagonal; None if it is not."""

    def check(self, n: int) -> None:
        """Check that fields of `n` values fit.

        Raises
        ------
        UserError
            If they do not.
        """
        if n != self._n:
            raise UserError(
                f"Expected fields of {self._n} values, for which the inner product was made; "
                f"received {n}. Make the product from the same fields as the snapshots."
            )

    def apply(self, u: _Floats) -> _Floats:
        """Return M u for columns u of shape (n, k); of this process's M. May be `u` itself."""
        self.check(len(u))
        return self._apply(u)

    def gram(self, u: _Floats, v: _Floats | None = None) -> _Floats:
        """Return u^T M v, shape (k, l), for columns u (n, k) and v (n, l); v is u by default."""
        self.check(len(u))
        if v is None:
            both = self._gram(u, u)
            return (both + both.T) / 2
        self.check(len(v))
        # M is applied to the smaller block.
        return self._gram(u, v) if v.shape[1] <= u.shape[1] else self._gram(v, u).T

    def norms(self, u: _Floats) -> _Floats:
        """Return the norms of the columns of u (n, k), shape (k,).

        Raises
        ------
        UserError
            If the square of a norm is negative: M is not positive definite.
        """
        self.check(len(u))
        squares = np.empty(u.shape[1])
        for part in _chunks(u.shape[1]):
            squares[part] = np.einsum("ij,ij->j", u[:, part], self._apply(u[:, part]))
        squares = self._reducer.sum(squares)
        if (squares < 0).any():
            self._refuse_negative(u, squares)
        return np.sqrt(np.maximum(squares, 0.0))

    @abstractmethod
    def _apply(self, u: _Floats) -> _Floats: ...

    def _gram(self, u: _Floats, v: _Floats) -> _Floats:
        result = np.empty((u.shape[1], v.shape[1]))
        for part in _chunks(v.shape[1]):
            result[:, part] = u.T @ self._apply(v[:, part])
        return self._reducer.sum(result)

    def _refuse_negative(self, u: _Floats, squares: _Floats) -> None:
        sizes = np.array([np.abs(x) @ np.abs(self._apply(x[:, None])[:, 0]) for x in u.T])
        if (squares < -_SYMMETRY * self._reducer.sum(sizes)).any():
            raise UserError(
                "Expected a positive definite inner product; received a field whose squared norm "
                f"is {squares.min():.3g}. Use a mass matrix, or add one to a semi-definite matrix."
            )


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))


@final
class Euclidean(InnerProduct):
    """The sum of products of values: M is the identity.

    On a mesh it gives small cells as much weight as large ones: prefer a mass matrix.

    Parameters
    ----------
    n, reducer
        As in `InnerProduct`; each value must be on one process only.
    """

    @property
    def weights(self) -> _Floats:
        """Ones, shape (n,)."""
        return np.ones(self._n)

    def _apply(self, u: _Floats) -> _Floats:
        return u


@final
class Diagonal(InnerProduct):
    """A weighted sum of products of values: M is diagonal.

    Parameters
    ----------
    weights
        The diagonal, shape (n,), positive.
    reducer
        As in `InnerProduct`.

    Raises
    ------
    UserError
        If a weight is not positive and finite.
    """

    def __init__(self, weights: ArrayLike, reducer: Reducer | None = None) -> None:
        self._weights = np.array(weights, np.float64)
        if self._weights.ndim != 1 or not _positive(self._weights):
            raise UserError(
                "Expected positive finite weights, shape (n,); received shape "
                f"{self._weights.shape}. Leave out the values that shall not count."
            )
        super().__init__(len(self._weights), reducer)

    @property
    def weights(self) -> _Floats:
        """The diagonal, shape (n,)."""
        return self._weights

    def _apply(self, u: _Floats) -> _Floats:
        return self._weights[:, None] * u


@final
class SparseProduct(InnerProduct):
    """A product given by its matrix.

    Parameters
    ----------
    matrix
        Symmetric positive definite, shape (n, n): a SciPy sparse matrix or an array. That it is
        symmetric with a positive diagonal is checked here, a negative norm whenever it appears.
    reducer
        As in `InnerProduct`.

    Raises
    ------
    UserError
        If the matrix is not square, finite and symmetric, or its diagonal is not positive.
    """

    def __init__(self, matrix: Any, reducer: Reducer | None = None) -> None:
        if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
            raise UserError(f"Expected a square matrix; received shape {matrix.shape}.")
        self._matrix = csr_array(matrix, dtype=np.float64)
        largest = abs(self._matrix).max()
        symmetric = abs(self._matrix - self._matrix.T).max() <= _SYMMETRY * largest
        if not (np.isfinite(largest) and symmetric and _positive(self._matrix.diagonal())):
            raise UserError(
                "Expected a symmetric positive definite matrix; received one that is not finite, "
                "not symmetric, or whose diagonal is not positive. Boundary conditions that were "
                "written into the rows of a matrix make it unsymmetric: leave them out."
            )
        super().__init__(int(self._matrix.shape[0]), reducer)

    @property
    def weights(self) -> None:
        """None: the matrix is not used as a diagonal one."""
        return

    def _apply(self, u: _Floats) -> _Floats:
        return np.asarray(self._matrix @ u)


def _positive(values: _Floats) -> bool:
    return bool(np.isfinite(values).all() and (values > 0).all())
