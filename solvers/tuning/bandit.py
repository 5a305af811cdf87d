"""The interface of bandits: values that choose an arm and learn from its cost."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from infra.errors import UserError

__all__ = ["Bandit", "Draw", "checked_cost"]


@final
@dataclass(frozen=True)
class Draw:
    """One choice of a bandit; hand it back with the cost.

    Attributes
    ----------
    arm : index of the arm to play
    probability : chance that this arm had, in (0, 1]
    context : what the bandit knew before it chose
    """

    arm: int
    probability: float
    context: tuple[float, ...] = ()


class Bandit(ABC):
    """Choose one of `arms` arms for each system and learn from the cost of that arm only.

    A bandit is a value: `choose` leaves it as it is and `learn` returns the next one, so that
    saving it is saving its fields, and the same generator gives the same choices.
    """

    arms: int

    @abstractmethod
    def choose(self, context: Sequence[float], generator: np.random.Generator) -> Draw:
        """Return the arm for a system with this context; takes one number of the generator."""

    @abstractmethod
    def learn(self, draw: Draw, cost: float) -> Self:
        """Return the bandit that knows what this draw has cost.

        Raises
        ------
        UserError
            If the cost is not a finite number >= 0.
        """


def checked_cost(cost: float) -> float:
    """Return the cost.

    Raises
    ------
    UserError
        If the cost is not a finite number >= 0.
    """
    if not (np.isfinite(cost) and cost >= 0):
        raise UserError(
            f"expected the cost of a solve as a finite number >= 0, received {cost}; "
            "a solve that failed is told as aborted, with the cost up to there"
        )
    return float(cost)
