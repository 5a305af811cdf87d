"""The inner loop of deflated conjugate gradients: one run from a true residual on."""

from typing import final

import numpy as np
from scipy.linalg import blas

from solvers.krylov.blocks import Vector, subtract
from solvers.krylov.lanczos_window import LanczosWindow
from solvers.krylov.method import Solve
from solvers.krylov.refresh import Carried
from solvers.krylov.result import KrylovStop, Reason

__all__ = ["CGRun"]

# Steps without a new smallest residual after which CG will not arrive.
_PATIENCE = 1000
# Growth of the square residual that no matrix of condition below 1e12 causes.
_DIVERGED = 1e12
# Curvature below this, relative to the matrix, is that of a null vector.
_NULL = 1e-12
# How often the part of the residual in U, which rounding brings back, is looked at, and how much
# of it is left alone.
_LOOK, _DRIFT = 10, 1e-10


@final
class CGRun:
    """Vectors and scalars of CG from one true residual on.

    Parameters
    ----------
    solve : the running solve
    held : recycle space with energy-orthonormal U; may be empty
    r : true residual, orthogonal to U; becomes the residual by recurrence
    goal : norm of the recurrence's residual at which to end
    window : takes the Lanczos vectors, if wanted
    """

    def __init__(
        self, solve: Solve, held: Carried, r: Vector, goal: float, window: LanczosWindow | None
    ) -> None:
        self._r, self._goal = r, goal
        self._solve, self._held, self._window = solve, held, window
        n = len(r)
        self._z, self._s = np.empty(n), np.empty(n)
        self._p, self._q = np.zeros(n), np.zeros(n)
        self._buffer = np.empty(2 * held.size + 3)
        self._gamma, self._alpha = 0.0, 1.0
        self._first, self._best, self._patience = np.inf, np.inf, _PATIENCE

    def iterate(self) -> Reason:
        """Iterate until the recurrence meets the tolerance, or cannot go on.

        Returns
        -------
        Reason
            CONVERGED if the true residual is worth a look; else why CG cannot go on.

        Raises
        ------
        KrylovStop
            If NaN or infinity appears.
        """
        solve, first = self._solve, True
        while True:
            mu, part, gamma, energy, rr = self._measure(solve.iterations % _LOOK == _LOOK - 1)
            if not first:
                solve.record(float(np.sqrt(rr)))
                if rr <= self._goal**2:
                    return Reason.CONVERGED
            reason = self._refuse(rr, gamma) or self._advance(mu, gamma, energy)
            if reason is not None:
                return reason
            self._undrift(part)
            first = False
            solve.iterations += 1

    def _measure(self, look: bool) -> tuple[Vector, Vector, float, float, float]:
        """Precondition, multiply, reduce: mu, U^T r (if looked at), r^T z, z^T A z, r^T r."""
        solve, held, r, z, s = self._solve, self._held, self._r, self._z, self._s
        solve.operator.precondition(r, z)
        solve.operator.apply(z, s)
        k = held.size
        end = 3 + k * (1 + look)
        sums = self._buffer[:end]
        sums[0], sums[1], sums[2] = r @ z, z @ s, r @ r
        if k:
            np.dot(held.C, z, out=sums[3 : 3 + k])
            if look:
                np.dot(held.U, r, out=sums[3 + k :])
        solve.reducer.sum(sums)
        solve.inner_reductions += 1
        if not np.isfinite(sums).all():
            raise KrylovStop(Reason.NOT_FINITE)
        return sums[3 : 3 + k], sums[3 + k :], float(sums[0]), float(sums[1]), float(sums[2])

    def _refuse(self, rr: float, gamma: float) -> Reason | None:
        """Return a reason not to take another step, if there is one."""
        solve = self._solve
        if solve.iterations >= solve.tolerance.max_it:
            return Reason.ITERATION_LIMIT
        if gamma <= 0.0:
            return Reason.INDEFINITE_PRECONDITIONER
        self._patience = _PATIENCE if rr < self._best else self._patience - 1
        self._best = min(self._best, rr)
        self._first = rr if np.isinf(self._first) else self._first
        if self._patience < 0 or rr > _DIVERGED * self._first:
            reason = self._check_curvature()
            return Reason.STAGNATION if reason is Reason.CONVERGED else reason
        return None

    def _advance(self, mu: Vector, gamma: float, energy: float) -> Reason | None:
        """Take one step of Chronopoulos and Gear's form."""
        solve, held, p, q = self._solve, self._held, self._p, self._q
        beta = gamma / self._gamma if self._gamma else 0.0
        delta = energy - float(mu @ mu)
        curvature = delta - beta * gamma / self._alpha
        for direction, block, new in ((p, held.U, self._z), (q, held.C, self._s)):
            subtract(direction, mu, block, beta, 1.0)
            direction += new
        if curvature <= 0.0:
            return self._check_curvature()
        alpha = gamma / curvature
        if self._window is not None:
            coupling = -np.sqrt(beta) / self._alpha
            self._window.add(self._z, self._s, gamma, delta, coupling, mu)
        if len(p):  # BLAS wrappers refuse empty vectors; a rank may own no rows
            blas.daxpy(p, solve.x, a=alpha)
            blas.daxpy(q, self._r, a=-alpha)
        self._gamma, self._alpha = gamma, alpha
        return None

    def _check_curvature(self) -> Reason:
        """Measure p^T A p: rounding in the recurrence is not indefiniteness."""
        solve = self._solve
        solve.operator.apply(self._p, self._q)
        p, q = self._p, self._q
        (sums,) = solve.reducer.sums(np.array([p @ q, p @ p, q @ q]))
        if not np.isfinite(sums).all():
            raise KrylovStop(Reason.NOT_FINITE)
        size = solve.operator.norm() or float(np.sqrt(sums[2] / sums[1]))
        if abs(sums[0]) <= _NULL * size * sums[1]:
            return Reason.SINGULAR
        return Reason.INDEFINITE if sums[0] < 0.0 else Reason.CONVERGED

    def _undrift(self, part: Vector) -> None:
        """Take out of the residual what rounding brought back into U."""
        if not len(part) or np.abs(part).max() <= _DRIFT * np.sqrt(self._gamma):
            return
        subtract(self._solve.x, -part, self._held.U)
        subtract(self._r, part, self._held.C)
