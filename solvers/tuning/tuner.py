r"""The tuner: which configuration solves the next system, and what it may cost.

A sequence of systems begins with the default. Then the other arms are raced in the order of their
expected costs, each with a budget of about the best cost so far, and the cheapest one leads.
Arms that noise cannot tell from the leader are drawn by Tsallis-INF, whose first losses are
what the race has shown. Old results fade and a leader that grows dear starts a new race, so that
changes are followed.

What is guaranteed, and by what:

* **Never much dearer than the default** (deterministic). Whatever the arms cost, after t systems

  .. math:: \sum_{s \le t} c_s \le \sum_{s \le t} \hat c_0(s) + \epsilon \max(t, t_0) \, \hat c_0,

  if budgets are kept and a fallback costs what is expected of it, since no solve starts whose
  worst case breaks the bound (`backstop`; it excepts arms of certain cost). The default's cost
  :math:`\hat c_0` is an estimate from its own solves; while it is not played, nothing else is
  known of it. Over-runs of budgets and the error of the estimate come on top: that is what the
  difference between `excess` (8.5 %) and a promise of 10 % is for.
* **Exploration is bounded** (deterministic, likewise): trials cost at most `advance` solves of
  the leader and the part `share` of all costs beyond what the leader would have cost; twice that
  for arms that are expected to be better than it. A new race grants the part of the advance that
  the solves since the last one are of the horizon.
* **The draw among equals** is Tsallis-INF's: regret O(sqrt(K T)) against their best for
  costs in a bounded range, as long as exploration is not out of money. It says nothing on arms
  outside the draw, and the whole has no such bound: an arm that is never found is never played.

Sources: Zimmert and Seldin (2021), arXiv:1807.07623; Khodak et al. (2024), arXiv:2310.02246; a
budget with a safe fallback for solvers as in Khodak et al. (2025), arXiv:2509.08765; an
allowance for exploration relative to a default as in conservative bandits, Wu, Shariff, Lattimore
and Szepesvari (2016), arXiv:1602.04282.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal, Self, final

from infra.errors import UserError
from solvers.tuning.backstop import room
from solvers.tuning.coasting import Coast, coast
from solvers.tuning.context import ContextBins
from solvers.tuning.learning import closed, coasted, fresh, learned, reraced
from solvers.tuning.policy import fallback, plan
from solvers.tuning.race import Race
from solvers.tuning.rules import Arm, BinState, Choice, TuningRules
from solvers.tuning.saving import from_state, to_state

__all__ = ["Tuner"]


@final
@dataclass(frozen=True)
class _Saved:
    """All that a tuner is."""

    arms: tuple[Arm, ...]
    default: int
    seed: int
    cost: Literal["seconds", "operations"]
    rules: TuningRules
    bins: ContextBins
    known: dict[int, BinState]
    unit: float | None = None
    coast: Coast | None = None


@final
class Tuner:
    """Choose among solver configurations and learn from what they cost.

    The choice is a function of the arms, the rules, the seed and the costs told so far: equal costs
    give equal choices, on all ranks and after a resume. Tell each rank the same cost.

    Parameters
    ----------
    arms : configurations, with distinct names
    default : index of the safe configuration, which works on every system
    seed : non-negative integer; the draw of solve t depends on it and on t only
    cost : what costs are, "seconds" or "operations" (reproducible: any count of work). Seconds
        have outliers: the default's first time is checked when it seems too long
    rules : how much may be risked
    bins : boxes of the context; each learns on its own, with the priors of the richest

    Attributes
    ----------
    unit : cost of one unit of the priors where that can be measured apart, else None; may be set
        whenever it is known better

    Raises
    ------
    UserError
        Without arms, for equal names, or a default that is not among them.

    Examples
    --------
    ::

        choice = tuner.choose(context)
        while choice is not None:
            outcome = run(choice.arm, choice.budget)
            choice = tuner.tell(choice, outcome.cost, aborted=outcome.aborted)
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        *,
        default: int = 0,
        seed: int = 0,
        cost: Literal["seconds", "operations"] = "seconds",
        rules: TuningRules | None = None,
        bins: ContextBins | None = None,
    ) -> None:
        names = [arm.name for arm in arms]
        if not names or len(set(names)) < len(names) or not 0 <= default < len(names) or seed < 0:
            raise UserError(
                "expected arms with distinct names, a default among them and a seed >= 0, "
                f"received {names}, default {default}, seed {seed}"
            )
        self._fixed = _Saved(
            tuple(arms), default, seed, cost, rules or TuningRules(), bins or ContextBins(), {}
        )
        self.unit: float | None = None
        self._known: dict[int, BinState] = {}
        self._read: dict[int, Race] = {}  # what was derived from the present states
        self._coast: Coast | None = None
        self._leading: Choice | None = None
        self._following: tuple[Race, Choice] | None = None  # planned already for this state

    def choose(self, context: Sequence[float] = ()) -> Choice:
        """Return what to run on the next system. Nothing changes until the cost is told.

        Parameters
        ----------
        context : as many numbers as `bins` has components, NaN where unknown

        Raises
        ------
        UserError
            If the context has another number of components.
        """
        place = self._fixed.bins.index(context)
        coasting = self._coast
        if coasting is not None and coasting.left and coasting.place == place:
            if self._leading is None:
                self._leading = coasting.choice(self._fixed.arms[coasting.arm].name)
            return self._leading
        if self._following is not None and self._following[0] is self._race(place):
            return self._following[1]
        return self._plan(place)

    def tell(
        self, choice: Choice, cost: float, *, setup: float = 0.0, aborted: bool = False
    ) -> Choice | None:
        """Learn what a choice has cost; return what to run if the system is still unsolved.

        Parameters
        ----------
        choice : what was run
        cost : its whole cost, set-up included; of an aborted solve up to there
        setup : the part of it that later solves with this arm will not pay again
        aborted : whether it was stopped at its budget, or failed

        Returns
        -------
        Choice or None
            The fallback for the same system after an aborted solve, None when the system is
            solved, or when all arms have failed on it.

        Raises
        ------
        UserError
            For a cost that is negative, or not finite without being aborted, or below its set-up.
        """
        cost = self._checked(choice, cost, setup, aborted)
        if self._coast is not None and choice is self._leading and not (aborted or setup):
            self._coast = self._coast.after(cost)
            if not self._coast.left:
                self._land()
            return None
        self._land()
        race = self._race(choice.place)
        self._known[choice.place] = learned(race, choice, cost, setup, aborted)
        choice = replace(choice, paid=choice.paid + cost)
        if aborted:
            choice = replace(choice, tried=(*choice.tried, choice.arm))
            after = fallback(self._race(choice.place), choice, self._room())
            if after is not None:
                return after
        # The set-up of an arm of certain cost is in no ledger, that of the default likewise.
        own = cost - (setup if self._fixed.arms[choice.arm].certain else 0.0)
        self._closed(choice.place, closed(self._race(choice.place), choice, own, aborted))
        if choice.role == "incumbent":
            following, race = self._plan(choice.place), self._race(choice.place)
            self._following = race, following
            self._coast = coast(race, following, self._room())
        return None

    @property
    def solves(self) -> int:
        """Number of systems finished."""
        coasting = 0 if self._coast is None else len(self._coast.costs)
        return coasting + sum(state.solves for state in self._known.values())

    def incumbent(self, context: Sequence[float] = ()) -> str:
        """Return the name of the arm that leads in this context."""
        leader = self._reading(context).incumbent
        return self._fixed.arms[self._fixed.default if leader is None else leader].name

    def estimates(self, context: Sequence[float] = ()) -> dict[str, float]:
        """Return the expected cost of each arm that has finished a solve in this context."""
        race = self._reading(context)
        return {self._fixed.arms[i].name: cost for i, cost in race.finished.items()}

    def state(self) -> dict[str, Any]:
        """Return everything as JSON-able values: settings and what has been learned."""
        return to_state(replace(self._fixed, known=self._known, unit=self.unit, coast=self._coast))

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Return the tuner that `state` describes; it goes on as if it had not been interrupted.

        Raises
        ------
        UserError
            If it is not the state of a tuner.
        """
        saved = from_state(_Saved, state)
        tuner = cls(saved.arms, default=saved.default, seed=saved.seed, cost=saved.cost)
        tuner._fixed = replace(saved, known={}, unit=None, coast=None)
        tuner.unit, tuner._known, tuner._coast = saved.unit, dict(saved.known), saved.coast
        return tuner

    def _plan(self, place: int) -> Choice:
        return plan(self._race(place), place, self._room(), [self._fixed.seed, self.solves])

    def _land(self) -> None:
        """Learn the costs that were taken down while a leader was coasting."""
        coasting = self._coast
        landed = None if coasting is None else self._present(coasting.place)
        self._coast = self._leading = self._following = None
        if coasting is not None and landed is not None:
            self._closed(coasting.place, landed)

    def _present(self, place: int) -> BinState | None:
        """Return a bin's state with the costs that were taken down; None for an unknown bin."""
        coasting = self._coast
        if coasting is None or coasting.place != place or not coasting.costs:
            return self._known.get(place)
        return coasted(self._race(place), coasting.arm, coasting.costs)

    def _reading(self, context: Sequence[float]) -> Race:
        """Return the race in a context with the costs that were taken down; nothing changes."""
        place = self._fixed.bins.index(context)
        state = self._present(place)
        race = self._race(place)
        return race if state is None else replace(race, state=state)

    def _closed(self, place: int, state: BinState) -> None:
        """Take over the state after a system, and start a new race if the leader has drifted."""
        self._known[place] = state
        race = self._race(place)
        if race.drifted():
            self._known[place] = reraced(race)

    def _race(self, place: int) -> Race:
        fixed = self._fixed
        state, read = self._known.get(place), self._read.get(place)
        # A run that goes on beyond its horizon is expected to go on for another one.
        left = fixed.rules.horizon - self.solves % fixed.rules.horizon
        same = read is not None and (read.unit, read.left) == (self.unit, left)
        if read is not None and same and read.state is state:
            return read
        if state is None:
            richest = max(self._known, key=lambda b: self._known[b].solves, default=None)
            model = None if richest is None else self._race(richest)
            state = fresh(fixed.arms, fixed.rules, model, len(self._known))
        clock = fixed.cost == "seconds"
        race = Race(fixed.arms, fixed.rules, fixed.default, state, clock, left, self.unit)
        self._read[place] = race
        return race

    def _room(self) -> float:
        present = [self._present(place) for place in self._known]
        return room(self._fixed.rules, [state for state in present if state is not None])

    def _checked(self, choice: Choice, cost: float, setup: float, aborted: bool) -> float:
        """Return a finite cost; a failure without a cost is charged its budget."""
        if aborted and not isfinite(cost):
            cost = choice.budget if isfinite(choice.budget) else setup
        if not (isfinite(cost) and 0 <= setup <= cost):
            raise UserError(
                f"arm {choice.name}: expected a finite cost >= its set-up >= 0, received "
                f"cost {cost} and set-up {setup}; tell a failed solve with aborted=True"
            )
        return cost
