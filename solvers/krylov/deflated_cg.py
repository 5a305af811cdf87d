r"""Deflated preconditioned conjugate gradients with one global reduction per step.

With a recycle space :math:`U^T A U = I`, each preconditioned residual loses its part in U before
it becomes a direction:

.. math:: u = z - U\mu, \quad \mu = (AU)^T z, \quad w = A z - (AU)\mu,
   \quad u^T A u = z^T A z - \mu^T \mu .

As :math:`U^T r = 0`, the Chronopoulos-Gear form takes :math:`\mu`, :math:`r^T z`,
:math:`z^T A z` and :math:`r^T r` from one reduction. Sources: Saad, Yeung, Erhel and Guyomarc'h
(2000), doi:10.1137/S1064829598339761 (deflated CG); Chronopoulos and Gear (1989),
doi:10.1016/0377-0427(89)90045-9 (one reduction).
"""

from typing import final

import numpy as np

from solvers.krylov.blocks import Vector, subtract
from solvers.krylov.cg_run import CGRun
from solvers.krylov.lanczos_window import LanczosWindow
from solvers.krylov.method import RecyclingMethod, Solve
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.refresh import Carried, energy_normal
from solvers.krylov.result import Reason
from solvers.krylov.staleness import Gate

__all__ = ["DeflatedCG"]

# Restarts from the true residual; each gains orders of magnitude unless rounding is in the way.
_STARTS = 10
# Ritz values that move less than this, relatively, leave the space as it is.
_SETTLED = 0.02


@final
class DeflatedCG(RecyclingMethod):
    """Deflated CG(window, k).

    Parameters
    ----------
    size : recycled vectors k; 0 makes it plain preconditioned CG
    window : Lanczos vectors held to find new Ritz vectors; raised to what k needs at least
    staleness : largest sine of a principal angle by which a recycled direction's image may have
        turned (see `Gate`)
    overrun : a solve without a recycle space goes on until this fraction of the tolerance: a sixth
        more iterations, whose Ritz vectors save about half as many in each of the next solves
    """

    def __init__(
        self, size: int = 20, window: int = 60, staleness: float = 1.0, overrun: float = 0.01
    ) -> None:
        self.size, self.window = size, max(window, LanczosWindow.shortest(size))
        self._gate, self._overrun = Gate(staleness), overrun

    def run(self, solve: Solve) -> Reason:
        """Iterate over starts from the true residual; there is a second one only exceptionally."""
        r = solve.begin()
        held = self._install(solve)
        harvest = self.size > 0 and not (solve.same and solve.space.settled)
        for start in range(_STARTS):
            reason = self._start(solve, held, r, harvest and start == 0)
            if reason is not None:
                return reason
            solve.refuse_round_off()
        return Reason.STAGNATION

    def _start(self, solve: Solve, held: Carried, r: Vector, harvest: bool) -> Reason | None:
        """Run from a true residual; return a reason unless another start may help."""
        solve.cycles += 1
        _deflate(solve, held, r)
        window = None
        if harvest:
            window = LanczosWindow(solve.operator, self.window, self.size, held.size)
        goal = solve.target * (self._overrun if harvest and not held.size else 1.0)
        reason = CGRun(solve, held, r, goal, window).iterate()
        if window is not None and window.count:
            self._leave(solve, held, window)
        solve.operator.residual(solve.b, solve.x, r)
        (rr,) = solve.reducer.sums(np.atleast_1d(r @ r))
        if not np.isfinite(rr[0]):
            return Reason.NOT_FINITE
        if solve.confirm(float(np.sqrt(rr[0]))):
            return Reason.CONVERGED
        return None if reason is Reason.CONVERGED else reason

    def _install(self, solve: Solve) -> Carried:
        """Carry the recycle space over to this matrix."""
        space = solve.space if self.size else RecycleSpace.empty(len(solve.b))
        if not space.size:
            none = np.empty((0, len(solve.b)))
            return Carried(none, none, none, 0.0, 0, 0, np.empty((0, 0)))
        held = energy_normal(solve.operator, solve.reducer, space, solve.same, self._gate)
        solve.stale, solve.recycle_products = held.stale, held.products
        settled = solve.same and space.settled
        solve.space = RecycleSpace(held.U.T, held.C.T, held.T.T, held.age, settled, "energy")
        return held

    def _leave(self, solve: Solve, held: Carried, window: LanczosWindow) -> None:
        """Make the next recycle space from the window of the first run."""
        U, C, values = window.ritz(held, solve.reducer)
        # U has unit energy, so that the mass of each vector is one over its Ritz value.
        before = np.trace(held.mass) if held.size == len(values) else 0.0
        now = float((1.0 / values).sum())
        settled = bool(abs(now - before) <= _SETTLED * now)
        # A Ritz vector has A u = theta M u but for its residual.
        T = C / values[:, None]
        solve.space = RecycleSpace(U.T, C.T, T.T, held.age, settled, "energy")


def _deflate(solve: Solve, held: Carried, r: Vector) -> None:
    """Solve in the recycle space, so that the residual has no part in it."""
    if held.size:
        (part,) = solve.reducer.sums(held.U @ r)
        subtract(solve.x, -part, held.U)
        subtract(r, part, held.C)
