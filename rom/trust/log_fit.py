r"""The fit behind the indicator: the logarithm of the error from that of what is known in advance.

.. math::
   \log E \approx f(z) + \theta \, g(u), \qquad
   f = \beta_0 + \sum_k \beta_k z_k, \; 0 \le \beta_k \le b_k,

where the z are logarithms of features that can only raise the error, the first at most in
proportion (b = 1), a second one at most as its root (b = 1/2): pairs that were left out are
farther from the others than queries are, and a steeper line through their few features promises
too much where it is continued to smaller ones (measured: a coverage of 0.7 in place of 0.95). The
function g is the local mean of what f leaves over near the query: a Gaussian window of width h
over the training points, drawn to zero where there are none,

.. math:: g(u) = \sum_j w_j r_j / (\sum_j w_j + 1/2), \qquad w_j = \exp(-|u - x_j|^2 / 2 h^2).

The part theta is 0, 1/2 or 1, whichever predicts pairs that were left out best.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

__all__ = ["LogFit", "fit_log"]

type _Floats = NDArray[np.float64]

_PRIOR = 0.5
_PARTS = (0.0, 0.5, 1.0)
# Weight of the slopes' squares, per pair: keeps features apart that say the same.
_RIDGE = 1e-3
_STEEPEST = (1.0, 0.5)


@final
@dataclass(frozen=True, eq=False)
class LogFit:
    """See the module.

    Attributes
    ----------
    beta
        Intercept and slopes, (1 + k,).
    residuals
        What f leaves over at the pairs, (m,).
    width
        h.
    part
        theta.
    """

    beta: _Floats
    residuals: _Floats
    width: float
    part: float

    def predict(self, z: _Floats, squares: _Floats) -> _Floats:
        """Return log E for features (q, k) and squared distances to the pairs, (q, m)."""
        result = self.beta[0] + z @ self.beta[1:]
        if self.part:
            result = result + self.part * self.local(squares)
        return np.asarray(result)

    def local(self, squares: _Floats) -> _Floats:
        """Return g for squared distances to the pairs, (q, m)."""
        weights = np.exp(squares * (-0.5 / self.width**2))
        return np.asarray(np.vecdot(weights, self.residuals) / (weights.sum(axis=1) + _PRIOR))


def fit_log(
    z: _Floats, log_errors: _Floats, squares: _Floats, width: float
) -> tuple[LogFit, _Floats]:
    """Return the fit of pairs, and what is left over at each pair by a fit of all others, (m,).

    Parameters
    ----------
    z
        Logarithms of features, (m, k).
    log_errors
        Logarithms of the errors, (m,).
    squares
        Squared distances between the pairs' points, (m, m).
    width
        h, positive.
    """
    left = _left_out(z, log_errors, squares, width)
    best = int((left**2).sum(axis=1).argmin())
    beta = _line(z, log_errors)
    fit = LogFit(beta, log_errors - beta[0] - z @ beta[1:], width, _PARTS[best])
    return fit, left[best]


def _left_out(z: _Floats, y: _Floats, squares: _Floats, width: float) -> _Floats:
    """Return what is left over at each pair by a fit of all others, (number of parts, m)."""
    result = np.empty((len(_PARTS), len(z)))
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        beta = _line(z[others], y[others])
        fit = LogFit(beta, y[others] - beta[0] - z[others] @ beta[1:], width, 1.0)
        local = fit.local(squares[i : i + 1, others])[0]
        result[:, i] = y[i] - beta[0] - z[i] @ beta[1:] - np.array(_PARTS) * local
    return result


def _line(z: _Floats, y: _Floats) -> _Floats:
    """Return intercept and bounded slopes of least squares, slightly damped."""
    mean = z.mean(axis=0)
    damping = np.sqrt(_RIDGE * len(z)) * np.eye(z.shape[1])
    matrix = np.concatenate([z - mean, damping])
    right = np.concatenate([y - y.mean(), np.zeros(z.shape[1])])
    slopes: _Floats = lsq_linear(matrix, right, (0.0, _STEEPEST[: z.shape[1]]), method="bvls").x
    return np.asarray(np.r_[y.mean() - mean @ slopes, slopes], np.float64)
