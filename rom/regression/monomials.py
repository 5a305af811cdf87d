r"""Monomials up to a total degree: the polynomials of regressors and of affine operators."""

from itertools import combinations_with_replacement
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.regression.state import Floats

__all__ = ["Monomials"]


@final
class Monomials:
    r"""All :math:`\prod_j x_j^{p_j}` with :math:`\sum_j p_j \le` degree, from degree 0 upwards.

    Parameters
    ----------
    n_inputs
        The number d of inputs.
    degree
        Largest total degree, >= 0.
    """

    def __init__(self, n_inputs: int, degree: int) -> None:
        self.n_inputs = n_inputs
        factors = [
            which
            for total in range(degree + 1)
            for which in combinations_with_replacement(range(n_inputs), total)
        ]
        self.powers: NDArray[np.int64] = np.array(
            [np.bincount(np.array(which, dtype=int), minlength=n_inputs) for which in factors]
        )

    def __len__(self) -> int:
        return len(self.powers)

    def values(self, x: Floats) -> Floats:
        """Return the values (q, k) at points (q, d)."""
        values: Floats = np.prod(x[:, np.newaxis, :] ** self.powers, axis=2)
        return values

    def slopes(self, x: Floats) -> Floats:
        """Return the derivatives (q, k, d) at points (q, d)."""
        slopes = np.empty((len(x), len(self), self.n_inputs))
        for j in range(self.n_inputs):
            lowered = self.powers.copy()
            lowered[:, j] = np.maximum(lowered[:, j] - 1, 0)
            powers = x[:, np.newaxis, :] ** lowered
            slopes[:, :, j] = self.powers[:, j] * np.prod(powers, axis=2)
        return slopes
