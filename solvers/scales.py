r"""Measures in which samplers spread a parameter, and their maps to the unit interval.

With the bounds :math:`a \le x \le b`,

- linear: :math:`u = (x - a) / (b - a)`;
- log: :math:`u = \ln(x / a) / \ln(b / a)`;
- normal: :math:`u = (\Phi(x) - \Phi(a)) / (\Phi(b) - \Phi(a))` with the standard normal
  distribution function :math:`\Phi`: a uniform u gives a standard normal x, truncated to the
  bounds. In the upper half :math:`1 - \Phi(x) = \Phi(-x)` keeps the digits.

So every sampler of the unit cube gives independent normal numbers too, such as the coefficients
of a Karhunen-Loeve expansion.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["SCALES", "Scale", "from_unit", "normal_mass", "to_unit"]

type FloatArray = NDArray[np.float64]
type Scale = Literal["linear", "log", "normal"]
SCALES: tuple[Scale, ...] = ("linear", "log", "normal")


def to_unit(scale: Scale, values: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the unit coordinates (n, d) of values (n, d) between `low` and `high`, (d,) each."""
    if scale == "log":
        # log1p(v / a - 1) keeps its digits when the box is narrow, unlike log(v) - log(a).
        return np.log1p((values - low) / low) / np.log1p((high - low) / low)
    if scale == "normal":
        below = ndtr(values) - ndtr(low)
        above = ndtr(-values) - ndtr(-high)
        mass = normal_mass(low, high)
        return np.asarray(np.where(values > 0, 1.0 - above / mass, below / mass))
    return np.asarray((values - low) / (high - low))


def from_unit(scale: Scale, u: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the values (n, d) at unit coordinates (n, d); 0 gives low and 1 high exactly."""
    if scale == "log":
        values = low ** (1 - u) * high**u
    elif scale == "normal":
        mass = normal_mass(low, high)
        below = ndtr(low) + u * mass
        above = ndtr(-high) + (1 - u) * mass
        values = np.where(below < above, ndtri(below), -ndtri(above))
    else:
        values = (1 - u) * low + u * high
    # Rounding may step over a bound, and vectorised powers need not be exact at 0 and 1.
    return np.where(u == 0, low, np.where(u == 1, high, np.clip(values, low, high)))


def normal_mass(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the probability of a standard normal number between the bounds, with its digits."""
    upper = low > 0
    return np.asarray(np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low)))
