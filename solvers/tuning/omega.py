"""Learn the relaxation factor omega of SOR, or of SSOR-preconditioned CG, while solving.

The factors of a grid are the arms of a bandit. Source: Khodak, Chow, Balcan and Talwalkar (2024),
arXiv:2310.02246: 20 factors from 1 to 1.95; the cost is the number of iterations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, final

import numpy as np

from infra.errors import UserError
from solvers.tuning.bandit import Draw
from solvers.tuning.chebcb import ChebCB
from solvers.tuning.context import BinnedTsallisINF
from solvers.tuning.saving import from_state, to_state
from solvers.tuning.tsallis_inf import TsallisINF

__all__ = ["OmegaTuner", "omega_grid"]


def omega_grid(count: int = 20, low: float = 1.0, high: float = 1.95) -> tuple[float, ...]:
    """Return `count` equally spaced relaxation factors from `low` to `high`.

    Raises
    ------
    UserError
        If they are not in (0, 2), where alone SOR converges for SPD matrices.
    """
    if count < 1 or not 0 < low <= high < 2:
        raise UserError(
            f"expected count >= 1 and 0 < low <= high < 2, received {count}, {low}, {high}"
        )
    return tuple(np.linspace(low, high, count).tolist())


@final
@dataclass(frozen=True)
class OmegaTuner:
    """A bandit over relaxation factors.

    Parameters
    ----------
    grid : factors, dimensionless, in (0, 2); see `omega_grid`
    bandit : a bandit with one arm for each factor

    Examples
    --------
    ::

        tuner = OmegaTuner(omega_grid(), TsallisINF(20, floor=1))
        omega, draw = tuner.choose((), generator)
        tuner = tuner.learn(draw, iterations)
    """

    grid: tuple[float, ...]
    bandit: TsallisINF | BinnedTsallisINF | ChebCB

    def __post_init__(self) -> None:
        if len(self.grid) != self.bandit.arms:
            raise UserError(
                f"expected as many arms as factors, received {len(self.grid)} factors and "
                f"{self.bandit.arms} arms"
            )

    def choose(
        self, context: Sequence[float], generator: np.random.Generator
    ) -> tuple[float, Draw]:
        """Return omega for a system with this context, and the draw to hand back."""
        draw = self.bandit.choose(context, generator)
        return self.grid[draw.arm], draw

    def learn(self, draw: Draw, cost: float) -> Self:
        """Return the tuner that knows what this draw has cost.

        Raises
        ------
        UserError
            If the cost is not a finite number >= 0.
        """
        return replace(self, bandit=self.bandit.learn(draw, cost))

    def state(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        return to_state(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Return the tuner that `state` describes.

        Raises
        ------
        UserError
            If it is not the state of such a tuner.
        """
        return from_state(cls, state)
