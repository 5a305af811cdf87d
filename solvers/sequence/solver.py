r"""One solver object for a whole sequence of linear systems.

For :math:`A_i x_i = b_i, i = 1, 2, ...` with one sparsity pattern it keeps what later systems can
use (symbolic and numeric factors, hierarchies, recycle spaces, solutions), and learns which way of
solving costs least while it solves. A matrix that did not change is recognised: nothing is set up
again. Each solution meets the tolerance on the true residual, or the solve ends with a named
reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, final

from solvers.errors import LinearSolveError
from solvers.sequence.configurations import Configuration, Plan, configurations, named
from solvers.sequence.direct import DirectMethod
from solvers.sequence.guess import SolutionHistory
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.report import LinearReport, Work
from solvers.sequence.system import System
from solvers.sequence.toolbox import Toolbox
from solvers.sequence.traits import Traits
from solvers.sequence.trouble import advice, attainable
from solvers.settings import LinearSettings
from solvers.tuning.rules import Arm, Choice, TuningRules
from solvers.tuning.tuner import Tuner

__all__ = ["SequenceSolver"]

# Reasons that no other configuration can change.
_FINAL = frozenset({"indefinite", "not-finite", "singular", "tolerance-below-round-off"})
# Relative residuals that are small by any measure.
_SMALL = 1e-6
# Configurations tried on one system before it is given up.
_ATTEMPTS = 3


@final
class SequenceSolver:
    """See the module.

    Parameters
    ----------
    matrix : PETSc matrix; refilled in place between solves (then call `refilled`)
    name : how the systems are called in errors
    settings : tolerance, method and cost
    traits : what holds for all matrices
    horizon : solves expected; set-ups are judged by their share of it
    seed : seed of the choice among configurations
    guess : ``"history"`` (from previous solutions, where that pays) or ``"given"`` (x as it is)

    Raises
    ------
    UserError
        For a method that is not offered for these traits.
    """

    def __init__(
        self,
        matrix: Any,
        *,
        name: str,
        settings: LinearSettings,
        traits: Traits,
        horizon: int = 200,
        seed: int = 0,
        guess: Literal["history", "given"] = "history",
    ) -> None:
        self.name = name
        self._settings = settings
        self._system = System(matrix, traits)
        self._toolbox = Toolbox(self._system)
        plan = Plan(horizon, seed, clock=settings.cost == "seconds")
        self._offered = configurations(self._system, plan)
        self._fixed = (
            None if settings.method == "auto" else named(settings.method, self._offered)
        )
        self._methods: dict[str, Method] = {}
        self._history = SolutionHistory() if guess == "history" else None
        self._tuner = self._make_tuner(plan)
        self._iterations = 0.0
        self._stale = True
        self._used: set[str] = set()

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the configurations among which the solver chooses."""
        return tuple(one.name for one in self._offered)

    def refilled(self) -> None:
        """Tell the solver that the matrix has new values; looked at in the next solve."""
        self._stale = True

    def solve(self, b: Any, x: Any, context: Sequence[float] = ()) -> LinearReport:
        """Solve into `x`; collective.

        Parameters
        ----------
        b, x : right-hand side and solution
        context : numbers that may decide which configuration is best, such as a contrast

        Raises
        ------
        LinearSolveError
            If the system cannot be solved to the tolerance; `reason` names the cause. The next
            system is solved with a clean state.
        """
        try:
            return self._solve(b, x, context)
        except LinearSolveError:
            self._clear()
            raise

    def solve_many(self, right: Any, solution: Any) -> Work:
        """Solve for all columns of a dense matrix with one factorisation; collective.

        Parameters
        ----------
        right, solution : dense PETSc matrices (size, m)
        """
        self._look()
        method = self._method(named("direct", self._offered))
        assert isinstance(method, DirectMethod), "the configuration of this name"
        work = method.prepare(self._system)
        work.add(method.solve_many(right, solution))
        return work

    def state(self) -> Mapping[str, Any]:
        """Return what has been learned, as JSON-able values."""
        return self._tuner.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue with what another solver of the same sequence has learned.

        Raises
        ------
        UserError
            If it is the state of another choice of configurations.
        """
        self._tuner = Tuner.restore(state)

    def destroy(self) -> None:
        """Free PETSc's objects; the matrix stays the caller's."""
        self._clear()
        self._system.destroy()

    def _make_tuner(self, plan: Plan) -> Tuner:
        # The expected best comes first and is the default; what it sets up is there for others.
        first = self._offered[0]
        arms = [
            Arm(one.name, one.cost, one.setup if one is first or one.uses != first.uses else 0.0)
            for one in self._offered
        ]
        rules = TuningRules(horizon=plan.horizon)
        return Tuner(arms, seed=plan.seed, cost=self._settings.cost, rules=rules)

    def _look(self) -> None:
        if self._stale:
            self._system.refilled()
            self._stale = False

    def _solve(self, b: Any, x: Any, context: Sequence[float]) -> LinearReport:
        norm = float(b.norm())
        if norm == 0.0:
            x.zeroEntries()
            return LinearReport("none", "zero-right-hand-side", 0.0, Work())
        if not norm < float("inf"):
            raise LinearSolveError(
                f"the right-hand side of the {self.name} system is not finite: expected finite "
                "data. Check the source and the boundary values of this sample.",
                "not-finite",
            )
        self._look()
        target, work, tried = Target(norm, self._settings.rtol), Work(), []
        if self._history is not None:
            iterations = self._iterations
            work.add(self._history.guess(self._system, b, x, target.rtol, iterations))
        for one, outcome in self._attempts(b, x, target, context):
            work.add(outcome.work)
            if outcome.converged:
                return self._done(one, x, LinearReport(
                    one.name, "converged", outcome.residual / norm, work, tuple(tried)
                ))  # fmt: skip
            tried.append((one.name, outcome.reason))
            if outcome.reason in _FINAL:
                break
        raise LinearSolveError(self._complaint(tried, outcome, target, work), outcome.reason)

    def _done(self, one: Configuration, x: Any, report: LinearReport) -> LinearReport:
        if self._history is not None:
            self._history.keep(x)
        self._iterations = report.work.iterations * (1.0 + one.application)
        return report

    def _attempts(
        self, b: Any, x: Any, target: Target, context: Sequence[float]
    ) -> Iterator[tuple[Configuration, Outcome]]:
        """Run the fixed configuration, or the tuner's choice and what it falls back to."""
        if self._fixed is not None:
            yield self._fixed, self._run(self._fixed, b, x, target)
            return
        choice: Choice | None = self._tuner.choose(context)
        for _ in range(_ATTEMPTS):
            if choice is None:
                return
            one = self._offered[choice.arm]
            outcome = self._run(one, b, x, self._limited(target, choice, one))
            choice = self._tell(choice, one, outcome)
            yield one, outcome
            x.zeroEntries()

    def _run(self, one: Configuration, b: Any, x: Any, target: Target) -> Outcome:
        method = self._method(one)
        try:
            work = method.prepare(self._system)
        except LinearSolveError as error:
            return Outcome(error.reason)
        outcome = method.solve(self._system, b, x, target)
        outcome.work.add(work)
        if not outcome.converged and attainable(self._system, x, outcome.residual):
            # A huge solution explains any residual.
            small = outcome.residual < _SMALL * target.norm
            outcome.reason = "tolerance-below-round-off" if small else "singular"
        return outcome

    def _limited(self, target: Target, choice: Choice, one: Configuration) -> Target:
        if not choice.budget < float("inf"):
            return target
        if self._settings.cost == "seconds":
            return Target(target.norm, target.rtol, choice.budget, target.iterations)
        limit = max(int(choice.budget / (1.0 + one.application)), 1)
        return Target(target.norm, target.rtol, None, limit)

    def _tell(self, choice: Choice, one: Configuration, outcome: Outcome) -> Choice | None:
        work = outcome.work
        if self._settings.cost == "seconds":
            # One clock for all ranks, or they would choose differently.
            setup, solve = self._system.comm.bcast((work.setup_seconds, work.solve_seconds))
        else:
            setup = work.setups * (one.setup if one.name not in self._used else one.refill)
            solve = work.operator + one.application * work.preconditioner
        keeps = one.name not in self._used or self._method(one).keeps_setup
        once = setup if keeps else 0.0
        self._used.add(one.name)
        aborted = not outcome.converged
        return self._tuner.tell(choice, setup + solve, setup=once, aborted=aborted)

    def _method(self, one: Configuration) -> Method:
        if one.name not in self._methods:
            self._methods[one.name] = one.make(self._system, self._toolbox)
        return self._methods[one.name]

    def _clear(self) -> None:
        """Forget everything that may have seen a system that could not be solved."""
        for method in self._methods.values():
            method.destroy()
        self._methods.clear()
        self._toolbox.destroy()
        if self._history is not None:
            self._history.clear()
        self._stale = True
        self._system.forget()

    def _complaint(
        self, tried: list[tuple[str, str]], outcome: Outcome, target: Target, work: Work
    ) -> str:
        names = ", ".join(f"{name} ({reason})" for name, reason in tried)
        return (
            f"the {self.name} system was not solved: expected a relative residual of "
            f"{target.rtol:.1e}, received {outcome.residual / target.norm:.1e} after "
            f"{work.iterations} iterations of {names}. " + advice(outcome.reason)
        )
