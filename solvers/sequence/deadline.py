r"""When an iteration with a budget is given up.

It is late when the budget is spent, and hopeless when it can hardly be met: with the part f of the
budget spent and the logarithm of the residual on the part p of its way,

.. math:: p = \frac{\log (r_0 / \min_i r_i)}{\log (r_0 / r_{goal})} < f / 3 .

A convergence that gains speed, as that of conjugate gradients, may still be up to three times
slower in the beginning (ours). A trial that was a bad idea then costs a fraction of its budget.
"""

import time
from math import inf, log
from typing import Any, final

__all__ = ["Deadline"]

# Iterations between looks at the clock: rank 0 decides for all.
_LOOK = 4
# The part of the budget after which hope is judged, and how far it may lag behind the clock.
_EARLY, _BEHIND = 0.2, 3.0


@final
class Deadline:
    """The end of one iteration's budget.

    Parameters
    ----------
    comm : communicator (mpi4py)
    budget : seconds from now on, None for no limit
    """

    def __init__(self, comm: Any, budget: float | None) -> None:
        self._comm, self._budget = comm, budget
        self._began = time.perf_counter()
        self._first, self._best = 0.0, inf

    def passed(self, iteration: int, norm: float, goal: float = 0.0) -> bool:
        """Return whether to give up; collective every few iterations, equal on all ranks.

        Parameters
        ----------
        iteration : number of steps so far
        norm, goal : the residual's norm, and the one at which the iteration ends; zero if hope is
            not to be judged
        """
        if self._budget is None:
            return False
        self._first = self._first or norm
        self._best = min(self._best, norm)
        if iteration % _LOOK:
            return False
        given_up = self._spent() > self._fair(goal)
        return bool(self._comm.bcast(given_up)) if self._comm.size > 1 else given_up

    def _spent(self) -> float:
        """Return the part of the budget that is spent."""
        return (time.perf_counter() - self._began) / max(self._budget or 0.0, 1e-300)

    def _fair(self, goal: float) -> float:
        """Return the part of the budget that may be spent by now."""
        if not 0 < goal < self._first or not self._best > 0:
            return 1.0
        way = log(self._first / self._best) / log(self._first / goal)
        return min(1.0, max(_EARLY, _BEHIND * way))
