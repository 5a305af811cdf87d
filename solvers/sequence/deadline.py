r"""When an iteration with a budget is given up.

It is late when the budget is spent, and hopeless when it will be late even if it goes on four times
faster than so far. With the part f of the budget spent and the logarithm of the residual on the
part p of its way,

.. math:: p = \frac{\log (r_0 / \min_i r_i)}{\log (r_0 / r_{goal})}, \qquad
   f + \frac{1}{4} (1 - p) \frac{f - f_1}{p - p_1} > 1,

where the index 1 stands for the first look, so that cold caches do not count (ours). Conjugate
gradients gain speed, but hardly as much. A trial that was a bad idea then costs a fraction of its
budget.
"""

import time
from math import inf, log
from typing import Any, final

__all__ = ["Deadline"]

# Iterations between looks at the clock: rank 0 decides for all.
_LOOK = 4
# The part of the budget after which hope is judged, and by how much an iteration may gain speed.
_EARLY, _FASTER = 0.2, 4.0


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
        self._begun: tuple[float, float] | None = None  # budget spent and way done at first

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
        spent = self._spent()
        given_up = spent > 1.0 or self._hopeless(iteration, spent, goal)
        return bool(self._comm.bcast(given_up)) if self._comm.size > 1 else given_up

    def _spent(self) -> float:
        """Return the part of the budget that is spent."""
        return (time.perf_counter() - self._began) / max(self._budget or 0.0, 1e-300)

    def _hopeless(self, iteration: int, spent: float, goal: float) -> bool:
        """Return whether even a faster iteration would be late."""
        if not 0 < goal < self._first or not self._best > 0:
            return False
        way = log(self._first / self._best) / log(self._first / goal)
        if self._begun is None and iteration:
            self._begun = spent, way
            return False
        if self._begun is None or spent < _EARLY:
            return False
        pace = (spent - self._begun[0]) / max(way - self._begun[1], 1e-12)
        return spent + (1.0 - way) * pace / _FASTER > 1.0
