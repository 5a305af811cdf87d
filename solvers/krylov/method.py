"""What the Krylov methods with recycling have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from infra.errors import UserError
from solvers.krylov.blocks import Reducer, Vector
from solvers.krylov.linear_operator import Operator
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import KrylovResult, KrylovStop, Reason, Tolerance

__all__ = ["Monitor", "RecyclingMethod", "Solve"]

type Monitor = Callable[[int, float], None]

_EPS = float(np.finfo(np.float64).eps)
# The round-off that a residual computed as b - A x carries is a few units times these norms.
_FLOOR = 4.0


@final
@dataclass
class Solve:
    """The running solve of one system: its data, and what it has cost so far.

    Parameters
    ----------
    operator : matrix and preconditioner
    b, x : right-hand side and iterate (updated in place), shape (n_local,)
    space : recycle space; replaced when a new one has been computed
    same : the matrix is the one of the last solve
    tolerance : when to stop
    monitor : called with iteration and residual norm after each step
    guess : x holds an initial guess; otherwise it is zero and costs no product
    """

    operator: Operator
    b: Vector
    x: Vector
    space: RecycleSpace
    same: bool
    tolerance: Tolerance
    monitor: Monitor | None
    guess: bool

    def __post_init__(self) -> None:
        self.reducer = Reducer(self.operator.comm)
        self.history: list[float] = []
        self.iterations = self.inner_reductions = self.recycle_products = self.cycles = 0
        self.stale = self.norm_b = self.target = 0.0
        self.residual = np.inf
        self._before = (self.operator.products, self.operator.preconditioned)

    def begin(self) -> Vector:
        """Measure b and the first residual in one reduction; return the residual.

        Raises
        ------
        KrylovStop
            If there is nothing to solve: b = 0, or NaN, or the guess is good enough.
        """
        r = np.array(self.b)
        if self.guess:
            self.operator.residual(self.b, self.x, r)
        else:
            self.x[:] = 0.0
        sums = np.array([self.b @ self.b, r @ r, np.count_nonzero(self.b)])
        self.reducer.sum(sums)
        bb, rr, entries = (float(value) for value in sums)
        self._refuse_start(bb, rr, entries > 0)
        self.norm_b = float(np.sqrt(bb))
        self.target = max(self.tolerance.rtol * self.norm_b, self.tolerance.atol)
        self.record(float(np.sqrt(rr)))
        if self.confirm(float(np.sqrt(rr))):
            raise KrylovStop(Reason.CONVERGED)
        return r

    def _refuse_start(self, bb: float, rr: float, loaded: bool) -> None:
        """Stop where there is nothing to solve, or nothing that can be."""
        if not loaded:
            self.x[:] = 0.0
            self.residual = 0.0
            raise KrylovStop(Reason.ZERO_RIGHT_HAND_SIDE)
        if bb == 0.0 or not np.isfinite(bb) or not np.isfinite(rr):
            self.norm_b = bb
            if not np.isfinite(self.x).all():
                self.x[:] = 0.0
            raise KrylovStop(Reason.NOT_FINITE)

    def record(self, norm: float) -> None:
        """Add a residual norm to the history and tell the monitor."""
        self.history.append(norm / self.norm_b)
        if self.monitor is not None:
            self.monitor(self.iterations, norm)

    def confirm(self, norm: float) -> bool:
        """Keep the norm of a true residual; return whether it meets the tolerance."""
        self.residual = norm / self.norm_b
        return norm <= self.target

    def refuse_round_off(self) -> None:
        """Stop if the tolerance lies below what rounding allows: for when promises break.

        Raises
        ------
        KrylovStop
            With the reason tolerance-below-round-off.
        """
        size = self.operator.norm()
        (xx,) = self.reducer.sums(np.atleast_1d(self.x @ self.x))
        if size is None or not np.isfinite(size):
            return
        floor = _FLOOR * _EPS * (size * float(np.sqrt(xx[0])) + self.norm_b)
        if self.target < floor and self.residual * self.norm_b < 1e3 * floor:
            raise KrylovStop(Reason.BELOW_ROUND_OFF)

    def result(self, reason: Reason) -> KrylovResult:
        """Close the accounts."""
        return KrylovResult(
            reason=reason,
            iterations=self.iterations,
            products=self.operator.products - self._before[0],
            recycle_products=self.recycle_products,
            preconditioned=self.operator.preconditioned - self._before[1],
            reductions=self.reducer.count,
            broadcasts=self.reducer.broadcasts,
            inner_reductions=self.inner_reductions,
            cycles=self.cycles,
            residual=self.residual,
            norm_b=self.norm_b,
            history=tuple(self.history),
            stale=self.stale,
            space=self.space,
        )


class RecyclingMethod(ABC):
    """A Krylov method that takes a recycle space and returns one."""

    @abstractmethod
    def run(self, solve: Solve) -> Reason:
        """Iterate until a reason to stop is found; may raise KrylovStop instead."""

    def solve(
        self,
        operator: Operator,
        b: Vector,
        x: Vector,
        space: RecycleSpace,
        *,
        same: bool = False,
        tolerance: Tolerance | None = None,
        monitor: Monitor | None = None,
        guess: bool = True,
    ) -> KrylovResult:
        """Solve ``A x = b``; collective.

        Parameters
        ----------
        operator : matrix and preconditioner
        b : right-hand side, shape (n_local,)
        x : initial guess, overwritten by the solution, shape (n_local,)
        space : what the last solve left, or `RecycleSpace.empty`; not changed
        same : the matrix is the one of the last solve: no products to carry the space over
        tolerance : when to stop
        monitor : called with iteration and residual norm after each step
        guess : x holds an initial guess; otherwise it counts as zero, which saves a product

        Returns
        -------
        KrylovResult
            Its `reason` says whether x can be used. After a failure x holds finite numbers and
            `space` a usable space, at worst the one that went in.
        """
        if space.n_local != operator.n_local:
            raise UserError(
                f"recycle space: expected {operator.n_local} rows on this rank as in the matrix, "
                f"received {space.n_local}; start from RecycleSpace.empty({operator.n_local})"
            )
        state = Solve(operator, b, x, space, same, tolerance or Tolerance(), monitor, guess)
        try:
            # What is not finite is found in the reductions, and named.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                reason = self.run(state)
        except KrylovStop as stop:
            reason = stop.reason
        except np.linalg.LinAlgError:  # a small eigenproblem, the same on all ranks
            reason = Reason.BREAKDOWN
        return state.result(reason)
