r"""ChebCB: a contextual bandit for one continuous context, with Chebyshev regression of the costs.

The cost of arm i is modelled by :math:`f_i(c) = \sum_{j<m} \theta_{ij} T_j(s)`, with
:math:`s = 2 (c - a) / (b - a) - 1`; :math:`\theta_i` minimises the squares of the errors under
:math:`|\theta_{i0}| \le K` and :math:`|\theta_{ij}| \le 2 (b - a) L / j`: a function with values
up to K and Lipschitz constant L has such coefficients. The arm is drawn by inverse gap weighting,

.. math::
   p_i = \frac{1}{d + \eta_t \, (f_i(c) - f_*(c)) / (K N)} \; (i \ne *), \qquad
   p_* = 1 - \sum_{i \ne *} p_i, \qquad N = 2 + 4 (b - a) \frac{L}{K} (1 + \log m),

with d arms, * the arm of the least prediction and
:math:`\eta_t = 2 t \sqrt{d t / (R_t + 2 \alpha^2 t)}`: :math:`R_t` is the sum of the squared errors
of the predictions made, :math:`\alpha` bounds what the truncated series leaves. K and L are those
of the costs seen so far. The factor t is the authors' practice; the regret
O(T^{9/11}) against the best arm of each context is proven without it and with known K and L.

Source: Khodak, Chow, Balcan and Talwalkar (2024), arXiv:2310.02246, algorithm 3; SquareCB: Foster
and Rakhlin (2020), arXiv:2002.04926.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, final

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from infra.errors import UserError
from solvers.tuning.bandit import Bandit, Draw, checked_cost
from solvers.tuning.tsallis_inf import draw_arm

__all__ = ["ChebCB"]

# Directions of the features below this part of the strongest are left alone (minimum norm).
_RANK = 1e-10


@final
@dataclass(frozen=True)
class ChebCB(Bandit):
    """SquareCB with Chebyshev features of one context.

    Its size does not grow with the number of systems: the regressions live on normal equations.

    Parameters
    ----------
    arms : number of arms d
    low, high : range [a, b] of the context; values outside count as its ends
    terms : number m of Chebyshev polynomials
    floor : smallest possible cost, subtracted
    theta : coefficients, d rows of m, in units of cost; empty: zero, so that each arm is tried
    gram : normal equations, d rows of m (m + 1) numbers: F^T F, then F^T y
    rounds, largest, smallest, error : costs learned, their range above the floor, and R_t
    """

    arms: int
    low: float
    high: float
    terms: int = 6
    floor: float = 0.0
    theta: tuple[tuple[float, ...], ...] = ()
    gram: tuple[tuple[float, ...], ...] = ()
    rounds: int = 0
    largest: float = 0.0
    smallest: float = 0.0
    error: float = 0.0

    def __post_init__(self) -> None:
        if self.arms < 1 or self.terms < 1 or not self.low < self.high:
            raise UserError(
                "expected arms >= 1, terms >= 1 and low < high, received "
                f"{self.arms}, {self.terms}, [{self.low}, {self.high}]"
            )

    def features(self, context: Sequence[float]) -> NDArray[np.float64]:
        """Return T_0..T_{m-1} at the context, shape (terms,).

        Raises
        ------
        UserError
            If the context is not one finite number.
        """
        if len(context) != 1 or not np.isfinite(context[0]):
            raise UserError(f"expected one finite number as context, received {tuple(context)}")
        s = 2.0 * (context[0] - self.low) / (self.high - self.low) - 1.0
        row: NDArray[np.float64] = chebvander(np.clip(s, -1.0, 1.0), self.terms - 1)
        return row.reshape(-1)

    def predict(self, context: Sequence[float]) -> NDArray[np.float64]:
        """Return the predicted costs above the floor, shape (arms,)."""
        if not self.theta:
            return np.zeros(self.arms)
        return np.asarray(np.array(self.theta) @ self.features(context))

    def probabilities(self, context: Sequence[float]) -> NDArray[np.float64]:
        """Return the probabilities of the arms for this context, shape (arms,)."""
        predicted = self.predict(context)
        best = int(predicted.argmin())
        span, scale = self._span(), self._scale()
        alpha = (np.pi + 2.0 / np.pi * np.log(2 * self.terms + 1)) * span
        alpha /= 2.0 * scale * (self.terms + 1)
        t = self.rounds
        noise = self.error / scale**2 + 2.0 * alpha**2 * t
        eta = 2.0 * t * np.sqrt(self.arms * t / noise) if noise > 0 else 0.0
        p = 1.0 / (self.arms + eta * (predicted - predicted[best]) / scale)
        p[best] = 0.0
        p[best] = 1.0 - p.sum()
        return np.asarray(p)

    def choose(self, context: Sequence[float], generator: np.random.Generator) -> Draw:
        """Draw an arm by inverse gap weighting."""
        p = self.probabilities(context)
        arm = draw_arm(p, generator)
        return Draw(arm, float(p[arm]), tuple(context))

    def learn(self, draw: Draw, cost: float) -> Self:
        """Add the cost to the regression of the arm played.

        Raises
        ------
        UserError
            If the cost is not a finite number >= 0.
        """
        loss = checked_cost(cost) - self.floor
        row, m = self.features(draw.context), self.terms
        missed = float(self.predict(draw.context)[draw.arm]) - loss
        gram = np.array(self.gram or ((0.0,) * (m * (m + 1)),) * self.arms)
        gram[draw.arm] += np.concatenate([np.outer(row, row).ravel(), loss * row])
        learned = replace(
            self,
            gram=_tuples(gram),
            rounds=self.rounds + 1,
            largest=max(self.largest, loss),
            smallest=min(self.smallest, loss) if self.rounds else loss,
            error=self.error + missed**2,
        )
        theta = np.array(self.theta or ((0.0,) * m,) * self.arms)
        theta[draw.arm] = learned._fit(gram[draw.arm])
        return replace(learned, theta=_tuples(theta))

    def _span(self) -> float:
        """Return (b - a) L, with L from the range of the costs."""
        return self.largest - self.smallest

    def _scale(self) -> float:
        """Return K N."""
        scale = 2.0 * self.largest + 4.0 * self._span() * (1.0 + np.log(self.terms))
        return float(scale) or 1.0

    def _fit(self, normal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coefficients of least squares and norm within their bounds."""
        m = self.terms
        matrix, right = normal[: m * m].reshape(m, m), normal[m * m :]
        values, vectors = np.linalg.eigh(matrix)
        kept = values > _RANK * values[-1]
        root = np.sqrt(values[kept])
        square = root[:, None] * vectors[:, kept].T  # square^T square = F^T F
        target = vectors[:, kept].T @ right / root
        free: NDArray[Any] = vectors[:, kept] @ (target / root)
        bounds = np.array([self.largest, *(2.0 * self._span() / np.arange(1, m))])
        if (np.abs(free) <= bounds).all():
            return free
        wide = np.maximum(bounds, 1e-12 * (1.0 + self.largest))  # SciPy wants low < high
        return np.asarray(lsq_linear(square, target, bounds=(-wide, wide)).x)


def _tuples(array: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in array.tolist())
