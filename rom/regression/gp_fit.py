r"""Hyperparameters of Gaussian processes: the maximum of the marginal likelihood.

The kernel is :math:`a\, k_{5/2}(x, x'; l) + \nu\, \delta_{x x'}` with amplitude a, length scales l
and noise ν. The likelihood and its gradient are scikit-learn's; the search is L-BFGS-B from
several starts, because the likelihood has poor maxima, for example where all is noise.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from scipy.optimize import minimize

from rom.regression.state import Floats

__all__ = ["Hyperparameters", "maximise_likelihood"]

_AMPLITUDE = (1e-3, 1e4)
_LENGTH = (2e-2, 1e2)
_MOST_NOISE = 1.0


@final
@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """Of one kernel.

    Attributes
    ----------
    lengths
        Length scales in unit coordinates, (d,).
    amplitude, noise
        Variances in standardised units.
    """

    lengths: Floats
    amplitude: float
    noise: float

    @classmethod
    def usual(cls, n_inputs: int) -> Self:
        """Return a start that suits most smooth outputs."""
        return cls(np.full(n_inputs, 0.5), 1.0, 1e-6)

    @classmethod
    def random(cls, n_inputs: int, rng: np.random.Generator) -> Self:
        """Return a start that is log-uniform where smooth outputs have their maximum."""
        lengths = 10.0 ** rng.uniform(-1.0, 1.0, n_inputs)
        return cls(lengths, 10.0 ** rng.uniform(-1.0, 2.0), 10.0 ** rng.uniform(-8.0, -2.0))

    @property
    def theta(self) -> Floats:
        """The logarithms, in the order of scikit-learn's kernel: (d + 2,)."""
        theta: Floats = np.log(np.r_[self.amplitude, self.lengths, self.noise])
        return theta


def maximise_likelihood(
    x: Floats, y: Floats, starts: Sequence[Hyperparameters], noise_floor: float
) -> Hyperparameters:
    """Return the hyperparameters under which all columns of `y` together are most likely.

    Parameters
    ----------
    x
        Inputs, (m, d).
    y
        Outputs with zero mean, (m, k); a column counts by its variance.
    starts
        Where the searches start, at least one.
    noise_floor
        Smallest noise ν: it bounds the condition of the kernel matrix.
    """
    # Here, because a service that only evaluates need not load it.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    # A single length scale is a number there, not an array.
    scale = np.ones(x.shape[1]) if x.shape[1] > 1 else 1.0
    noise = WhiteKernel(noise_floor, (noise_floor, _MOST_NOISE))
    process = GaussianProcessRegressor(
        ConstantKernel(1.0, _AMPLITUDE) * Matern(scale, _LENGTH, nu=2.5) + noise,
        alpha=0.0,
        optimizer=_Search(starts),
    )
    with warnings.catch_warnings():
        # It says that a length scale reached its bound: an input without influence, no fault.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(x, y)
    theta = np.exp(process.kernel_.theta)
    return Hyperparameters(theta[1:-1], float(theta[0]), float(theta[-1]))


@final
class _Search:
    """L-BFGS-B from given starts, in place of scikit-learn's, which knows random ones only.

    It does not warn: with smooth data the usual end of a search is that rounding stops it, and
    the likelihood is then maximal to its rounding.
    """

    def __init__(self, starts: Sequence[Hyperparameters]) -> None:
        self.starts = starts

    def __call__(
        self,
        objective: Callable[[Floats], tuple[float, Floats]],
        start: Floats,  # noqa: ARG002
        bounds: Floats,
    ) -> tuple[Floats, float]:
        best, least = np.clip(self.starts[0].theta, *bounds.T), np.inf
        for parameters in self.starts:
            theta = np.clip(parameters.theta, *bounds.T)
            found = minimize(objective, theta, method="L-BFGS-B", jac=True, bounds=bounds)
            if found.fun < least:
                best, least = found.x, float(found.fun)
        return best, least
