r"""Tsallis-INF: the bandit with the best of both worlds, for random and for adversarial costs.

With the estimated cumulated losses :math:`\hat L`, the arm of round t is drawn from

.. math::
   p = \arg\min_{p \in \Delta} \; \langle \hat L, p \rangle - \frac{4}{\eta_t} \sum_i \sqrt{p_i}
   \quad\Longrightarrow\quad p_i = \frac{4}{\eta_t^2 (\hat L_i - x)^2},

where x < min L makes the probabilities sum to one. The loss of the arm played is estimated
without bias, with importance weights (IW) or with reduced variance (RV):

.. math::
   \hat\ell_i = \frac{1_{I=i}\,\ell_i}{p_i} \;(\eta_t = 2/\sqrt t), \qquad
   \hat\ell_i = \frac{1_{I=i}\,(\ell_i - B_i)}{p_i} + B_i, \;
   B_i = \tfrac12 1_{p_i \ge \eta_t^2} \;(\eta_t = 4/\sqrt t).

The regret after T rounds over K arms is O(sqrt(K T)) against any costs in a bounded range, and
O(sum_i log(T) / gap_i) when they are independent random numbers. Costs have no known range here:
they are scaled by their running mean, which is the published practice and outside the proof.

Sources: Zimmert and Seldin (2021), Journal of Machine Learning Research 22(28), arXiv:1807.07623;
for solver parameters Khodak, Chow, Balcan and Talwalkar (2024), arXiv:2310.02246, algorithm 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.tuning.bandit import Bandit, Draw, checked_cost

__all__ = ["TsallisINF", "draw_arm", "tsallis_probabilities"]

# Newton converges quadratically from the right of the root; ten steps are usual.
_STEPS = 60
_ACCURACY = 1e-13


def tsallis_probabilities(losses: Sequence[float], rate: float) -> NDArray[np.float64]:
    r"""Return the probabilities of Tsallis-INF.

    Newton's method solves :math:`f(x) = \sum_i 4 (\eta (\hat L_i - x))^{-2} = 1`. For
    x < min L the function is increasing and convex, and f >= 1 at min L - 2 / eta: from there
    the iterates fall monotonically to the root.

    Parameters
    ----------
    losses : estimated cumulated losses, shape (K,), scaled to about one per round
    rate : learning rate eta > 0

    Returns
    -------
    ndarray
        Probabilities, shape (K,), positive, of sum one.

    Raises
    ------
    UserError
        Without arms, for losses that are not finite, or a rate that is not positive.
    """
    level = np.asarray(losses, dtype=np.float64)
    if level.ndim != 1 or not level.size or not np.isfinite(level).all() or not rate > 0:
        raise UserError(
            "expected finite losses of shape (K,), K >= 1, and a rate > 0, received "
            f"losses {level.tolist()} and rate {rate}; tell failed solves as aborted"
        )
    gaps = rate * (level - level.min())  # shifting the losses shifts x and nothing else
    x = -2.0
    for _ in range(_STEPS):
        p: NDArray[np.float64] = 4.0 / (gaps - x) ** 2
        surplus = p.sum() - 1.0
        if abs(surplus) <= _ACCURACY:
            break
        x -= surplus / (p**1.5).sum()
    return p / p.sum()


def draw_arm(probabilities: NDArray[np.float64], generator: np.random.Generator) -> int:
    """Return an arm with these probabilities; takes one uniform number of the generator."""
    edges = np.cumsum(probabilities)
    arm = np.searchsorted(edges, generator.random() * edges[-1], side="right")
    return int(min(arm, len(edges) - 1))


@final
@dataclass(frozen=True)
class TsallisINF(Bandit):
    """Tsallis-INF with costs scaled by their running mean.

    Parameters
    ----------
    arms : number of arms
    estimator : "iw" (importance weights, as published for solvers) or "rv" (reduced variance)
    floor : smallest possible cost, subtracted: 1 for iteration counts, 0 for seconds
    losses : estimated cumulated losses, length `arms`, in units of cost; empty: all zero
    rounds : costs learned so far
    total : their sum above the floor
    """

    arms: int
    estimator: Literal["iw", "rv"] = "iw"
    floor: float = 0.0
    losses: tuple[float, ...] = ()
    rounds: int = 0
    total: float = 0.0

    def __post_init__(self) -> None:
        if self.arms < 1 or len(self.losses) not in (0, self.arms):
            raise UserError(
                "expected at least one arm and as many losses as arms (or none), received "
                f"{self.arms} arms and {len(self.losses)} losses"
            )

    @property
    def rate(self) -> float:
        """Learning rate of the next round; per scaled loss it is the same for both estimators."""
        return (2.0 if self.estimator == "iw" else 4.0) / float(np.sqrt(self.rounds + 1))

    @property
    def scale(self) -> float:
        """What a loss of one is, in units of cost.

        The running mean, and twice that with reduced variance, whose baseline 1/2 is thus the mean.
        """
        mean = self.total / self.rounds if self.total > 0 else 1.0
        return mean if self.estimator == "iw" else 2.0 * mean

    def probabilities(self) -> NDArray[np.float64]:
        """Return the probabilities of the next round, shape (arms,)."""
        losses = np.asarray(self.losses or (0.0,) * self.arms) / self.scale
        return tsallis_probabilities(losses.tolist(), self.rate)

    def choose(self, context: Sequence[float], generator: np.random.Generator) -> Draw:
        """Draw an arm; the context is handed on unused."""
        p = self.probabilities()
        arm = draw_arm(p, generator)
        return Draw(arm, float(p[arm]), tuple(context))

    def learn(self, draw: Draw, cost: float) -> Self:
        """Add the estimate of the loss.

        Raises
        ------
        UserError
            If the cost is not a finite number >= 0.
        """
        loss = checked_cost(cost) - self.floor
        losses = np.array(self.losses or (0.0,) * self.arms)
        if self.estimator == "rv":
            safe = self.probabilities() >= self.rate**2
            baseline = np.where(safe, 0.5 * self.scale, 0.0)
            losses += baseline
            losses[draw.arm] += (loss - baseline[draw.arm]) / draw.probability
        else:
            losses[draw.arm] += loss / draw.probability
        return replace(
            self,
            losses=tuple(losses.tolist()),
            rounds=self.rounds + 1,
            total=self.total + loss,
        )
