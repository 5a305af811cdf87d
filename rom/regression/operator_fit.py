r"""Operators of an autoregressive model: regularised least squares, and the search of its weights.

With features D and increments R of all pairs of successive states, the operators minimise

.. math:: \frac1n \|D O - R\|^2 + \lambda_1^2 \|O_{c, A}\|^2 + \lambda_2^2 \|O_H\|^2

A small error of one step says little about a long trajectory. Therefore λ is chosen by whole
trajectories: those of samples that were left out of the fit are computed from their first state.
A choice whose trajectories grow beyond a multiple of the data is refused.

References
----------
S. A. McQuarrie, C. Huang, K. E. Willcox: Data-driven reduced-order models via regularised operator
inference for a single-injector combustion process. J. R. Soc. N. Z. 51 (2021),
doi:10.1080/03036758.2020.1863237. There the trajectories are those of the training; leaving samples
out is ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self, final

import numpy as np
from scipy.linalg import qr, svd

from infra.errors import UserError
from rom.regression.quadratic_step import QuadraticStep, StepForm
from rom.regression.state import Floats

__all__ = ["Fitted", "OperatorSearch"]


@final
@dataclass(frozen=True, eq=False)
class Fitted:
    """Operators and how they were chosen.

    Attributes
    ----------
    operators
        Shape (f, r).
    weight, ratio
        The chosen λ1 and λ2 / λ1.
    error
        Mean relative error of the trajectories that were left out.
    """

    operators: Floats
    weight: float
    ratio: float
    error: float


@final
@dataclass(frozen=True)
class OperatorSearch:
    """The search for regularisation.

    Attributes
    ----------
    form
        Terms of the model.
    folds
        Groups of trajectories that are left out in turn.
    growth
        How many times the largest coefficient of the data a trajectory may reach.
    horizon
        How much longer than the data a trajectory must stay below that, as a multiple >= 1.
    """

    form: StepForm
    folds: int
    growth: float
    horizon: float

    def run(
        self, x: Floats, a: Floats, weights: Sequence[float], ratios: Sequence[float]
    ) -> Fitted:
        """Return the operators with the best trajectories.

        Parameters
        ----------
        x
            Inputs, (m, d).
        a
            Trajectories, (m, T, r), scaled to order one.
        weights, ratios
            Candidates for λ1, and for λ2 / λ1.

        Raises
        ------
        UserError
            If every candidate is unstable.
        """
        errors = self._errors(x, a, weights, ratios)
        systems = {ratio: _System.of(self.form, x, a, ratio) for ratio in ratios}
        for weight, ratio in sorted(errors, key=lambda pair: errors[pair]):
            operators = systems[ratio].solve(weight)
            stable = self._stable(self.form.step(operators), x, a)
            if stable and np.isfinite(errors[weight, ratio]):
                return Fitted(operators, weight, ratio, errors[weight, ratio])
        raise UserError(
            f"Expected stable operators for one of {len(errors)} regularisations; the trajectories "
            "of all of them grow without bound. Use fewer modes or more samples, set `quadratic` "
            "to false, or choose the regressor `time-modes`."
        )

    def _errors(
        self, x: Floats, a: Floats, weights: Sequence[float], ratios: Sequence[float]
    ) -> dict[tuple[float, float], float]:
        """Return the error of each candidate over the trajectories that were left out."""
        errors = dict.fromkeys(product(weights, ratios), 0.0)
        for out, ratio in product(_folds(len(x), self.folds), ratios):
            system = _System.of(self.form, x[~out], a[~out], ratio)
            for weight in weights:
                step = self.form.step(system.solve(weight))
                errors[weight, ratio] += self._error(step, x[out], a[out]) * out.sum() / len(x)
        return errors

    def _error(self, step: QuadraticStep, x: Floats, a: Floats) -> float:
        found = step.trajectories(x, a[:, 0], a.shape[1])
        if not self._bounded(found, a):
            return np.inf
        return float(np.sqrt(np.square(found - a).sum() / (np.square(a).sum() or 1.0)))

    def _stable(self, step: QuadraticStep, x: Floats, a: Floats) -> bool:
        n_times = int(np.ceil(self.horizon * a.shape[1]))
        return self._bounded(step.trajectories(x, a[:, 0], n_times), a)

    def _bounded(self, found: Floats, a: Floats) -> bool:
        # A comparison with NaN is false: what is not a number is not bounded.
        return bool((np.abs(found) <= self.growth * np.abs(a).max()).all())


def _folds(m: int, folds: int) -> Iterator[np.ndarray[tuple[int], np.dtype[np.bool]]]:
    """Yield which of m trajectories are left out; neighbours in the order go to different folds."""
    n = min(folds, m)
    for fold in range(n):
        yield np.arange(m) % n == fold


@final
@dataclass(frozen=True, eq=False)
class _System:
    """Least squares by singular values: one decomposition serves all weights of one ratio."""

    left: Floats  # left singular vectors times the right-hand sides, (f, r)
    values: Floats  # (f,)
    right: Floats  # (f, f)
    scaling: Floats  # of the unknowns, so that one weight serves both kinds, (f,)

    @classmethod
    def of(cls, form: StepForm, x: Floats, a: Floats, ratio: float) -> Self:
        before, after = a[:, :-1], a[:, 1:]
        n = before.shape[0] * before.shape[1]
        features = form.features(np.repeat(x, before.shape[1], axis=0), before.reshape(n, -1))
        scaling = np.ones(form.n_features)
        scaling[form.n_features - form.n_quadratic :] = 1.0 / ratio
        # The triangle first: it is much smaller than the features, and singular values stay.
        orthogonal, triangle = qr(features * scaling / np.sqrt(n), mode="economic")
        u, values, vt = svd(triangle, full_matrices=False)
        increments = (after - before).reshape(n, -1) / np.sqrt(n)
        return cls(u.T @ (orthogonal.T @ increments), values, vt.T, scaling)

    def solve(self, weight: float) -> Floats:
        """Return the operators (f, r) for the weight λ1."""
        filtered = self.values / (self.values**2 + weight**2)
        solution: Floats = self.right @ (filtered[:, np.newaxis] * self.left)
        return solution * self.scaling[:, np.newaxis]
