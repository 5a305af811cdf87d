r"""Regression of trajectories by time modes: each coefficient is a short sum of products.

The trajectories of coefficient i form a matrix, one column per sample. Its singular value
decomposition separates time from parameters:

.. math::
   a_i(\mu, t) \approx \bar a_i(t) + \sum_{k=1}^{K_i} b_{ik}(\mu)\, \varphi_{ik}(t)

with the mean :math:`\bar a_i` over the samples. A regressor learns all :math:`b_{ik}` together,
over the parameters alone; the functions of time are cubic splines through the output times. The
modes kept are the fewest whose discarded squared singular values, over all coefficients, sum up to
at most :math:`\varepsilon^2` times the sum of all.

References
----------
M. Guo, J. S. Hesthaven: Data-driven reduced order modeling for time-dependent problems. CMAME 345
(2019), doi:10.1016/j.cma.2018.10.029.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from infra.records import Json
from rom.regression.curves import Curves
from rom.regression.registry import make_regressor, regressor_from_state
from rom.regression.regressor import Regressor
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats, State, entry, nest, part
from rom.regression.time_regressor import Outlook, TimeRegressor, Watch, Watched

__all__ = ["TimeModes", "TimeModesSettings", "WatchTerms"]


@final
class TimeModesSettings(RegressorSettings):
    r"""Settings of `TimeModes`.

    Attributes
    ----------
    tolerance
        :math:`\varepsilon` of the singular values.
    regressor
        Name of the regressor over the parameters.
    options
        Its settings.
    """

    tolerance: float = Field(1e-3, ge=0.0, lt=1.0)
    regressor: str = "gp"
    options: dict[str, Json] = Field(default_factory=dict)


@final
@dataclass(frozen=True, eq=False)
class WatchTerms:
    r"""Sums over watched times as polynomials of the weights b (w,) of all modes.

    .. math::
       \sum_t w_t \sum_i s_i^2 = \sum_k \alpha_k\, s_k^2, \qquad
       \sum_t w_t (|a|^2 + 2 g^T a) = b^T T b + o^T b + \kappa

    Attributes
    ----------
    above, twice, once, constant
        :math:`\alpha` (w,), T (w, w), o (w,) and :math:`\kappa`.
    """

    above: Floats
    twice: Floats
    once: Floats
    constant: float


@final
class TimeModes(TimeRegressor):
    """Regression over parameters of the modes in time; steady data are the case of one time.

    Parameters
    ----------
    settings
        By default `TimeModesSettings()`.

    Raises
    ------
    UserError
        If the regressor is unknown or its options are wrong.
    """

    name = "time-modes"
    Settings = TimeModesSettings
    settings: TimeModesSettings

    def __init__(self, settings: TimeModesSettings | None = None) -> None:
        super().__init__(settings or TimeModesSettings())
        self._regressor = make_regressor(self.settings.regressor, self.settings.options)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The number K_i of time modes of each coefficient."""
        return tuple(int(k) for k in self._ranks) if self.fitted else ()

    @property
    def regressor(self) -> Regressor:
        """The regressor over the parameters, whose outputs are the weights of all time modes."""
        return self._regressor

    @property
    def places(self) -> NDArray[np.int64]:
        """The places (r, K) of each coefficient's modes among all weights, -1 where none is."""
        return self._places

    @property
    def curves(self) -> Curves:
        """Functions of time: means of the r coefficients, then K modes of each, (r + r K)."""
        return self._curves

    def watch_terms(self, places: NDArray[np.int64], weights: Floats, slope: Floats) -> WatchTerms:
        """Return the polynomials of the weights b that `watch` evaluates.

        Parameters
        ----------
        places, weights, slope
            As for `watch`.
        """
        arrays = self._learnt[0]
        mean, modes = arrays["mean"][places], arrays["modes"][places]
        owners = np.repeat(np.arange(self.n_outputs), self._ranks)
        twice = (weights[:, np.newaxis] * modes).T @ modes
        twice *= owners[:, np.newaxis] == owners
        once = 2 * weights @ (modes * (mean + slope)[:, owners])
        constant = float(weights @ np.vecdot(mean, mean + 2 * slope))
        return WatchTerms(weights @ modes**2, twice, once, constant)

    def _learn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:  # noqa: ARG002
        mean, modes, values, weights = _decomposed(y)
        ranks = _truncation(values, self.settings.tolerance)
        regressor = make_regressor(self.settings.regressor, self.settings.options)
        return _state(mean, modes, ranks, regressor.fit(x, _kept(weights, ranks), rng).state())

    def _relearn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:
        mean, modes, values, weights = _decomposed(y)
        if values.shape[1] < self._ranks.max():  # fewer trajectories than modes
            return self._learn(x, times, y, rng)
        regressor = self._regressor.refit(x, _kept(weights, self._ranks), rng)
        return _state(mean, modes, self._ranks, regressor.state())

    def _install(self, arrays: Arrays, text: Mapping[str, Json]) -> None:
        self._regressor = regressor_from_state(part("regressor", arrays), entry(text, "regressor"))
        self._ranks: NDArray[np.int64] = arrays["ranks"]
        self._places = _padded(self._ranks)
        # Behind the means, r rows of K modes for each time: those that are missing are zero, so
        # that all coefficients are one small product of matrices each.
        padded = np.where(self._places < 0, 0.0, arrays["modes"][:, self._places])
        curves = np.concatenate([arrays["mean"], padded.reshape(len(padded), -1)], axis=1)
        self._curves = Curves(self._times, curves)

    def _functions(self, times: Floats) -> tuple[Floats, Floats]:
        """Return means (k, r) and modes (k, r, K) at times (k,)."""
        return self._split(self._curves(times))

    def _split(self, values: Floats) -> tuple[Floats, Floats]:
        r = self.n_outputs
        return values[:, :r], values[:, r:].reshape(len(values), *self._places.shape)

    def _evaluate(self, x: Floats, times: Floats) -> Floats:
        return self._combined(self._regressor.predict(x), self._functions(times))

    def _combined(self, weights: Floats, functions: tuple[Floats, Floats]) -> Floats:
        """Return coefficients (q, k, r) for weights (q, sum of ranks)."""
        mean, modes = functions
        if len(mean) == 1:
            return np.asarray(np.vecdot(weights[:, self._places], modes)[:, np.newaxis] + mean)
        each = weights[:, self._places].transpose(1, 0, 2)
        result = np.matmul(each, modes.transpose(1, 2, 0)).transpose(1, 2, 0) + mean
        return np.ascontiguousarray(result)

    def _slope(self, x: Floats, times: Floats) -> Floats:
        _, modes = self._functions(times)
        slopes = self._regressor.jacobian(x)[:, self._places]
        result = np.matmul(modes.transpose(1, 0, 2), slopes).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(result)

    def _spread(self, x: Floats, times: Floats) -> Floats | None:
        """Take the deviations of different modes as independent."""
        deviation = self._regressor.deviation(x)
        if deviation is None:
            return None
        mean, modes = self._functions(times)
        return np.sqrt(self._combined(deviation**2, (0.0 * mean, modes**2)))

    def _look(self, x: Floats, times: Floats, places: NDArray[np.int64]) -> Outlook:
        weights, deviation = self._regressor.predict_with_deviation(x)
        own = self._split(self._curves.at_knots(places))
        return Outlook(
            self._combined(weights, self._functions(times)),
            self._combined(weights, own),
            None if deviation is None else self._summed(deviation, own[1]),
        )

    def _watch(self, places: NDArray[np.int64], weights: Floats, slope: Floats) -> Watch:
        """Both sums are polynomials of the weights of the modes: their coefficients are known."""
        terms = self.watch_terms(places, weights, slope)

        def watched(x: Floats, times: Floats) -> Watched:
            b, deviation = self._regressor.predict_with_deviation(x)
            values = self._combined(b, self._functions(times))
            above = None if deviation is None else deviation**2 @ terms.above
            below = np.vecdot(b @ terms.twice + terms.once, b) + terms.constant
            return Watched(values, above, below)

        return watched

    def _summed(self, deviation: Floats, modes: Floats) -> Floats:
        """Return variances (q, k) summed over all coefficients, modes (k, r, K)."""
        size = self._places.size
        squares = (deviation**2)[:, self._places].reshape(len(deviation), size)
        return np.asarray(squares @ (modes**2).reshape(len(modes), size).T)


