r"""The Matérn kernel of smoothness 5/2 with one length scale per input.

.. math::
   k(x, x') = (1 + s + s^2 / 3)\, e^{-s}, \qquad s^2 = 5 \sum_j (x_j - x'_j)^2 / l_j^2

Its functions are twice differentiable. One call serves g sets of length scales.

References
----------
C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning. MIT Press 2006,
section 4.2.1, doi:10.7551/mitpress/3206.001.0001.
"""

import numpy as np

from rom.regression.state import Floats

__all__ = ["matern", "matern_slope", "sharpness"]


def sharpness(lengths: Floats) -> Floats:
    """Return 5 / l^2 of length scales (g, d), as the functions below want it."""
    return 5.0 / lengths**2


def matern(difference: Floats, sharp: Floats) -> Floats:
    """Return the kernel (q, g, m) for differences x - x' (q, d, m) and `sharpness` (g, d)."""
    squared = sharp @ (difference * difference)
    s = np.sqrt(squared)
    squared /= 3.0
    squared += s
    squared += 1.0
    np.negative(s, out=s)
    np.exp(s, out=s)
    s *= squared
    return s


def matern_slope(difference: Floats, sharp: Floats) -> Floats:
    r"""Return the factor h (q, g, m) of the derivative.

    It is smooth, also where the points coincide:

    .. math:: \partial k / \partial x_j = h\, (x_j - x'_j)\, 5 / l_j^2, \quad
       h = -(1 + s)\, e^{-s} / 3
    """
    s = np.sqrt(sharp @ (difference * difference))
    slope: Floats = (1.0 + s) * np.exp(-s) / -3.0
    return slope
