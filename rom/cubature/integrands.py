r"""Functions known at the points of a full quadrature rule.

.. math:: b_i = \int_\Omega f_i \approx \sum_k \omega_k f_i(x_k) = (G \omega)_i

They are read in blocks of points, so that the matrix G, (m, N), need not be held. Points may be
shared out over processes: each knows all weights, and the functions at its own points; points are
numbered as if all were here.
"""

from abc import ABC, abstractmethod
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.parts import Parts, raise_together
from rom.reduction import Reducer

__all__ = ["ArrayIntegrands", "Integrands", "ProductIntegrands"]

type _Floats = NDArray[np.float64]
type _Places = NDArray[np.int64] | slice


class Integrands(ABC):
    """Functions at N points with weights.

    Parameters
    ----------
    weights
        omega of the full rule, (N,), positive; the same on all processes.
    reducer
        The processes that share the points; by default this one alone.

    Raises
    ------
    UserError
        If a weight is not positive and finite.
    """

    def __init__(self, weights: _Floats, reducer: Reducer | None = None) -> None:
        self.weights: _Floats = np.array(weights, np.float64)
        good = np.isfinite(self.weights) & (self.weights > 0)
        if self.weights.ndim != 1 or not len(self.weights) or not good.all():
            raise UserError(
                "Expected the positive finite weights of a quadrature rule, shape (N,); received "
                f"shape {self.weights.shape} with {int((~good).sum())} others. Check the mesh for "
                "inverted elements."
            )
        self.parts = Parts(len(self.weights), reducer)

    @property
    def points(self) -> int:
        """Number N of points."""
        return len(self.weights)

    @property
    def volume(self) -> float:
        """Sum of the weights."""
        return float(self.weights.sum())

    @property
    @abstractmethod
    def functions(self) -> int:
        """Number m of functions."""

    @abstractmethod
    def at(self, places: _Places) -> _Floats:
        """Return the values at some points of this process, (m, number of places)."""

    @final
    def columns(self, points: NDArray[np.int64]) -> _Floats:
        """Return the values at any points, (m, number of points), on all processes."""
        here = self.parts.here
        own = (points >= here.start) & (points < here.stop)
        values = np.zeros((self.functions, len(points)))
        values[:, own] = self.at(points[own])
        return self.parts.reducer.sum(values)

    @final
    def integrals(self) -> _Floats:
        """Return G omega, (m,), on all processes."""
        return self.parts.total(
            lambda _, block: self.at(block) @ self.weights[block], (self.functions,)
        )

    @final
    def _local(self, places: _Places) -> _Places:
        """Return the places among the points of this process."""
        here = self.parts.here
        if isinstance(places, slice):
            first, last, _ = places.indices(self.points)
            return slice(first - here.start, last - here.start)
        return np.asarray(places - here.start)

    @final
    def _check(self, received: str | None) -> None:
        """Refuse on all processes what is wrong on one."""
        error = None if received is None else UserError(received)
        raise_together(self.parts.reducer, error, UserError)


@final
class ArrayIntegrands(Integrands):
    """Functions held as a matrix.

    Parameters
    ----------
    values
        G at the points of this process, (m, N) if there is one, finite.
    weights, reducer
        As in `Integrands`.

    Raises
    ------
    UserError
        If the shapes differ or a value is not finite.
    """

    def __init__(self, values: _Floats, weights: _Floats, reducer: Reducer | None = None) -> None:
        super().__init__(weights, reducer)
        self._values = np.asarray(values, np.float64)
        self._check(self._fault(len(self.parts.numbers)))

    def _fault(self, n: int) -> str | None:
        if self._values.ndim != 2 or self._values.shape[1] != n:
            return (
                f"Expected functions as rows, shape (m, {n}), one column per weight; "
                f"received shape {self._values.shape}."
            )
        if not np.isfinite(self._values).all():
            return "Expected finite integrands; received NaN or infinite values."
        return None

    @property
    def functions(self) -> int:
        """Number m of functions."""
        return len(self._values)

    def at(self, places: _Places) -> _Floats:
        """Return the values at some points of this process, (m, number of places)."""
        return self._values[:, self._local(places)]


@final
class ProductIntegrands(Integrands):
    r"""Products of two families of vectors at each point, such as stresses and strains.

    .. math:: f_{(p, i)}(x_k) = \sigma_p(x_k) \cdot \varepsilon_i(x_k)

    Parameters
    ----------
    first
        At the N points of this process, (N, c, p), for example stresses in Mandel components.
    second
        (N, c, n), for example strains of modes.
    weights, reducer
        As in `Integrands`.

    Raises
    ------
    UserError
        If the shapes differ or a value is not finite.
    """

    def __init__(
        self, first: _Floats, second: _Floats, weights: _Floats, reducer: Reducer | None = None
    ) -> None:
        super().__init__(weights, reducer)
        self._first, self._second = first, second
        self._check(self._fault(len(self.parts.numbers)))

    def _fault(self, n: int) -> str | None:
        first, second = self._first, self._second
        if first.shape[:2] != second.shape[:2] or len(first) != n:
            return (
                f"Expected two families at {n} points with equally many components; "
                f"received shapes {first.shape} and {second.shape}."
            )
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            return "Expected finite integrands; received NaN or infinite values."
        return None

    @property
    def functions(self) -> int:
        """Number m = p n of functions."""
        return int(self._first.shape[2] * self._second.shape[2])

    def at(self, places: _Places) -> _Floats:
        """Return the values at some points of this process, (m, places); p is the slow index."""
        own = self._local(places)
        products = self._first[own].swapaxes(1, 2) @ self._second[own]
        return np.ascontiguousarray(products.reshape(len(products), self.functions).T)
