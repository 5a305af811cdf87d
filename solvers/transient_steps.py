"""Equal time steps that meet all output times: one matrix serves them all. No PETSc here."""

import math
from dataclasses import dataclass
from typing import final

from infra.errors import UserError
from solvers.settings import TimeSettings

__all__ = ["EqualSteps", "equal_steps"]

# Rounding must not turn n equal steps into n + 1.
_SLACK = 1e-9
# The first output time is met by dividing the output interval into up to so many times the steps.
_FINER = 8
# A number of steps that is this near to a whole one is whole.
_WHOLE = 1e-6


@final
@dataclass(frozen=True)
class EqualSteps:
    """A time step, and the steps that end at the output times.

    Attributes
    ----------
    step : length of every step, s
    frames : for each output time the number of steps until then; 0 for t = 0
    """

    step: float
    frames: tuple[int, ...]

    @property
    def total(self) -> int:
        """Number of steps until the last output time."""
        return self.frames[-1]


def equal_steps(settings: TimeSettings) -> EqualSteps:
    """Return the longest step up to ``settings.step`` that divides all output intervals.

    Parameters
    ----------
    settings : output times and a fixed step

    Raises
    ------
    UserError
        For adaptive steps, or if no step of about that length meets the first output time too.
    """
    if settings.step is None:
        raise UserError(
            "step: expected a fixed step, for all steps of a linear problem have one matrix, "
            f"received cfl = {settings.cfl}. Give time.step instead of time.cfl."
        )
    if settings.frames == 1:
        total = _least(settings.end, settings.step)
        return EqualSteps(settings.end / total, (total,))
    gap = (settings.end - settings.start) / (settings.frames - 1)
    least = _least(gap, settings.step)
    for per_frame in range(least, _FINER * least + 1):
        first = settings.start * per_frame / gap
        if abs(first - round(first)) <= _WHOLE:
            frames = (round(first) + per_frame * frame for frame in range(settings.frames))
            return EqualSteps(gap / per_frame, tuple(frames))
    raise UserError(
        f"time.start: expected 0, or a time that is met by the steps between the output times "
        f"(step = {settings.step:g} s, output interval = {gap:g} s), received "
        f"{settings.start:g} s. Choose a multiple of the output interval."
    )


def _least(interval: float, step: float) -> int:
    """Return the least number of steps that divide an interval and are no longer than `step`."""
    return max(1, math.ceil(interval / step * (1 - _SLACK)))
