r"""Schedules of the learning rate: a factor for each step, from counts and never from the clock.

With u the units gone by (steps, or samples drawn) after the warm-up, and U the budget in them:

.. math::
   f_{\text{constant}} = 1, \qquad f_{\text{halving}} = 2^{-\lfloor u / m \rfloor}, \qquad
   f_{\text{cosine}} = c + (1 - c)\,\tfrac12 \left(1 + \cos \pi \min(1, u / U)\right).

The total is not known while simulations run, so the cosine takes the planned budget; if more
steps come, the rate stays at its floor. Cosine: Loshchilov and Hutter (2017), arXiv 1608.03983,
without restarts.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from surrogates.settings import ScheduleSettings

__all__ = ["Constant", "Cosine", "Halving", "Schedule", "Warmup", "make_schedule"]


class Schedule(ABC):
    """The learning rate's factor."""

    @abstractmethod
    def factor(self, units: float) -> float:
        """Return the factor, 0 to 1, of the next step after so many units."""


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The rate does not change."""

    def factor(self, units: float) -> float:  # noqa: ARG002 (the interface has it)
        """Return 1."""
        return 1.0


@final
@dataclass(frozen=True)
class Halving(Schedule):
    """The rate is halved after every `every` units.

    Attributes
    ----------
    every : period, units
    """

    every: int

    def factor(self, units: float) -> float:
        """Return two to the minus number of whole periods."""
        return math.ldexp(1.0, -int(units // self.every))


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """The rate falls along half a cosine, to `floor` at the end of the budget.

    Attributes
    ----------
    total : budget, units
    floor : last factor
    """

    total: float
    floor: float = 0.0

    def factor(self, units: float) -> float:
        """Return the cosine's value; the floor after the end of the budget."""
        part = min(1.0, units / self.total) if self.total > 0 else 1.0
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * part))


@final
@dataclass(frozen=True)
class Warmup(Schedule):
    """The rate rises linearly first, and then follows another schedule.

    Attributes
    ----------
    units : length of the rise; the first step has the factor 1 / (units + 1)
    then : the schedule after it, whose count begins there
    """

    units: int
    then: Schedule

    def factor(self, units: float) -> float:
        """Return the rising factor, or the other schedule's."""
        if units < self.units:
            return (units + 1.0) / (self.units + 1.0) * self.then.factor(0.0)
        return self.then.factor(units - self.units)


def make_schedule(settings: ScheduleSettings, steps: int, batch: int) -> Schedule:
    """Return the schedule of these settings.

    Parameters
    ----------
    settings : kind and lengths
    steps : planned steps of the training
    batch : samples of a step
    """
    total = steps * (batch if settings.unit == "samples" else 1)
    after = max(total - settings.warmup, 0)
    schedule: Schedule
    if settings.kind == "halving":
        assert settings.every is not None, "checked by the settings"
        schedule = Halving(settings.every)
    elif settings.kind == "cosine":
        schedule = Cosine(after, settings.floor)
    else:
        schedule = Constant()
    return Warmup(settings.warmup, schedule) if settings.warmup else schedule
