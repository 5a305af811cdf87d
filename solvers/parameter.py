"""One parameter: its name, bounds, unit and measure, and the text form of narrower bounds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, field_validator

from infra.errors import UserError
from solvers.scales import SCALES, Scale, normal_mass

__all__ = ["Interval", "Parameter", "Restriction"]

# Rounding would show in the values of a normal parameter with less.
_LEAST_MASS = 1e-9


@final
class Interval(BaseModel):
    """The text form of a narrower range: ``{low: 1.0, high: 2.0}``, in the parameter's unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: FiniteFloat
    high: FiniteFloat

    @field_validator("low", "high", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: object) -> object:
        # Otherwise YAML's `yes` would silently become 1.0.
        if isinstance(value, bool):
            raise ValueError("expected a number, received a truth value")
        return value


type Restriction = float | Interval | Mapping[str, float]


@final
@dataclass(frozen=True)
class Parameter:
    """A named number with hard bounds; equal bounds mean that it is fixed.

    Attributes
    ----------
    name : a Python identifier
    low, high : bounds, included, in `unit`
    unit : for example ``"m s-1"``; ``"1"`` if dimensionless
    description : what it is, for catalogues and forms
    scale : the measure in which samplers spread it: ``"linear"``, ``"log"`` or ``"normal"``

    Raises
    ------
    UserError
        If a field is impossible; the message names every such field.
    """

    name: str
    low: float
    high: float
    unit: str
    description: str
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        problems = [text for wrong, text in self._rules() if wrong]
        if problems:
            listed = "\n".join(f"  - {text}" for text in problems)
            raise UserError(f"parameter {self.name!r} is impossible:\n{listed}")

    @property
    def fixed(self) -> bool:
        """Whether the bounds leave one value only."""
        return self.low == self.high

    @property
    def range_text(self) -> str:
        """The bounds as errors show them, for example ``[0.5, 2.0] m``."""
        return f"[{self.low}, {self.high}]" + ("" if self.unit == "1" else f" {self.unit}")

    def restricted(self, to: Restriction) -> Self:
        """Return the parameter with narrower bounds, or fixed if `to` is a number.

        Raises
        ------
        UserError
            If `to` is no number or interval, or leaves the present bounds.
        """
        interval = self._parsed(to)
        if not self.low <= interval.low <= interval.high <= self.high:
            raise UserError(
                f"{self.name}: expected low <= high inside {self.range_text}, "
                f"received [{interval.low}, {interval.high}]; choose a range inside these bounds"
            )
        return replace(self, low=interval.low, high=interval.high)

    def problem_with(self, value: object) -> str | None:
        """Say what is wrong with `value`, or return None if it is inside the bounds."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            kind = "a number in"
        elif self.low <= value <= self.high:  # false for NaN and infinities too
            return None
        else:
            kind = "a value in"
        return f"{self.name}: expected {kind} {self.range_text}, received {value!r}"

    @property
    def _mass(self) -> float:
        return float(normal_mass(np.array(self.low), np.array(self.high)))

    def _parsed(self, to: Restriction) -> Interval:
        if isinstance(to, Interval):
            return to
        form = to if isinstance(to, Mapping) else {"low": to, "high": to}
        try:
            return Interval.model_validate(form)
        except ValidationError as error:
            raise UserError(
                f"{self.name}: expected a finite number or {{low, high}} inside "
                f"{self.range_text}, received {to!r}"
            ) from error

    def _rules(self) -> list[tuple[bool, str]]:
        log, bounds = self.scale == "log", f"received [{self.low}, {self.high}]"
        span = self.high / self.low if log and self.low > 0 else 1.0
        return [
            (not self.name.isidentifier(), "name: expected letters, digits and underscores"),
            (not self.unit.strip(), 'unit: expected a unit, or "1" if dimensionless'),
            (
                self.scale not in SCALES,
                f"scale: expected linear, log or normal, {self.scale!r}",
            ),
            # An infinite or NaN bound makes the width one too, and so does an overflow.
            (not math.isfinite(self.high - self.low), f"expected a finite range, {bounds}"),
            (self.low > self.high, f"expected low <= high, {bounds}"),
            (log and self.low <= 0, f"scale log: expected low > 0, {bounds}"),
            (not math.isfinite(span), f"scale log: expected a finite high / low, {bounds}"),
            (
                self.scale == "normal" and self.low < self.high and self._mass < _LEAST_MASS,
                f"scale normal: expected bounds near zero, with a probability of at least "
                f"{_LEAST_MASS:g} between them, {bounds}",
            ),
        ]
