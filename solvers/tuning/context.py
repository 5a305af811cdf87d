"""Contexts in bins, and Tsallis-INF with one bandit for each bin.

The range of a context is cut into bins and each bin learns on its own: the regret against the best
policy that is constant on bins is the sum of the bins' regrets. Source: Khodak, Chow, Balcan and
Talwalkar (2024), arXiv:2310.02246, section 2.4, there for one dimension and diagonal shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from typing import Literal, Self, final

import numpy as np

from infra.errors import UserError
from solvers.tuning.bandit import Bandit, Draw
from solvers.tuning.tsallis_inf import TsallisINF

__all__ = ["BinnedTsallisINF", "ContextBins"]


@final
@dataclass(frozen=True)
class ContextBins:
    """Boxes of a context such as (unknowns, contrast, previous cost).

    Parameters
    ----------
    edges : for each component of the context its increasing inner edges; n edges make n + 1 bins.
        Empty for a component that is ignored, and empty for no context at all.
    """

    edges: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        for inner in self.edges:
            if any(not isfinite(e) for e in inner) or sorted(set(inner)) != list(inner):
                raise UserError(
                    f"expected finite, increasing edges for each component of the context, "
                    f"received {inner}"
                )

    @classmethod
    def uniform(cls, low: float, high: float, count: int) -> Self:
        """Return `count` equal bins of one component in [low, high]; the outer ones are open.

        Raises
        ------
        UserError
            If the range is empty or there is no bin.
        """
        if count < 1 or not low < high:
            raise UserError(f"expected low < high and count >= 1, received {low}, {high}, {count}")
        return cls((tuple(np.linspace(low, high, count + 1)[1:-1].tolist()),))

    @property
    def count(self) -> int:
        """Number of bins."""
        return prod(len(inner) + 1 for inner in self.edges)

    def index(self, context: Sequence[float]) -> int:
        """Return the bin's number in 0..count-1; a component that is NaN (unknown) counts as low.

        Raises
        ------
        UserError
            If the context has another number of components.
        """
        if len(context) != len(self.edges):
            raise UserError(
                f"expected a context of {len(self.edges)} components, received {len(context)}; "
                "give the same quantities for each system, NaN for an unknown one"
            )
        number = 0
        for value, inner in zip(context, self.edges, strict=True):
            place = sum(bool(value >= edge) for edge in inner)  # False for NaN
            number = number * (len(inner) + 1) + place
        return number


@final
@dataclass(frozen=True)
class BinnedTsallisINF(Bandit):
    """One Tsallis-INF for each bin of the context (Tsallis-INF-CB).

    Parameters
    ----------
    arms : number of arms
    bins : the boxes of the context
    estimator, floor : see `TsallisINF`
    bandits : one for each bin; empty: all fresh
    """

    arms: int
    bins: ContextBins
    estimator: Literal["iw", "rv"] = "iw"
    floor: float = 0.0
    bandits: tuple[TsallisINF, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.bandits) not in (0, self.bins.count):
            raise UserError(
                f"expected one bandit for each of {self.bins.count} bins (or none), "
                f"received {len(self.bandits)}"
            )

    def choose(self, context: Sequence[float], generator: np.random.Generator) -> Draw:
        """Draw an arm by the bandit of the context's bin."""
        return self._all()[self.bins.index(context)].choose(context, generator)

    def learn(self, draw: Draw, cost: float) -> Self:
        """Let the bandit of the draw's bin learn.

        Raises
        ------
        UserError
            If the cost is not a finite number >= 0.
        """
        bandits = list(self._all())
        place = self.bins.index(draw.context)
        bandits[place] = bandits[place].learn(draw, cost)
        return replace(self, bandits=tuple(bandits))

    def _all(self) -> tuple[TsallisINF, ...]:
        fresh = TsallisINF(self.arms, self.estimator, self.floor)
        return self.bandits or (fresh,) * self.bins.count
