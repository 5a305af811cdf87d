"""What is known about one arm: its recent costs, its set-ups, its aborted solves."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import fsum
from statistics import median
from typing import Self, final

__all__ = ["ArmRecord", "trimmed_mean"]

# Costs remembered: enough to average noise, few enough to follow a drift.
_WINDOW = 15
# The part of the costs that is kept; the dearest ones are left out.
_KEPT = 0.8
# Largest cost in a mean for the ledger, in medians.
_CLIP = 3.0


def trimmed_mean(costs: tuple[float, ...]) -> float:
    """Return the mean of the lowest 80 % of the costs, of the lowest one at least.

    Wall clocks err upwards only: a busy machine makes one solve slow, none makes one fast. Of two
    costs it is the lower one.
    """
    kept = max(1, int(_KEPT * len(costs)))
    return fsum(sorted(costs)[:kept]) / kept


@final
@dataclass(frozen=True)
class ArmRecord:
    """What has been seen of one arm.

    Attributes
    ----------
    costs : recent costs of solves, set-up excluded, oldest first, 15 at most
    uses : solves finished
    setup : cost of the first set-up
    setups : cost of all later set-ups together
    level : steady cost that the arm is known to exceed, from its aborted solves; 0 if none
    aborts : solves aborted since the last one finished
    last : number of its last solve in this context's sequence, -1 if none
    begun : whether that solve paid a set-up
    """

    costs: tuple[float, ...] = ()
    uses: int = 0
    setup: float = 0.0
    setups: float = 0.0
    level: float = 0.0
    aborts: int = 0
    last: int = -1
    begun: bool = False

    def finished(self, number: int, cost: float, setup: float) -> Self:
        """Add a finished solve: its cost without set-up, and the set-up paid in it.

        The costs of the first use drop out when the second is known: right after a set-up a solve
        is cheaper than later (a factor that still fits) or dearer (caches that are still empty).
        """
        seen = () if self.uses == 1 and self.setup > 0 else self.costs
        return replace(
            self._paid(setup),
            costs=(*seen, cost)[-_WINDOW:],
            uses=self.uses + 1,
            level=0.0,
            aborts=0,
            last=number,
            begun=setup > 0,
        )

    def aborted(self, number: int, level: float, setup: float, charged: float) -> Self:
        """Add an aborted solve: known to exceed `level`; with its fallback it cost `charged`.

        An arm that has finished before counts it as a cost, unless the budget was smaller than what
        it usually takes: to be aborted then says nothing.
        """
        news = bool(self.costs) and level > self._mean
        seen = (*self.costs, charged)[-_WINDOW:] if news else self.costs
        return replace(
            self._paid(setup),
            costs=seen,
            level=max(level, self.level),
            aborts=self.aborts + 1,
            last=number,
            begun=setup > 0,
        )

    def compared(self, ratio: float) -> Self:
        """Correct the level of an aborted solve by the fallback's cost on the same system.

        `ratio` is the fallback's expected cost over its cost here: below one for a hard system,
        where to be aborted says less.
        """
        return replace(self, level=self.level * ratio)

    def forgotten(self, keep: int) -> Self:
        """Keep the last costs and the set-ups, which are paid; forget the rest."""
        costs = self.costs[-keep:] if keep else ()
        uses = min(self.uses, keep)
        setups = self.setups * uses / max(self.uses, 1)
        return replace(
            self, costs=costs, uses=uses, setups=setups, level=0.0, aborts=0, begun=False
        )

    def estimate(self, horizon: float) -> float | None:
        """Return the cost of a solve with its share of the set-ups; None before the first one.

        The first set-up is shared by `horizon` solves, the later ones by the solves so far.
        """
        if not self.costs:
            return None
        later = self.setups / max(self.uses, 1)
        return self._mean + self.setup / horizon + later

    def clipped_mean(self) -> float:
        """Return the mean of the costs, each counted as three medians at most; 0 without any.

        Nothing is left out of it: hard systems belong to what an arm costs in the long run.
        """
        if not self.costs:
            return 0.0
        limit = _CLIP * median(self.costs)
        return fsum(min(cost, limit) for cost in self.costs) / len(self.costs)

    @cached_property
    def noise(self) -> float:
        """Median relative deviation from the median cost."""
        middle = median(self.costs) if self.costs else 0.0
        return median(abs(cost / middle - 1.0) for cost in self.costs) if middle > 0 else 0.0

    def owes_second_solve(self) -> bool:
        """Return whether a set-up was paid and no solve has shown yet what it is good for."""
        return self.begun and self.uses + self.aborts == 1

    @cached_property
    def _mean(self) -> float:
        return trimmed_mean(self.costs)

    def _paid(self, setup: float) -> Self:
        first = self.uses + self.aborts == 0 and not self.setup
        return replace(
            self,
            setup=self.setup + (setup if first else 0.0),
            setups=self.setups + (0.0 if first else setup),
        )
