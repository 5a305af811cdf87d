"""A PETSc Krylov method that stops at a true residual, or when its budget is spent."""

import time
from typing import Any, final

from solvers.backend import PETSc
from solvers.sequence.deadline import Deadline
from solvers.sequence.method import Outcome, Target
from solvers.sequence.system import System

__all__ = ["KrylovRun", "residual_norm"]

# Reductions per iteration of PETSc's methods, with the norm of the residual.
_REDUCTIONS = {"cg": 3, "bcgs": 5, "gmres": 2, "fgmres": 2, "lgmres": 2, "dgmres": 2, "minres": 3}
_PRODUCTS = {"bcgs": 2}
# Restarts of the whole iteration when its own residual had drifted from the true one.
_ATTEMPTS = 4
_NAMES = {
    PETSc.KSP.ConvergedReason.DIVERGED_MAX_IT: "iteration-limit",
    PETSc.KSP.ConvergedReason.DIVERGED_BREAKDOWN: "breakdown",
    PETSc.KSP.ConvergedReason.DIVERGED_INDEFINITE_PC: "indefinite-preconditioner",
    PETSc.KSP.ConvergedReason.DIVERGED_INDEFINITE_MAT: "indefinite",
    PETSc.KSP.ConvergedReason.DIVERGED_NANORINF: "not-finite",
    PETSc.KSP.ConvergedReason.DIVERGED_PCSETUP_FAILED: "preconditioner",
}


def residual_norm(system: System, b: Any, x: Any, work: Any) -> float:
    """Return ``||b - A x||``; `work` is overwritten with the residual."""
    system.matrix.mult(x, work)
    work.aypx(-1.0, b)
    return float(work.norm())


@final
class KrylovRun:
    """A KSP whose stopping test knows the target and the clock.

    Parameters
    ----------
    comm : communicator
    kind : PETSc's name of the method
    true_norm : whether the method's own residual is the true one (else it is calibrated: the
        ratio of both reductions after one solve sets the tolerance of the next)
    """

    def __init__(self, comm: Any, kind: str, *, true_norm: bool = True) -> None:
        self.ksp: Any = PETSc.KSP().create(comm)
        self.ksp.setType(kind)
        self._kind = kind
        if kind in ("gmres", "fgmres", "bcgs", "lgmres", "dgmres"):
            right: Any = PETSc.PC.Side.RIGHT
            self.ksp.setPCSide(right)
        norms: Any = PETSc.KSP.NormType
        self.ksp.setNormType(norms.UNPRECONDITIONED if true_norm else norms.PRECONDITIONED)
        self.ksp.setInitialGuessNonzero(True)
        self.ksp.setConvergenceTest(self._test)
        # Reduction of the own residual over that of the true one.
        self._ratio = 1.0 if true_norm else 0.08
        self._true_norm = true_norm
        self._goal = self._reduction = self._first = self._last = 0.0
        self._limit = 0
        self._deadline = Deadline(comm, None)
        self._judged = self._stopped = False

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Iterate until the true residual is small enough, or give up."""
        outcome, started = Outcome(), time.perf_counter()
        self._deadline = Deadline(system.comm, target.budget)
        vector = b.duplicate()
        # Without this, a guess would have to be zero.
        before = target.norm if self._true_norm else residual_norm(system, b, x, vector)
        outcome.work.operator += not self._true_norm
        goal = 0.95 * target.residual
        reduction = self._ratio * goal / before if before > 0 else 1.0
        for attempt in range(_ATTEMPTS):
            self._judged = not attempt
            self._attempt(b, x, goal, reduction, target, outcome)
            outcome.residual = residual_norm(system, b, x, vector)
            outcome.work.operator += 1
            if not attempt:
                self._calibrate(before, outcome.residual)
            if outcome.residual <= target.residual or not outcome.converged:
                break
            # From here on both residuals fall alike.
            reduction = 0.7 * goal / outcome.residual
            goal *= 0.5
        self._close(target, outcome)
        vector.destroy()
        outcome.work.solve_seconds = time.perf_counter() - started
        return outcome

    def destroy(self) -> None:
        """Free the KSP."""
        self.ksp.destroy()

    def _attempt(
        self, b: Any, x: Any, goal: float, reduction: float, target: Target, outcome: Outcome
    ) -> None:
        self._goal, self._reduction, self._stopped = goal, reduction, False
        self._limit = max(target.iterations - outcome.work.iterations, 1)
        guess = x.norm() > 0  # PETSc looks as well, and saves the product
        self.ksp.solve(b, x)
        done = self.ksp.getIterationNumber()
        work = outcome.work
        work.iterations += done
        work.operator += done * _PRODUCTS.get(self._kind, 1) + guess
        # Conjugate gradients look at the residual before they precondition it.
        more = 0 if self._kind == "cg" and self._true_norm else 1
        work.preconditioner += done * _PRODUCTS.get(self._kind, 1) + more
        work.reductions += done * _REDUCTIONS.get(self._kind, 2)
        reason = self.ksp.getConvergedReason()
        if reason <= 0:
            outcome.reason = "budget" if self._stopped else _NAMES.get(reason, f"ksp{reason}")

    def _calibrate(self, before: float, after: float) -> None:
        if not self._true_norm and min(before, after, self._first, self._last) > 0:
            ratio = 0.8 * (self._last / self._first) * (before / after)
            self._ratio = min(max(ratio, 1e-4), 1e4)

    def _close(self, target: Target, outcome: Outcome) -> None:
        if outcome.residual <= target.residual:
            outcome.reason = "converged"
        elif outcome.converged:
            outcome.reason = "stagnation"

    def _test(self, _ksp: Any, iteration: int, norm: float) -> int:
        reasons = PETSc.KSP.ConvergedReason
        if not self._true_norm and iteration == 0:
            self._first, self._goal = norm, self._reduction * norm
        self._last = norm
        if norm <= self._goal:
            return int(reasons.CONVERGED_RTOL)
        if norm != norm:  # NaN
            return int(reasons.DIVERGED_NANORINF)
        if iteration >= self._limit:
            return int(reasons.DIVERGED_MAX_IT)
        if self._deadline.passed(iteration, norm, self._goal if self._judged else 0.0):
            self._stopped = True
            return int(reasons.DIVERGED_MAX_IT)
        return 0
