"""Coefficients of laws as functions of temperature, and the checks of their values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from infra.errors import UserError
from solvers.mesh import FloatArray

__all__ = ["Bounds", "Table", "require"]


@final
@dataclass(frozen=True)
class Table:
    """A coefficient: linear between its temperatures, constant outside them.

    Attributes
    ----------
    temperatures : ascending, degrees Celsius; one of them makes a constant
    values : one per temperature, in the unit of the coefficient

    Raises
    ------
    UserError
        If the lengths differ, the temperatures do not ascend, or a number is not finite.
    """

    temperatures: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or len(self.temperatures) != len(self.values):
            raise UserError(
                "table: expected as many values as temperatures, at least one, received "
                f"{len(self.values)} values and {len(self.temperatures)} temperatures"
            )
        if not np.isfinite([*self.temperatures, *self.values]).all():
            raise UserError(
                f"table: expected finite numbers, received temperatures {self.temperatures} and "
                f"values {self.values}"
            )
        if (np.diff(self.temperatures) <= 0).any():
            raise UserError(
                f"table: expected ascending temperatures, received {self.temperatures}; sort the "
                "table and keep one value per temperature"
            )

    @classmethod
    def constant(cls, value: float) -> Self:
        """Return the table of a coefficient that does not depend on temperature."""
        return cls((0.0,), (float(value),))

    @classmethod
    def of(cls, temperatures: Sequence[float], values: Sequence[float]) -> Self:
        """Return the table of two sequences of numbers."""
        return cls(tuple(map(float, temperatures)), tuple(map(float, values)))

    @property
    def is_constant(self) -> bool:
        """Whether one value holds at all temperatures."""
        return min(self.values) == max(self.values)

    def at(self, temperature: FloatArray) -> FloatArray:
        """Return the coefficient (n,) at temperatures (n,), degrees Celsius."""
        if len(self.values) == 1:
            return np.full(np.shape(temperature), self.values[0])
        return np.asarray(np.interp(temperature, self.temperatures, self.values))

    def once(self, temperature: FloatArray) -> FloatArray:
        """Return the coefficient as `at` does, but (1,) if it is constant: cheaper to compute with.

        It broadcasts against arrays of the points.
        """
        return np.array(self.values[:1]) if self.is_constant else self.at(temperature)


@final
@dataclass(frozen=True)
class Bounds:
    """What a coefficient may be; `text` says it to the user, for example ``"> 0"``."""

    text: str
    low: float = -np.inf
    high: float = np.inf
    low_included: bool = False

    def hold(self, value: float) -> bool:
        """Tell whether a value is allowed; an infinite bound is never reached."""
        above = value >= self.low if self.low_included else value > self.low
        return above and value < self.high


def require(owner: str, name: str, table: Table, bounds: Bounds) -> None:
    """Check all values of a coefficient.

    Between the temperatures of a table it is linear, so that the bounds hold there too.

    Parameters
    ----------
    owner, name : of the law and of its coefficient, for the message
    table : the coefficient
    bounds : what it may be

    Raises
    ------
    UserError
        If a value is outside; the message names the coefficient.
    """
    wrong = [value for value in table.values if not bounds.hold(value)]
    if wrong:
        raise UserError(
            f"{owner}: coefficient {name}: expected {bounds.text}, received "
            f"{', '.join(f'{value:g}' for value in wrong)}; correct this entry of the law"
        )
