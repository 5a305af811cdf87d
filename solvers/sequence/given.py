"""A configuration that the user gave as PETSc options."""

import math
import time
from collections.abc import Mapping
from typing import Any, final

from solvers.linear import LinearSolver
from solvers.sequence.krylov_run import residual_norm
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["GivenMethod"]

# Solves with a tighter tolerance where the method's own residual is not the true one.
_ATTEMPTS = 4


@final
class GivenMethod(Method):
    """A PETSc KSP with given options, held to the true residual.

    Where the KSP's own norm is another one (left preconditioning), the true residual is measured
    after each solve; a solution that misses the tolerance is improved, and later solves aim lower.
    Nothing is multiplied where that norm is the true one (right preconditioning): the outcome's
    residual is then the norm with which the KSP ended. A method without iterations (``preonly``)
    is held to its proof, once for each matrix, and the outcome's residual is NaN: not measured.

    Parameters
    ----------
    system : matrix and traits
    name : options prefix; also named in errors
    options : PETSc options without prefix
    rtol : relative tolerance

    Raises
    ------
    UserError
        If PETSc does not know an option, or a method without iterations does not solve the system.
    """

    def __init__(self, system: System, name: str, options: Mapping[str, str], rtol: float) -> None:
        self._solver = LinearSolver(system.matrix, name, options, rtol)
        self._rtol, self._aim = rtol, 1.0
        once = options.get("ksp_type") == "preonly"
        own = options.get("ksp_pc_side") == "right" and self._solver.true_norm
        self._measured = not (once or own)
        self._version, self._fresh = -1, True
        self._work: Any = None

    def prepare(self, system: System) -> Work:
        """Tell PETSc that values have changed; it sets up in the next solve."""
        if self._version == system.version:
            return Work()
        if not self._fresh:
            self._solver.refilled()
        self._version, self._fresh = system.version, False
        return Work(setups=1)

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Solve; see `Method.solve`.

        Raises
        ------
        LinearSolveError
            If the iteration stops without reaching its own tolerance, or NaN comes out.
        """
        started, before = time.perf_counter(), self._solver.iterations
        self._solver.solve(b, x)
        outcome = Outcome(residual=self._solver.residual)
        if self._measured:
            self._improve(system, b, x, target, outcome)
        outcome.work.iterations = self._solver.iterations - before
        outcome.work.solve_seconds = time.perf_counter() - started
        return outcome

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self._solver.destroy()
        if self._work is not None:
            self._work.destroy()

    def _improve(self, system: System, b: Any, x: Any, target: Target, outcome: Outcome) -> None:
        if self._work is None:
            self._work = b.duplicate()
        vector = self._work
        for _ in range(_ATTEMPTS):
            outcome.residual = residual_norm(system, b, x, vector)
            outcome.work.operator += 1
            if outcome.residual <= target.residual or not math.isfinite(outcome.residual):
                break
            self._aim *= max(0.5 * target.residual / outcome.residual, 1e-3)
            self._solver.aim(self._rtol * self._aim)
            self._solver.solve(b, x)
        else:
            outcome.residual = residual_norm(system, b, x, vector)
        if not math.isfinite(outcome.residual):
            outcome.reason = "not-finite"
        elif outcome.residual > target.residual:
            outcome.reason = "stagnation"
