r"""One solver object for a whole sequence of linear systems.

For :math:`A_i x_i = b_i, i = 1, 2, ...` with one sparsity pattern it keeps what later systems can
use (symbolic and numeric factors, hierarchies, recycle spaces, solutions), and learns which way of
solving costs least while it solves. A matrix that did not change is recognised: nothing is set up
again. Each solution meets the tolerance on the true residual, or the solve ends with a named
reason.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, final

from solvers.errors import LinearSolveError
from solvers.sequence.chooser import Chooser
from solvers.sequence.configurations import (
    Configuration,
    Plan,
    configurations,
    factors_pay,
    given,
    named,
    ranked,
)
from solvers.sequence.direct import DirectMethod
from solvers.sequence.guess import SolutionHistory
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.report import LinearReport, Work
from solvers.sequence.roughness import is_rough
from solvers.sequence.system import System
from solvers.sequence.toolbox import Toolbox
from solvers.sequence.traits import Traits
from solvers.sequence.trouble import advice, attainable, complaint, conclusive
from solvers.settings import LinearSettings
from solvers.tuning.context import ContextBins
from solvers.tuning.rules import Choice

__all__ = ["SequenceSolver"]

# Relative residuals that are small by any measure.
_SMALL = 1e-6
# Configurations tried on one system before the direct one, if it was not among them.
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
    options : PETSc options that are used instead of any choice; then every refill counts as new
        values, unseen
    bins : boxes of the contexts of `solve`; in each the choice is learned apart

    Attributes
    ----------
    name : as given
    total, solves : what all solves so far have cost, and their number

    Raises
    ------
    UserError
        For a method that is not offered for these traits, or options that PETSc does not know.
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
        options: Mapping[str, str] | None = None,
        bins: ContextBins | None = None,
    ) -> None:
        self.name, self.total, self.solves = name, Work(), 0
        self._settings = settings
        self._system = System(matrix, traits, recognise=options is None)
        self._toolbox = Toolbox(self._system)
        self._plan = Plan(horizon, seed, clock=settings.cost == "seconds")
        if options is None:
            offered = configurations(self._system, self._plan)
        else:
            offered = (given(name, options, settings.rtol),)
        alone = "given" if options is not None else settings.method
        self._fixed = None if alone == "auto" else named(alone, offered)
        # The mean is ready when a configuration that needs it is tried.
        wanted = offered if self._fixed is None else (self._fixed,)
        self._averages = any(one.name.endswith("rescaled") for one in wanted)
        self._methods: dict[str, Method] = {}
        self._history = SolutionHistory() if guess == "history" else None
        self._offered, self._bins = offered, bins
        # Known from the first values on; looked at by all ranks together.
        self._rough = False
        self._iterations = 0.0
        self._given = options is not None and guess == "given"
        self._stale = True
        self._last = -1  # version of the matrix that was solved last
        if options is not None:
            self._method(offered[0])  # wrong options are told at once

    @cached_property
    def _chooser(self) -> Chooser:
        """What chooses; made late, since the first values tell what to expect. Not collective."""
        plan = self._plan
        return Chooser(
            self.name,
            self._ranked(),
            self._settings,
            horizon=plan.horizon,
            seed=plan.seed,
            bins=self._bins,
        )

    def _ranked(self) -> tuple[Configuration, ...]:
        return ranked(self._offered, self._system, self._plan, rough=self._rough)

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the configurations among which the solver chooses, the default first.

        Before the first solve the order is that for smooth coefficients.
        """
        made = "_chooser" in self.__dict__
        offered = self._chooser.offered if made else self._ranked()
        return tuple(one.name for one in offered)

    def refilled(self) -> None:
        """Tell the solver that the matrix has new values; looked at in the next solve."""
        self._stale = True

    def solve(self, b: Any, x: Any, context: Sequence[float] = ()) -> LinearReport:
        """Solve into `x`; collective.

        Parameters
        ----------
        b, x : right-hand side and solution
        context : numbers that may decide which configuration is best, as many as `bins` has

        Raises
        ------
        LinearSolveError
            If the system cannot be solved to the tolerance; `reason` names the cause. The next
            system is solved with a clean state, and `x` is zero.
        """
        try:
            report = self._solve(b, x, context)
        except LinearSolveError:
            x.zeroEntries()  # may hold NaN, and be the next guess
            self._clear()
            raise
        self.total.add(report.work)
        self.solves += 1
        return report

    def solve_many(self, right: Any, solution: Any) -> Work:
        """Solve for all columns of a dense matrix with one factorisation; collective.

        Parameters
        ----------
        right, solution : dense PETSc matrices (size, m)

        Raises
        ------
        LinearSolveError
            If a column cannot be solved to the tolerance, see `solve`.
        """
        try:
            self._look()
            method = self._method(named("direct", self._offered))
            assert isinstance(method, DirectMethod), "the configuration of this name"
            work = method.prepare(self._system)
            work.add(method.solve_many(self._system, right, solution, self._settings.rtol))
        except LinearSolveError as error:
            changed = self._changed()
            self._clear()
            if changed:
                message = f"the {self.name} system: {advice('not-constant')}"
                raise LinearSolveError(message, "not-constant") from error
            raise
        self._last = self._system.version
        return work

    def state(self) -> Mapping[str, Any]:
        """Return what has been learned, as JSON-able values."""
        return self._chooser.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue with what another solver of the same sequence has learned.

        Raises
        ------
        UserError
            If it is the state of another choice of configurations.
        """
        self._chooser.restore(state)

    def destroy(self) -> None:
        """Free PETSc's objects; the matrix stays the caller's."""
        self._clear()
        self._system.destroy()

    def _look(self) -> None:
        if self._stale:
            if self._system.traits.constant and self._last == self._system.version:
                return  # a broken promise shows in the residual, see `_solve`
            self._system.refilled()
            self._stale = False
            if self._last < 0 and self._fixed is None:
                self._rough = is_rough(self._system)
            if self._averages:
                self._toolbox.mean.add(self._system)

    def _changed(self) -> bool:
        """Return whether a matrix that was not looked at, being constant, has changed."""
        skipped = self._stale and self._last == self._system.version
        return skipped and self._system.refilled()

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
        target = Target(norm, self._settings.rtol)
        if self._given:
            return self._solve_given(b, x, target)
        work, tried = Work(), list[tuple[str, str]]()
        if self._history is not None:
            iterations = self._iterations
            work.add(self._history.guess(self._system, b, x, target.rtol, iterations))
        for one, outcome in self._attempts(b, x, target, context):
            work.add(outcome.work)
            if outcome.converged:
                self._last = self._system.version
                self._remember(one, x, outcome, alone=not tried)
                return LinearReport(
                    one.name, "converged", outcome.residual / norm, work, tuple(tried)
                )
            tried.append((one.name, outcome.reason))
            if conclusive(outcome.reason, direct=not self._method(one).uses_guess):
                break
        if not self._system.same_pattern():
            outcome.reason = "pattern"
        elif self._changed():
            outcome.reason = "not-constant"
        message = complaint(self.name, tried, outcome, target, work)
        raise LinearSolveError(message, outcome.reason)

    def _solve_given(self, b: Any, x: Any, target: Target) -> LinearReport:
        """Solve with given options: flows do so several times in a step of milliseconds."""
        assert self._fixed is not None, "the given one"
        method = self._method(self._fixed)
        setups = method.prepare(self._system).setups
        outcome = method.solve(self._system, b, x, target)
        outcome.work.setups += setups
        if not outcome.converged:
            tried = [(self._fixed.name, outcome.reason)]
            message = complaint(self.name, tried, outcome, target, outcome.work)
            raise LinearSolveError(message, outcome.reason)
        residual = outcome.residual / target.norm
        return LinearReport(self._fixed.name, "converged", residual, outcome.work)

    def _remember(self, one: Configuration, x: Any, outcome: Outcome, *, alone: bool) -> None:
        """Keep the solution, and how many iterations a solve from zero takes."""
        if self._history is None:
            return
        self._history.keep(x)
        taken = outcome.work.iterations * (1.0 + one.application)
        if alone and self._method(one).uses_guess:
            taken = self._history.from_zero(taken, self._iterations)
        self._iterations = taken

    def _attempts(
        self, b: Any, x: Any, target: Target, context: Sequence[float]
    ) -> Iterator[tuple[Configuration, Outcome]]:
        """Run the fixed configuration, or the tuner's choice and what it falls back to."""
        if self._fixed is not None:
            yield self._fixed, self._run(self._fixed, b, x, target)
            return
        held = self._held()
        if held is not None:  # nothing to choose: a factor of this very matrix is there
            outcome = self._run(held, b, x, target)
            yield held, outcome
            x.zeroEntries()
        chooser, comm = self._chooser, self._system.comm
        product = self._system.product
        if comm.size > 1:
            product = comm.bcast(product)
        choice: Choice | None = chooser.choose(context, product)
        for attempt in range(_ATTEMPTS + 1):
            if choice is not None and attempt == _ATTEMPTS:
                choice = chooser.last_resort(choice)
            if choice is None:
                return
            one = chooser.configuration(choice)
            outcome = self._run(one, b, x, chooser.limited(target, choice))
            choice = chooser.tell(choice, outcome, comm, self._method(one))
            yield one, outcome
            x.zeroEntries()

    def _held(self) -> Configuration | None:
        """Return the direct configuration whose factor is there, or pays: a matrix comes again."""
        version, traits = self._system.version, self._system.traits
        name = self._toolbox.factored(version)
        # In three dimensions a factorisation costs many solves: once for all, or not at all.
        again = traits.dimension < 3 and version == self._last
        if name is None and (again or (traits.constant and factors_pay(self._system))):
            name = "factor"
        found = [c for c in self._offered if c.uses == name and c.name.startswith("direct")]
        return found[0] if found else None

    def _run(self, one: Configuration, b: Any, x: Any, target: Target) -> Outcome:
        method, started = self._method(one), time.perf_counter()
        try:
            work = method.prepare(self._system)
        except LinearSolveError as error:
            seconds = time.perf_counter() - started
            return Outcome(error.reason, Work(setups=1, setup_seconds=seconds))
        outcome = method.solve(self._system, b, x, target.after(work.setup_seconds))
        outcome.work.add(work)
        if not outcome.converged and attainable(self._system, x, outcome.residual):
            # A huge solution explains any residual.
            small = outcome.residual < _SMALL * target.norm
            outcome.reason = "tolerance-below-round-off" if small else "singular"
        return outcome

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
