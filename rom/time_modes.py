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
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.interpolate import make_interp_spline

from infra.records import Json
from rom.regression.registry import make_regressor, regressor_from_state
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats, State, entry, nest, part
from rom.regression.time_regressor import TimeRegressor

__all__ = ["TimeModes", "TimeModesSettings"]


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
        ends = np.r_[0, np.cumsum(self._ranks)]
        self._slices = [slice(int(start), int(end)) for start, end in pairwise(ends)]
        self._curves = np.concatenate([arrays["mean"], arrays["modes"]], axis=1)
        degree = min(3, len(self._times) - 1)
        # A single output time has no curve: what is asked for can only be this time.
        self._spline = make_interp_spline(self._times, self._curves, degree) if degree else None

    def _functions(self, times: Floats) -> tuple[Floats, Floats]:
        """Return means (k, r) and modes (k, sum of ranks) at times (k,)."""
        if self._spline is None:
            values = np.repeat(self._curves, len(times), axis=0)
        else:
            values = self._spline(times)
        return values[:, : self.n_outputs], values[:, self.n_outputs :]

    def _evaluate(self, x: Floats, times: Floats) -> Floats:
        mean, modes = self._functions(times)
        weights = self._regressor.predict(x)
        result = np.empty((len(x), len(times), self.n_outputs))
        for i, which in enumerate(self._slices):
            result[:, :, i] = weights[:, which] @ modes[:, which].T
        result += mean
        return result

    def _slope(self, x: Floats, times: Floats) -> Floats:
        _, modes = self._functions(times)
        slopes = self._regressor.jacobian(x)
        result = np.empty((len(x), len(times), self.n_outputs, self.n_inputs))
        for i, which in enumerate(self._slices):
            result[:, :, i] = np.matmul(modes[:, which], slopes[:, which])
        return result

    def _spread(self, x: Floats, times: Floats) -> Floats | None:
        """Take the deviations of different modes as independent."""
        deviation = self._regressor.deviation(x)
        if deviation is None:
            return None
        _, modes = self._functions(times)
        result = np.empty((len(x), len(times), self.n_outputs))
        for i, which in enumerate(self._slices):
            result[:, :, i] = deviation[:, which] ** 2 @ (modes[:, which] ** 2).T
        return np.sqrt(result)


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


def _kept(parts: Floats, ranks: NDArray[np.int64]) -> Floats:
    """Return the kept columns of (r, n, K) side by side, (n, sum of ranks)."""
    return np.concatenate([p[:, :k] for p, k in zip(parts, ranks, strict=True)], axis=1)


def _state(mean: Floats, modes: Floats, ranks: NDArray[np.int64], regressor: State) -> State:
    arrays, text = regressor
    own = {"mean": mean, "modes": _kept(modes, ranks), "ranks": ranks}
    return {**own, **nest("regressor", arrays)}, {"regressor": text}
