"""Krylov recycling: the subspace that slowed the last solves is taken out of the next one."""

import time
from typing import Any, Literal, final

from solvers.krylov.deflated_cg import DeflatedCG
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.linear_operator import Operator
from solvers.krylov.method import RecyclingMethod
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import KrylovResult, KrylovStop, Reason, Tolerance
from solvers.sequence.deadline import Deadline
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.preconditioner import Preconditioner
from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["RecycledMethod"]


@final
class _Clock:
    """A monitor that ends a solve when its budget is spent, or cannot be met."""

    def __init__(self, comm: Any, target: Target) -> None:
        self._deadline = Deadline(comm, target.budget)
        self._goal = target.residual
        self.late = False

    def __call__(self, iteration: int, norm: float) -> None:
        self.late = self._deadline.passed(iteration, norm, self._goal)
        if self.late:
            raise KrylovStop(Reason.ITERATION_LIMIT)


@final
class RecycledMethod(Method):
    """GCRO-DR(40, 20), or deflated CG with 20 vectors, and a preconditioner set up per matrix.

    Parameters
    ----------
    system : matrix and traits
    kind : ``"gcrodr"`` or ``"cg"``
    preconditioner : shared with other methods

    Attributes
    ----------
    space : the recycle space that the next solve will use; may be replaced
    """

    def __init__(
        self, system: System, kind: Literal["gcrodr", "cg"], preconditioner: Preconditioner
    ) -> None:
        self._method: RecyclingMethod = GCRODR() if kind == "gcrodr" else DeflatedCG()
        self._preconditioner = preconditioner
        self.begins = preconditioner.begins
        self._operator = Operator(system.matrix, preconditioner)
        self.space = RecycleSpace.empty(system.matrix.getLocalSize()[0])
        self._solved = -1

    def prepare(self, system: System) -> Work:
        """Set the preconditioner up for the present values."""
        if self._preconditioner.content == system.version:
            return Work()
        return self._preconditioner.compute(system.matrix, system.version)

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Solve and keep the space for the next system; see `Method.solve`."""
        started = time.perf_counter()
        clock = _Clock(self._operator.comm, target)
        result = self._method.solve(
            self._operator,
            b.getArray(readonly=True),
            x.getArray(),
            self.space,
            same=self._solved == system.version,
            tolerance=Tolerance(rtol=target.rtol, atol=0.0, max_it=target.iterations),
            monitor=clock,
        )
        if result.space is not self.space:
            # Else it ended before the space was carried over: its image is still the old one.
            self.space, self._solved = result.space, system.version
        reason = "budget" if clock.late else result.reason.value
        reason = "converged" if result.reason.success else reason
        work = _work(result)
        work.solve_seconds = time.perf_counter() - started
        return Outcome(reason, work, result.residual * target.norm)

    def destroy(self) -> None:
        """Free work vectors; the preconditioner is its owner's."""
        self._operator.destroy()


def _work(result: KrylovResult) -> Work:
    return Work(
        iterations=result.iterations,
        operator=result.products,
        preconditioner=result.preconditioned,
        reductions=result.reductions,
    )
