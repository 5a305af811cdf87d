"""Functions of time through values at given times, evaluated with little overhead.

They are the cubic splines of `scipy.interpolate.make_interp_spline` (not-a-knot), kept as
polynomials of the distance to the knot before: one query needs one row of each coefficient.
"""

from math import factorial
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from rom.regression.state import Floats

__all__ = ["Curves"]


@final
class Curves:
    """See the module.

    Parameters
    ----------
    times
        Increasing, (T,). With less than 4 of them the degree is lower; a single one is all that
        can be asked for.
    values
        At these, (T, n).

    Attributes
    ----------
    starts
        Knots at which a polynomial begins, (s,).
    polynomials
        Coefficients by powers of the distance to that knot, the highest first, (s, degree + 1, n).
    """

    def __init__(self, times: Floats, values: Floats) -> None:
        self._times, self._values = times, values
        degree = min(3, len(times) - 1)
        if degree:
            spline = make_interp_spline(times, values, degree)
            self.starts: Floats = np.unique(spline.t)[:-1]
            terms = [spline(self.starts, nu=n) / factorial(n) for n in range(degree, -1, -1)]
            self.polynomials: Floats = np.stack(terms, axis=1)
        else:
            self.starts, self.polynomials = times, values[:, np.newaxis]

    def __call__(self, times: Floats) -> Floats:
        """Return values (k, n) at times (k,) between the first and the last one."""
        if times is self._times:
            return self._values
        if len(self._times) == 1:
            return np.repeat(self._values, len(times), axis=0)
        place = np.maximum(self.starts.searchsorted(times, side="right") - 1, 0)
        away = (times - self.starts[place])[:, np.newaxis]
        terms = self.polynomials[place]
        result: Floats = terms[:, 0] * away
        for i in range(1, terms.shape[1] - 1):
            result += terms[:, i]
            result *= away
        result += terms[:, -1]
        return result

    def at_knots(self, places: NDArray[np.int64]) -> Floats:
        """Return the values (o, n) at some of the given times, by their places (o,)."""
        return self._values[places]
