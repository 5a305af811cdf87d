r"""Gaussian process regression with one prediction for many coefficients at once.

With the kernel matrix :math:`C = a K + \nu I` of the samples, the mean and the variance of a new
observation at x are

.. math::
   \hat y(x) = a\, k(x)^T C^{-1} y, \qquad
   \hat v(x) = \rho\, (a + \nu - a^2\, k(x)^T C^{-1} k(x)).

Each output has hyperparameters of its own (``sharing = "each"``, ρ = 1), or all outputs share one
set (``"shared"``), found with each output weighted by its energy; then :math:`\rho = y^T C^{-1} y
/ m` is the variance that makes this output most likely.

References
----------
C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning. MIT Press 2006,
algorithm 2.1, doi:10.7551/mitpress/3206.001.0001.
M. Guo, J. S. Hesthaven: Reduced order modeling for nonlinear structural analysis using Gaussian
process regression. CMAME 341 (2018), doi:10.1016/j.cma.2018.07.017.
"""

from functools import cached_property
from typing import Literal, final

import numpy as np
from pydantic import Field, NonNegativeInt
from scipy.linalg import cho_solve, cholesky, solve_triangular

from infra.errors import UserError
from rom.regression.gp_fit import Hyperparameters, maximise_likelihood
from rom.regression.matern import matern, matern_slope, sharpness
from rom.regression.regressor import Regressor
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats
from rom.regression.training_set import TrainingSet

__all__ = ["GaussianProcess", "GpSettings"]

_MANY = 32


@final
class GpSettings(RegressorSettings):
    """Settings of `GaussianProcess`.

    Attributes
    ----------
    sharing
        ``"each"``: hyperparameters for every output. ``"shared"``: one set for all, whose search
        costs about as much as that of a single output. ``"auto"``: each up to 32 outputs, where
        it was a little more accurate; shared beyond, where its search would take long.
    restarts
        Searches from random starts, besides the first.
    noise_floor
        Smallest noise variance, in units of the output's variance. It bounds the condition of
        the kernel matrix; raise it for outputs that are known to few digits.
    """

    sharing: Literal["auto", "each", "shared"] = "auto"
    restarts: NonNegativeInt = 2
    noise_floor: float = Field(1e-10, ge=1e-13, le=1e-1)


