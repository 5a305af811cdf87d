r"""Gaussian random fields on the unit square or cube at any points, from given coefficients.

.. math::
   g(x) = \sum_{i < m} \sqrt{\lambda_i}\, \xi_i \prod_d c_{k_{id}} \cos(k_{id} \pi x_d), \qquad
   \lambda_i = (\pi^2 |k_i|^2 + \tau^2)^{-\alpha}

with :math:`c_0 = 1`, :math:`c_k = \sqrt 2` otherwise: the smoothest modes of
:math:`\mathcal N(0, (-\Delta + \tau^2)^{-\alpha})` with Neumann conditions for standard normal
:math:`\xi`. The constant mode is left out, so that every field has the mean zero, as in the
published generator of Li et al. (2020, arXiv:2010.08895). Products of cosines are tables per axis
contracted with the coefficients: a field costs one matrix product with a few columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from infra.errors import UserError
from solvers.mesh import FloatArray, IntArray
from solvers.parameter import Parameter

__all__ = ["CosineTables", "RandomField", "cosine_tables", "grid_tables"]

# A standard normal number is outside once in two million times.
_BOUND = 5.0


@final
@dataclass(frozen=True)
class CosineTables:
    """Values of the cosines of each axis at some points.

    Attributes
    ----------
    axes : one (n_points, k) table per axis; on a grid (n_axis, k)
    grid : whether the points are all combinations of the axes' points
    """

    axes: tuple[FloatArray, ...]
    grid: bool


def cosine_tables(points: FloatArray, largest: int) -> CosineTables:
    """Return the cosines with wave numbers up to `largest` at points (n, gdim)."""
    return CosineTables(tuple(_cosines(axis, largest) for axis in points.T), False)


def grid_tables(axes: Sequence[FloatArray], largest: int) -> CosineTables:
    """Return the cosines on the tensor grid of `axes`; fields come out with this shape."""
    return CosineTables(tuple(_cosines(axis, largest) for axis in axes), True)


def _cosines(x: FloatArray, largest: int) -> FloatArray:
    k = np.arange(largest + 1)
    return np.asarray(np.where(k == 0, 1.0, np.sqrt(2.0)) * np.cos(np.pi * x[:, None] * k))


@final
@dataclass(frozen=True)
class RandomField:
    """A truncated Karhunen-Loeve expansion.

    Attributes
    ----------
    dimension : 2 or 3
    modes : number m of coefficients, largest variance first
    tau : inverse correlation length, > 0, in units of 1 / side length
    alpha : smoothness, > dimension / 2
    prefix : the coefficients are called ``prefix_0 ...``

    Raises
    ------
    UserError
        If a number is out of its range.
    """

    dimension: int
    modes: int
    tau: float
    alpha: float
    prefix: str = "xi"

    def __post_init__(self) -> None:
        # Comparisons in this direction also refuse NaN.
        good = self.modes >= 1 and self.tau > 0 and self.alpha > self.dimension / 2
        if not (good and self.dimension in (2, 3)):
            raise UserError(
                "random field: expected dimension 2 or 3, modes >= 1, tau > 0 and alpha > "
                f"dimension / 2 (for a finite variance), received {self}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return tuple(f"{self.prefix}_{i}" for i in range(self.modes))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The coefficients as parameters: standard normal numbers within five deviations."""
        text = "coefficient of the random field, standard normal"
        return tuple(Parameter(n, -_BOUND, _BOUND, "1", text, "normal") for n in self.names)

    @property
    def defaults(self) -> Mapping[str, float]:
        """The smoothest mode alone: a field that is not constant."""
        return {name: float(i == 0) for i, name in enumerate(self.names)}

    @cached_property
    def wave_numbers(self) -> IntArray:
        """(m, dimension) numbers of half waves along the axes, largest variance first."""
        axes = (np.arange(self._reach() + 1),) * self.dimension
        all_modes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.dimension)
        # Modes of equal variance follow their wave numbers: one order on every machine.
        keys = (*all_modes.T[::-1], (all_modes**2).sum(axis=1))
        return all_modes[np.lexsort(keys)][1 : self.modes + 1].astype(np.int64)

    @cached_property
    def amplitudes(self) -> FloatArray:
        r"""(m,) standard deviations :math:`\sqrt{\lambda_i}` of the modes."""
        squares = (self.wave_numbers**2).sum(axis=1)
        return np.asarray((np.pi**2 * squares + self.tau**2) ** (-self.alpha / 2))

    @property
    def largest(self) -> int:
        """The largest number of half waves along an axis."""
        return int(self.wave_numbers.max())

    def coefficients(self, mu: Mapping[str, float]) -> FloatArray:
        r"""Return the (m,) weights :math:`\sqrt{\lambda_i}\,\xi_i`.

        The Euclidean distance of weights is the L2 distance of the fields.
        """
        return self.amplitudes * np.array([mu[name] for name in self.names], dtype=np.float64)

    def evaluate(self, mu: Mapping[str, float], tables: CosineTables) -> FloatArray:
        """Return the field at the points of `tables`: (n_points,), or the shape of the grid."""
        size = self.largest + 1
        tensor = np.zeros((size,) * self.dimension)
        tensor[tuple(self.wave_numbers.T)] = self.coefficients(mu)
        if tables.grid:
            for axis in tables.axes:
                tensor = np.tensordot(tensor, axis, axes=(0, 1))
            return tensor
        first, *others = tables.axes
        values = first @ tensor.reshape(size, -1)
        for axis in others:
            shaped = values.reshape(len(values), size, -1)
            values = np.einsum("nk,nkr->nr", axis, shaped)
        return values[:, 0]

    def _reach(self) -> int:
        """Return a number of half waves that the smoothest m modes cannot exceed."""
        reach = 1
        # All modes inside the ball of this radius have components up to it.
        while self._within(reach) <= self.modes:
            reach += 1
        return reach

    def _within(self, radius: int) -> int:
        squares = np.arange(radius + 1) ** 2
        total = np.zeros((radius + 1,) * self.dimension)
        for axis in np.ix_(*(squares,) * self.dimension):
            total = total + axis
        return int((total <= radius**2).sum())
