"""Newton's method for many independent scalar equations at once, kept inside brackets.

Only the equations that have not converged are evaluated again. A step that leaves its bracket, or
that follows one that did not halve the residual, is replaced by a bisection (the idea of Press et
al., 1992, rtsafe), so that every equation converges.
"""

from collections.abc import Callable

import numpy as np

from solvers.laws.flow_tangent import Points
from solvers.mesh import FloatArray, IntArray

__all__ = ["Equations", "bracketed_newton"]

# Residuals and their derivatives (both (k,)) at x (k,) for the equations of these numbers (k,), or
# for all of them.
type Equations = Callable[[FloatArray, Points], tuple[FloatArray, FloatArray]]

# A bracket as narrow as its rounding errors is an answer.
_NARROW = 4.0 * float(np.finfo(np.float64).eps)


def bracketed_newton(
    equations: Equations,
    start: FloatArray,
    bracket: tuple[FloatArray, FloatArray],
    tolerance: FloatArray,
    limit: int,
) -> tuple[FloatArray, int, IntArray]:
    """Solve m equations whose residual is positive left and negative right of the root.

    Parameters
    ----------
    equations : residual and derivative
    start : (m,) inside the brackets
    bracket : ends (m,) and (m,); the residual is not negative at the first, not positive at the
        second
    tolerance : (m,) on the residual
    limit : most iterations

    Returns
    -------
    root : (m,)
    iterations : of the slowest equation
    failed : numbers of the equations that did not converge within `limit`
    """
    x, low, high = start.copy(), bracket[0].copy(), bracket[1].copy()
    last = np.full(len(x), np.inf)
    pending = np.arange(len(x), dtype=np.int64)
    for iteration in range(1, limit + 1):
        which: Points = slice(None) if len(pending) == len(x) else pending
        here = x[which]
        value, slope = equations(here, which)
        size = np.abs(value)
        low[which] = np.where(value > 0.0, here, low[which])
        high[which] = np.where(value > 0.0, high[which], here)
        ends = low[which], high[which]
        # NaN, which is in no bracket, where there is no such step.
        newton = np.full_like(here, np.nan)
        np.divide(value, slope, out=newton, where=slope < 0.0)
        newton = here - newton
        fine = (newton > ends[0]) & (newton < ends[1]) & (size <= 0.5 * last[which])
        last[which] = size
        left = (size > tolerance[which]) & (ends[1] - ends[0] > _NARROW * np.abs(ends[1]))
        moved = np.where(fine, newton, 0.5 * (ends[0] + ends[1]))[left]
        pending = pending[left]
        if not len(pending):
            return x, iteration, pending
        x[pending] = moved
    return x, limit, pending
