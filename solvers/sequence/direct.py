r"""Sparse direct solution: refill, factor numerically, substitute, refine.

A matrix that did not change is not factored again: many right-hand sides cost two triangular
solves each, and are solved in blocks.
"""

import time
from typing import Any, final

from solvers.sequence.preconditioner import Preconditioner
from solvers.sequence.krylov_run import residual_norm
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["DirectMethod"]

_REFINEMENTS = 3


@final
class DirectMethod(Method):
    """See the module.

    Parameters
    ----------
    factor : shared with other methods
    """

    def __init__(self, factor: Preconditioner) -> None:
        self._factor = factor

    def prepare(self, system: System) -> Work:
        """Factor the present values, unless they are factored already."""
        if self._factor.content == system.version:
            return Work()
        return self._factor.compute(system.matrix, system.version)

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Substitute, then refine iteratively while the true residual is too large."""
        outcome, started = Outcome(), time.perf_counter()
        vector = b.duplicate()
        self._factor.apply(b, x)
        outcome.work.preconditioner += 1
        self._measure(system, b, x, vector, outcome)
        for _ in range(_REFINEMENTS):
            if not outcome.residual > target.residual:
                break
            self._refine(x, vector)
            outcome.work.preconditioner += 1
            self._measure(system, b, x, vector, outcome)
        vector.destroy()
        if not outcome.residual <= target.residual:
            outcome.reason = "singular"
        outcome.work.solve_seconds = time.perf_counter() - started
        return outcome

    def solve_many(self, right: Any, solution: Any) -> Work:
        """Substitute for all columns of a dense matrix at once."""
        started = time.perf_counter()
        self._factor.apply_many(right, solution)
        columns = right.getSize()[1]
        return Work(preconditioner=columns, solve_seconds=time.perf_counter() - started)

    def destroy(self) -> None:
        """Nothing: the factor is its owner's."""

    def _measure(self, system: System, b: Any, x: Any, vector: Any, outcome: Outcome) -> None:
        outcome.residual = residual_norm(system, b, x, vector)
        outcome.work.operator += 1

    def _refine(self, x: Any, residual: Any) -> None:
        correction = residual.duplicate()
        self._factor.apply(residual, correction)
        x.axpy(1.0, correction)
        correction.destroy()