def _decomposed(y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return means (T, r), modes (r, T, K), singular values (r, K) and weights (r, m, K)."""
    mean = y.mean(axis=0)
    left, values, right = np.linalg.svd((y - mean).transpose(2, 1, 0), full_matrices=False)
    weights = (values[:, :, np.newaxis] * right).transpose(0, 2, 1)
    return mean, left, values, weights


def _truncation(values: Floats, tolerance: float) -> NDArray[np.int64]:
    """Return how many singular values (r, K) of each row are kept, at least one of all."""
    squares = np.sort(values.ravel() ** 2)
    discarded = np.cumsum(squares) <= tolerance**2 * squares.sum()
    n_kept = max(1, int((~discarded).sum()))
    order = np.argsort(-values.ravel(), kind="stable")[:n_kept]
    return np.bincount(order // values.shape[1], minlength=len(values)).astype(np.int64)


def _padded(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places (r, K) of the modes among all, -1 where there is none."""
    starts = np.cumsum(ranks) - ranks
    steps = np.arange(ranks.max())
    return np.where(steps < ranks[:, np.newaxis], starts[:, np.newaxis] + steps, -1)


def _kept(parts: Floats, ranks: NDArray[np.int64]) -> Floats:
    """Return the kept columns of (r, n, K) side by side, (n, sum of ranks)."""
    return np.concatenate([p[:, :k] for p, k in zip(parts, ranks, strict=True)], axis=1)


def _state(mean: Floats, modes: Floats, ranks: NDArray[np.int64], regressor: State) -> State:
    arrays, text = regressor
    own = {"mean": mean, "modes": _kept(modes, ranks), "ranks": ranks}
    return {**own, **nest("regressor", arrays)}, {"regressor": text}