@final
class GaussianProcess(Regressor):
    """Gaussian process with an anisotropic Matérn 5/2 kernel and noise.

    Parameters
    ----------
    settings
        By default `GpSettings()`.
    """

    name = "gp"
    Settings = GpSettings
    settings: GpSettings

    def __init__(self, settings: GpSettings | None = None) -> None:
        super().__init__(settings or GpSettings())

    def _fewest(self, n_inputs: int) -> int:
        return max(3, n_inputs + 1)

    def _learn(self, data: TrainingSet, rng: np.random.Generator) -> Arrays:
        # The standardised outputs get their relative sizes back: energy is the weight.
        weighted = data.y * (data.scale / (data.scale.max() or 1.0))
        d = data.x.shape[1]
        usual = Hyperparameters.usual(d)
        random = [Hyperparameters.random(d, rng) for _ in range(self.settings.restarts)]
        found = [self._search(data.x, weighted, [usual, *random])]
        if self._each(data.y.shape[1]):
            columns = data.y.T[:, :, np.newaxis]
            found = [self._search(data.x, y, [usual, found[0]]) for y in columns]
        kernels = {
            "lengths": np.stack([h.lengths for h in found]),
            "amplitudes": np.array([h.amplitude for h in found]),
            "noises": np.array([h.noise for h in found]),
        }
        return _solve(data, kernels)

    def _relearn(self, data: TrainingSet, rng: np.random.Generator) -> Arrays:  # noqa: ARG002
        return _solve(data, self._kernels)

    def _each(self, n_outputs: int) -> bool:
        sharing = self.settings.sharing
        return n_outputs <= _MANY if sharing == "auto" else sharing == "each"

    def _search(self, x: Floats, y: Floats, starts: list[Hyperparameters]) -> Hyperparameters:
        varying = y[:, np.ptp(y, axis=0) > 0]
        if not varying.shape[1]:
            return starts[0]
        return maximise_likelihood(x, varying, starts, self.settings.noise_floor)

    def _install(self, learnt: Arrays) -> None:
        self.__dict__.pop("inverse_factors", None)  # those of the regressor this is a copy of
        self._points = np.ascontiguousarray(learnt["points"].T)
        self._weights = np.ascontiguousarray(learnt["weights"].T)
        self._sharp = sharpness(learnt["lengths"])
        self._kernels = {name: learnt[name] for name in ("lengths", "amplitudes", "noises")}
        self._prior = learnt["amplitudes"] + learnt["noises"]
        self._squared = learnt["amplitudes"] ** 2
        self._variances: Floats = learnt["variances"]

    def _evaluate(self, x: Floats) -> Floats:
        return self._mean_of(matern(self._differences(x), self._sharp))

    def _evaluate_and_spread(self, x: Floats) -> tuple[Floats, Floats]:
        k = matern(self._differences(x), self._sharp)
        return self._mean_of(k), self._deviation_of(k)

    def _mean_of(self, k: Floats) -> Floats:
        """Return standardised outputs (q, r) for the kernel (q, g, m)."""
        # Not a matrix product: weights are large and cancel, so the order of a sum must not depend
        # on how many queries there are. One kernel serves all outputs by broadcasting.
        result: Floats = np.vecdot(k, self._weights)
        return result

    def _slope(self, x: Floats) -> Floats:
        difference = self._differences(x)
        weighted = matern_slope(difference, self._sharp) * self._weights
        return weighted @ difference.transpose(0, 2, 1) * self._sharp

    def _has_deviation(self) -> bool:
        return True

    def _spread(self, x: Floats) -> Floats:
        return self._deviation_of(matern(self._differences(x), self._sharp))

    def _deviation_of(self, k: Floats) -> Floats:
        """Return standardised deviations (q, r) for the kernel (q, g, m)."""
        reduced = (self.inverse_factors @ k[..., np.newaxis])[..., 0]
        variance = self._prior - self._squared * np.vecdot(reduced, reduced)
        # Rounding must not make it smaller than the noise, which no sample takes away.
        variance = np.maximum(variance, self._kernels["noises"])
        deviation: Floats = np.sqrt(self._variances * variance)
        return deviation

    def _differences(self, x: Floats) -> Floats:
        return x[:, :, np.newaxis] - self._points

    @cached_property
    def inverse_factors(self) -> Floats:
        """Inverses of the Cholesky factors, (g, m, m): only deviations need them."""
        factors = _factors(self._points.T, self._kernels)
        identity = np.eye(self._points.shape[1])
        return np.stack([solve_triangular(f, identity, lower=True) for f in factors])


def _factors(points: Floats, kernels: Arrays) -> list[Floats]:
    """Return the lower Cholesky factor of C for each set of hyperparameters."""
    difference = points[:, :, np.newaxis] - points.T
    factors = []
    for lengths, a, noise in zip(
        kernels["lengths"], kernels["amplitudes"], kernels["noises"], strict=True
    ):
        c = a * matern(difference, sharpness(lengths[np.newaxis]))[:, 0]
        c[np.diag_indices_from(c)] += noise
        factors.append(_factor(c))
    return factors


def _factor(c: Floats) -> Floats:
    try:
        factor: Floats = cholesky(c, lower=True)
    except np.linalg.LinAlgError as error:
        raise UserError(
            f"Expected a positive definite kernel matrix of {len(c)} points; it is singular to "
            "rounding. Raise `noise_floor`, or leave out points that nearly coincide."
        ) from error
    return factor


def _solve(data: TrainingSet, kernels: Arrays) -> Arrays:
    """Return everything that predictions need, for known hyperparameters."""
    factors = _factors(data.x, kernels)
    if len(factors) == 1:
        solved = cho_solve((factors[0], True), data.y)
    else:
        columns = [cho_solve((f, True), y) for f, y in zip(factors, data.y.T, strict=True)]
        solved = np.stack(columns, axis=1)
    likeliest = (data.y * solved).sum(axis=0) / len(data.y)
    varying = data.scale > 0
    variances = likeliest if len(factors) == 1 and len(varying) > 1 else varying.astype(float)
    weights = kernels["amplitudes"] * solved
    return {**kernels, "points": data.x, "weights": weights, "variances": variances}
