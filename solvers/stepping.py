r"""Time steps that meet the output times and respect the Courant number.

The Courant number of a step is :math:`\Delta t \max |J^{-1} w|_\infty`, the part of a cell's edge
that the convecting velocity crosses. A fixed step is the largest one that divides the output
interval; an adaptive one keeps the Courant number near a target, and is kept constant while it
stays in a band below it, because equal steps keep the matrices and the initial guesses good. No
step is more than `MAX_RATIO` times the last one.
"""

import math
from typing import final

from solvers.bdf import MAX_RATIO
from solvers.errors import StepError
from solvers.settings import TimeSettings

__all__ = ["StepControl"]

# An adaptive step is kept while its Courant number is between this part of the target and it.
_KEEP = 0.7
# First adaptive step as a part of the one that meets the target: it is of first order only.
_FIRST = 0.1
# First adaptive step of a flow at rest, as a part of the first output interval.
_FROM_REST = 1e-3
# Smallest step as a part of the whole time.
_SMALLEST = 1e-7
# Rounding must not turn n equal steps into n + 1.
_SLACK = 1e-9


@final
class StepControl:
    """Choose the next step from the time, the next output time and the last Courant number.

    Parameters
    ----------
    settings : step or cfl, and the limit
    """

    def __init__(self, settings: TimeSettings) -> None:
        self._settings = settings

    def next_step(self, time: float, target: float, previous: float | None, rate: float) -> float:
        """Return a step that divides what remains until the output time `target`, seconds.

        Parameters
        ----------
        time, target : present time and the next output time, s
        previous : the last step, or None, s
        rate : Courant number over step of the last step (before the first: of the start), 1/s

        Raises
        ------
        StepError
            If an adaptive step falls below its minimum.
        """
        remaining = target - time
        if self._settings.step is None:
            wanted = self._adaptive(previous, rate, remaining)
        else:
            # A first output time close to the start makes short steps: from there they grow.
            wanted = min(self._settings.step, MAX_RATIO * (previous or math.inf))
        step = remaining / max(1, math.ceil(remaining / wanted * (1 - _SLACK)))
        if self._settings.step is None and step < _SMALLEST * self._settings.end:
            raise StepError(
                f"the adaptive step fell to {step:.3g} s at t = {time:.6g} s: expected at least "
                f"{_SMALLEST:g} of the end time. The velocity grows without bound, or the mesh "
                "has a much too small cell: check the parameters, or raise time.cfl."
            )
        return step

    def check(self, time: float, courant: float) -> None:
        """Refuse a step whose Courant number is above the limit, or not a number.

        Raises
        ------
        StepError
        """
        limit = self._settings.courant_limit
        if courant <= limit:
            return
        advice = "time.step" if self._settings.step is not None else "time.cfl"
        raise StepError(
            f"Courant number {courant:.3g} at t = {time:.6g} s: expected at most {limit:g} "
            f"(time.courant_limit). Reduce {advice}, or use a coarser mesh."
        )

    def _adaptive(self, previous: float | None, rate: float, remaining: float) -> float:
        """Return the step that the Courant number asks for, whatever the output times are."""
        cfl = self._settings.cfl or 0.0
        if previous is None:
            if rate > 0:
                return _FIRST * min(cfl / rate, remaining)
            # At rest the flow says nothing yet: the steps begin small, and grow.
            return max(_FROM_REST * remaining, 2 * _SMALLEST * self._settings.end)
        best = cfl / rate if rate > 0 else math.inf
        if _KEEP * cfl <= previous * rate <= cfl:
            return previous
        # The middle of the band, so that the step is not changed again at once.
        return min(0.5 * (1 + _KEEP) * best, MAX_RATIO * previous)
