"""A leader that nothing challenges solves a few systems before the tuner thinks again.

Costs are taken down meanwhile and learned together, so that the choice costs next to nothing where
solves take milliseconds.
"""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Self, final

from solvers.tuning.race import Race
from solvers.tuning.rules import Choice

__all__ = ["Coast", "coast"]

# Systems at a time at most, and the part of the solves so far that they may be.
_MOST, _PART = 24, 1 / 4
# Solves of the leader after which its cost is known.
_KNOWN = 4
# Standard deviations of noise beyond which a cost is news.
_WIDE = 3.0


@final
@dataclass(frozen=True)
class Coast:
    """Solves with one arm whose costs are still to be learned.

    Attributes
    ----------
    place : bin of the contexts
    arm : the leader there
    budget : of each solve, None for no limit
    left : systems that may still be solved so
    limit : a cost that ends it, for the tuner has to look
    costs : told so far
    """

    place: int
    arm: int
    budget: float | None
    left: int
    limit: float
    costs: tuple[float, ...] = ()

    def choice(self, name: str) -> Choice:
        """Return what is run each time; `name` is the arm's."""
        budget = inf if self.budget is None else self.budget
        return Choice(self.arm, name, budget, "incumbent", place=self.place)

    def after(self, cost: float) -> Self:
        """Return it with one more cost taken down."""
        left = 0 if cost > self.limit else self.left - 1
        # Not `replace`, which is ten times slower: this runs in each solve of milliseconds.
        costs = (*self.costs, cost)
        return type(self)(self.place, self.arm, self.budget, left, self.limit, costs)


def coast(race: Race, choice: Choice, free: float) -> Coast | None:
    """Return how the systems after this choice may be solved, None if each needs a choice.

    Parameters
    ----------
    race : what is known
    choice : what was chosen
    free : what `backstop.room` gives; the worst case of all solves must fit into it
    """
    record, solves = race.state.records[choice.arm], race.state.solves
    # The default in the leader's place, for want of room, may give it the room with its next cost.
    leads = choice.role == "incumbent" and choice.arm == race.incumbent
    if not leads or record.uses < _KNOWN:
        return None
    count = min(_MOST, int(_PART * solves))
    if isfinite(choice.budget):
        count = min(count, int(free / choice.budget))
    if count < 2:
        return None
    budget = choice.budget if isfinite(choice.budget) else None
    limit = max(race.rules.drift, 1.0 + _WIDE * race.noise) * race.finished[choice.arm]
    return Coast(choice.place, choice.arm, budget, count, limit)
