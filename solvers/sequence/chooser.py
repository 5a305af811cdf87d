"""The tuner over the configurations of one sequence: what it is told, and how it is saved."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, final

from infra.errors import UserError
from solvers.sequence.configurations import Configuration, arms, fixed_part, named
from solvers.sequence.method import Method, Outcome, Target
from solvers.settings import LinearSettings
from solvers.tuning.context import ContextBins
from solvers.tuning.rules import Choice, TuningRules
from solvers.tuning.tuner import Tuner

__all__ = ["Chooser"]

# An iteration with a diagonal preconditioner, the unit of expected costs, in products.
_UNIT = 1.5


@final
class Chooser:
    """Choose configurations, limit what they may cost, and learn what they have cost.

    Parameters
    ----------
    name : of the systems, for errors
    offered : the configurations, the default first
    settings : whether seconds or operations are the cost
    horizon : solves expected
    seed : of the draws
    bins : boxes of the contexts
    """

    def __init__(
        self,
        name: str,
        offered: tuple[Configuration, ...],
        settings: LinearSettings,
        *,
        horizon: int,
        seed: int,
        bins: ContextBins | None,
    ) -> None:
        self._name, self.offered = name, offered
        self._clock = settings.cost == "seconds"
        self._tuner = Tuner(
            arms(offered),
            seed=seed,
            cost=settings.cost,
            rules=TuningRules(horizon=horizon),
            bins=bins,
        )
        self._used: set[str] = set()

    def choose(self, context: Sequence[float], product: float) -> Choice:
        """Return what to run on the next system.

        Parameters
        ----------
        context : as many numbers as there are bins for
        product : seconds of one product with the matrix, the same on all ranks
        """
        self._tuner.unit = _UNIT * product if self._clock else 1.0
        return self._tuner.choose(context)

    def configuration(self, choice: Choice) -> Configuration:
        """Return the configuration that a choice names."""
        return self.offered[choice.arm]

    def last_resort(self, choice: Choice) -> Choice | None:
        """Return the direct configuration, which does not depend on convergence; None if tried."""
        direct = [one.name for one in self.offered].index("direct")
        if direct in choice.tried:
            return None
        return replace(choice, arm=direct, name="direct", budget=float("inf"))

    def limited(self, target: Target, choice: Choice) -> Target:
        """Return the target with the budget of a choice."""
        if self._clock:
            return target.within(choice.budget)
        return target.counted(choice.budget, 1.0 + self.configuration(choice).application)

    def tell(self, choice: Choice, outcome: Outcome, comm: Any, method: Method) -> Choice | None:
        """Learn how a solve ended; return what to run if the system is still unsolved; collective.

        Parameters
        ----------
        choice : what was run
        outcome : what it did
        comm : communicator (mpi4py)
        method : what did it
        """
        work, one = outcome.work, self.configuration(choice)
        first = one.name not in self._used
        if self._clock:
            setup, solve = work.setup_seconds, work.solve_seconds
            if comm.size > 1:
                # One clock for all ranks, or they would choose differently.
                setup, solve = comm.bcast((setup, solve))
        else:
            setup, solve = one.operations(work, first=first)
        # A set-up that failed serves no later solve; without one, the time is that of each solve.
        serves = method.keeps_setup or (first and method.begins)
        once = setup if work.operator and work.setups and serves else 0.0
        self._used.add(one.name)
        return self._tuner.tell(choice, setup + solve, setup=once, aborted=not outcome.converged)

    def state(self) -> dict[str, Any]:
        """Return what has been learned, as JSON-able values."""
        return {"tuner": self._tuner.state(), "used": sorted(self._used)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with what another chooser of the same configurations has learned.

        Raises
        ------
        UserError
            If it is the state of another choice of configurations.
        """
        tuner = Tuner.restore(state.get("tuner", {}))
        expected, found = fixed_part(self._tuner.state()), fixed_part(tuner.state())
        if found != expected:
            raise UserError(
                f"saved state of the {self._name} system: expected configurations, cost and bins "
                f"{expected}, received {found}; delete it to begin anew"
            )
        self._tuner, self._used = tuner, set(state.get("used", ()))
        # The tuner speaks of places: those of the run that it comes from.
        names = [arm["name"] for arm in state["tuner"]["arms"]]
        self.offered = tuple(named(name, self.offered) for name in names)
