r"""What the regression says about its own error, as one number per query.

With the predictive standard deviations :math:`s_i(t)` of the coefficients and the predicted fields
:math:`\tilde u(t)`, in the norm of the model,

.. math::
   R(\mu) = \Big( \sum_t w_t \sum_i s_i(t)^2 \Big/ \sum_t w_t \|\tilde u(t)\|^2 \Big)^{1/2},

over a few output times with the weights of the trapezoidal rule. The norm needs no field:
:math:`\|c + \Phi a\|^2 = \|c\|^2 + 2 g^T a + |a|^2` with :math:`g = \Phi^T M c`.
"""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Offset", "Statistic", "trapezoid"]

type _Floats = NDArray[np.float64]

# Output times that are looked at: a query must not cost a trajectory.
_TIMES = 8


def trapezoid(times: _Floats) -> _Floats:
    """Return the weights of the trapezoidal rule, shape (T,), with the sum 1."""
    if len(times) == 1:
        return np.ones(1)
    steps = np.diff(times)
    return np.asarray((np.r_[steps, 0.0] + np.r_[0.0, steps]) / (2 * steps.sum()))


@final
@dataclass(frozen=True, eq=False)
class Offset:
    """The centre of a basis as norms need it.

    Attributes
    ----------
    square
        Its squared norm; 0 for a basis that is not centred.
    slope
        g of the module, shape (r,).
    """

    square: float
    slope: _Floats

    def moved(self, mean: _Floats, modes: _Floats) -> Self:
        """Return it for coefficients on orthonormal modes (r, r') around a mean (r,) of these."""
        return type(self)(float(self.squares(mean)), modes.T @ (mean + self.slope))

    def squares(self, coefficients: _Floats) -> _Floats:
        """Return the squared norms (...) of the fields of coefficients (..., r)."""
        norms = np.vecdot(coefficients, coefficients + 2 * self.slope) + self.square
        return np.asarray(np.maximum(norms, 0.0))


@final
class Statistic:
    """R of the module.

    Parameters
    ----------
    times
        Output times of the training, shape (T,).
    """

    def __init__(self, times: _Floats) -> None:
        n = len(times)
        self.places = np.unique(np.linspace(0, n - 1, min(n, _TIMES)).round().astype(int))
        self.weights = trapezoid(times[self.places])

    def ratio(self, above: _Floats, below: _Floats) -> _Floats:
        """Return R, shape (q,), for its numerators and denominators (q,); 0 over 0 is 0."""
        bottom = np.maximum(below, 0.0)
        if (bottom > 0).all():
            return np.asarray(np.sqrt(above / bottom))
        ratio = np.divide(above, bottom, out=np.where(above > 0, np.inf, 0.0), where=bottom > 0)
        return np.asarray(np.sqrt(ratio))
