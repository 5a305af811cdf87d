r"""Functions known at the points of a full quadrature rule.

.. math:: b_i = \int_\Omega f_i \approx \sum_k \omega_k f_i(x_k) = (G \omega)_i

They are read in blocks of points, so that the matrix G, (m, N), need not be held.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["ArrayIntegrands", "Integrands", "ProductIntegrands"]

type _Floats = NDArray[np.float64]
type _Places = NDArray[np.int64] | slice

# Points of a block: 900 functions take 15 MB.
_BLOCK = 2048


class Integrands(ABC):
    """Functions at N points with weights.

    Parameters
    ----------
    weights
        omega of the full rule, (N,), positive.

    Raises
    ------
    UserError
        If a weight is not positive and finite.
    """

    def __init__(self, weights: _Floats) -> None:
        self.weights: _Floats = np.array(weights, np.float64)
        good = np.isfinite(self.weights) & (self.weights > 0)
        if self.weights.ndim != 1 or not len(self.weights) or not good.all():
            raise UserError(
                "Expected the positive finite weights of a quadrature rule, shape (N,); received "
                f"shape {self.weights.shape} with {int((~good).sum())} others. Check the mesh for "
                "inverted elements."
            )

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
        """Return the values at some points, (m, number of places)."""

    @final
    def blocks(self) -> Iterator[tuple[slice, _Floats]]:
        """Give places of consecutive points and the values there."""
        for start in range(0, self.points, _BLOCK):
            places = slice(start, min(start + _BLOCK, self.points))
            yield places, self.at(places)

    @final
    def integrals(self) -> _Floats:
        """Return G omega, (m,)."""
        result = np.zeros(self.functions)
        for places, values in self.blocks():
            result += values @ self.weights[places]
        return result


@final
class ArrayIntegrands(Integrands):
    """Functions held as a matrix.

    Parameters
    ----------
    values
        G, (m, N), finite.
    weights
        omega, (N,).

    Raises
    ------
    UserError
        If the shapes differ or a value is not finite.
    """

    def __init__(self, values: _Floats, weights: _Floats) -> None:
        super().__init__(weights)
        self._values = np.asarray(values, np.float64)
        if self._values.ndim != 2 or self._values.shape[1] != self.points:
            raise UserError(
                f"Expected functions as rows, shape (m, {self.points}), one column per weight; "
                f"received shape {self._values.shape}."
            )
        if not np.isfinite(self._values).all():
            raise UserError("Expected finite integrands; received NaN or infinite values.")

    @property
    def functions(self) -> int:
        """Number m of functions."""
        return len(self._values)

    def at(self, places: _Places) -> _Floats:
        """Return the values at some points, (m, number of places)."""
        return self._values[:, places]


@final
class ProductIntegrands(Integrands):
    r"""Products of two families of vectors at each point, such as stresses and strains.

    .. math:: f_{(p, i)}(x_k) = \sigma_p(x_k) \cdot \varepsilon_i(x_k)

    Parameters
    ----------
    first
        (N, c, p), for example stresses in Mandel components.
    second
        (N, c, n), for example strains of modes.
    weights
        omega, (N,).

    Raises
    ------
    UserError
        If the shapes differ or a value is not finite.
    """

    def __init__(self, first: _Floats, second: _Floats, weights: _Floats) -> None:
        super().__init__(weights)
        self._first, self._second = first, second
        shapes = (first.shape[:2], second.shape[:2])
        if len(set(shapes)) > 1 or len(first) != self.points:
            raise UserError(
                f"Expected two families at {self.points} points with equally many components; "
                f"received shapes {first.shape} and {second.shape}."
            )
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            raise UserError("Expected finite integrands; received NaN or infinite values.")

    @property
    def functions(self) -> int:
        """Number m = p n of functions."""
        return int(self._first.shape[2] * self._second.shape[2])

    def at(self, places: _Places) -> _Floats:
        """Return the values at some points, (m, number of places); p is the slow index."""
        products = self._first[places].swapaxes(1, 2) @ self._second[places]
        return np.ascontiguousarray(products.reshape(len(products), -1).T)
