r"""Sparse direct solution: refill, factor numerically, substitute, refine.

A matrix that did not change is not factored again: many right-hand sides cost two triangular
solves each, and are solved in blocks.
"""

import time
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from solvers.backend import MPI
from solvers.errors import LinearSolveError
from solvers.sequence.krylov_run import residual_norm
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.preconditioner import Preconditioner
from solvers.sequence.report import Work
from solvers.sequence.system import System
from solvers.sequence.trouble import advice, attainable

__all__ = ["DirectMethod"]

_REFINEMENTS = 3
# Relative residuals that are small by any measure.
_SMALL = 1e-6


@final
class DirectMethod(Method):
    """See the module.

    Parameters
    ----------
    factor : shared with other methods
    """

    uses_guess = False

    def __init__(self, factor: Preconditioner) -> None:
        self._factor = factor

    def prepare(self, system: System) -> Work:
        """Factor the present values, unless they are factored already."""
        if self._factor.content == system.version:
            return Work()
        return self._factor.compute(system.matrix, system.version)

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Substitute, then refine iteratively while the true residual is too large.

        Where a factor without pivoting is too inaccurate for that, one with pivoting takes over.
        """
        outcome, started = Outcome(), time.perf_counter()
        vector = b.duplicate()
        self._substitute(system, b, x, vector, target, outcome)
        if not outcome.residual <= target.residual:
            small = outcome.residual < _SMALL * target.norm
            exact = small and attainable(system, x, outcome.residual)
            if not exact and self._factor.pivot():
                outcome.work.add(self.prepare(system))
                self._substitute(system, b, x, vector, target, outcome)
        vector.destroy()
        if not outcome.residual <= target.residual:
            outcome.reason = "singular"
        outcome.work.solve_seconds = time.perf_counter() - started - outcome.work.setup_seconds
        return outcome

    def solve_many(self, system: System, right: Any, solution: Any, rtol: float) -> Work:
        """Substitute for all columns of a dense matrix at once, then refine as in `solve`.

        Raises
        ------
        LinearSolveError
            If a column misses the tolerance, relative to its own norm.
        """
        started, work = time.perf_counter(), Work()
        columns, norms = right.getSize()[1], _column_norms(right)
        if not np.isfinite(norms).all():
            raise LinearSolveError(
                "a right-hand side is not finite: expected finite data. "
                + advice("not-finite"), "not-finite",
            )  # fmt: skip
        self._factor.apply_many(right, solution)
        for left in range(_REFINEMENTS, -1, -1):
            work.preconditioner += columns
            work.operator += columns
            if self._improved(system, right, solution, rtol * norms, last=not left):
                break
        work.solve_seconds = time.perf_counter() - started
        return work

    def destroy(self) -> None:
        """Nothing: the factor is its owner's."""

    def _substitute(
        self, system: System, b: Any, x: Any, vector: Any, target: Target, outcome: Outcome
    ) -> None:
        self._factor.apply(b, x)
        outcome.work.preconditioner += 1
        self._measure(system, b, x, vector, outcome)
        for _ in range(_REFINEMENTS):
            if not outcome.residual > target.residual:
                break
            self._refine(x, vector)
            outcome.work.preconditioner += 1
            self._measure(system, b, x, vector, outcome)

    def _improved(
        self, system: System, right: Any, solution: Any, goal: NDArray[np.float64], *, last: bool
    ) -> bool:
        """Return whether all residuals meet their goals; refine the solution if not."""
        residual = system.matrix.matMult(solution)
        residual.aypx(-1.0, right)
        norms = _column_norms(residual)
        done = bool((norms <= goal).all())
        if not done and not last:
            correction = residual.duplicate()
            self._factor.apply_many(residual, correction)
            solution.axpy(1.0, correction)
            correction.destroy()
        residual.destroy()
        if last and not done:
            raise _missed(system, right, solution, goal, norms)
        return done

    def _measure(self, system: System, b: Any, x: Any, vector: Any, outcome: Outcome) -> None:
        outcome.residual = residual_norm(system, b, x, vector)
        outcome.work.operator += 1

    def _refine(self, x: Any, residual: Any) -> None:
        correction = residual.duplicate()
        self._factor.apply(residual, correction)
        x.axpy(1.0, correction)
        correction.destroy()


def _missed(
    system: System,
    right: Any,
    solution: Any,
    goal: NDArray[np.float64],
    norms: NDArray[np.float64],
) -> LinearSolveError:
    """Return the error of the first column whose residual, of this norm, misses its goal."""
    first = int(np.argmin(norms <= goal))  # NaN misses too
    answer = solution.getColumnVector(first)
    small = norms[first] < _SMALL * _column_norms(right)[first]
    rounded = small and attainable(system, answer, norms[first])
    answer.destroy()
    reason = "tolerance-below-round-off" if rounded else "singular"
    return LinearSolveError(
        f"right-hand side {first} was not solved: expected a residual of {goal[first]:.1e}, "
        f"received {norms[first]:.1e}. " + advice(reason),
        reason,
    )


def _column_norms(block: Any) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # infinite then, and refused
        squares = np.sum(block.getDenseArray(readonly=True) ** 2, axis=0)
    return np.sqrt(block.comm.tompi4py().allreduce(squares, MPI.SUM))
