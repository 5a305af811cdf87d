"""Statistics of sets of numbers, merged without going through their values again.

Two sets A and B of numbers are merged by

    n = n_A + n_B,   d = m_B - m_A,
    m = m_A + d n_B / n,
    M = M_A + M_B + d^2 n_A n_B / n,

where m is the mean and M the sum of squared deviations from it. The sum of squares itself is
never formed, so nothing cancels when the mean is large against the deviation.

Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance: analysis and
recommendations", The American Statistician 37 (1983), 242-247, doi:10.1080/00031305.1983.10483115.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from pydantic import ConfigDict

__all__ = ["NOTHING", "ArrayStatistics", "merge", "statistics_of"]


@final
@dataclass(frozen=True)
class ArrayStatistics:
    """Statistics of a set of numbers; all of the unit of the array.

    Attributes
    ----------
    count
        How many numbers; without any, all others are NaN.
    mean
        Arithmetic mean.
    squares
        Sum of squared deviations from the mean (square of the unit).
    minimum, maximum
        Extremes.
    """

    # As the records that keep it: JSON has no NaN.
    __pydantic_config__ = ConfigDict(extra="forbid", ser_json_inf_nan="strings")
    count: int
    mean: float
    squares: float
    minimum: float
    maximum: float

    @property
    def std(self) -> float:
        """Standard deviation of the whole population: ``sqrt(squares / count)``."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan

    @property
    def rms(self) -> float:
        """Root mean square: ``sqrt(mean^2 + squares / count)``."""
        return math.sqrt(self.mean**2 + self.squares / self.count) if self.count else math.nan

    def to_dict(self) -> dict[str, float]:
        """Return count, mean, std, min, max and rms by these names."""
        return {
            "count": self.count,
            "mean": self.mean,
            "std": self.std,
            "min": self.minimum,
            "max": self.maximum,
            "rms": self.rms,
        }


NOTHING = ArrayStatistics(0, math.nan, 0.0, math.nan, math.nan)


def statistics_of(values: np.ndarray) -> ArrayStatistics:
    """Return the statistics of one array.

    Parameters
    ----------
    values
        Any shape; summed in double precision.

    Returns
    -------
    ArrayStatistics
        Over all values that are not NaN. NaN marks what does not exist, for example the force
        before the first step: it must not hide all the numbers that do.
    """
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        return NOTHING
    mean = float(numbers.mean())
    squares = float(np.square(numbers - mean).sum())
    return ArrayStatistics(numbers.size, mean, squares, float(numbers.min()), float(numbers.max()))


def merge(left: ArrayStatistics, right: ArrayStatistics) -> ArrayStatistics:
    """Return the statistics of two sets together, see the module's formula."""
    if not (left.count and right.count):
        return left if left.count else right
    count = left.count + right.count
    shift = right.mean - left.mean
    return ArrayStatistics(
        count,
        left.mean + shift * right.count / count,
        left.squares + right.squares + shift**2 * left.count * right.count / count,
        min(left.minimum, right.minimum),
        max(left.maximum, right.maximum),
    )
