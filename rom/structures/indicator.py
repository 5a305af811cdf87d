r"""An error indicator for reduced structures: the residual of a gappy fit, calibrated.

With R, which part of the law's values at the points no mode of the field can explain
(`rom.gappy`), and E, the true relative error of the reconstructed field,

.. math:: \eta = \exp(a + b \log R + q), \qquad b \ge 0.

The pairs (R, E) come from trajectories that the model of the pair had not seen. The split is by
trajectory, each in its turn: what a line through the pairs of all others leaves over at its own
pairs goes into the conformal quantile q (of half of the trajectories a line says too little when
there are few). The level that is asked for holds for pairs distributed like those of the
calibration; pairs of one trajectory depend on each other, so that few trajectories say little
however many steps they have. So the part of each trajectory's pairs that lies below an indicator of
all others is told too. Pairs that enrichment adds were chosen where errors are large: they take
part in the fit only. Steps at which nothing has flowed yet, R = 0, say nothing and are left out.

The residual as an indicator follows Casenave and Akkari (2019), "An error indicator-based adaptive
reduced order model for nonlinear structural mechanics", doi:10.3390/mca24020041; this calibration
is our own, with the cross-conformal quantile of Barber, Candès, Ramdas, Tibshirani (2021),
doi:10.1214/20-AOS1965.
"""

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["StepPairs", "StructureIndicator", "calibrate_structure"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Logarithms of what is smaller are taken here.
_LEAST = 1e-15
_FEWEST = 2
# Residuals up to this are rounding: the field is still zero.
_NOTHING = 1e-10
# Steeper than in proportion promises too much below the smallest R that was seen.
_STEEPEST = 1.0


@final
@dataclass(frozen=True, eq=False)
class StepPairs:
    """Steps of trajectories that were left out.

    Attributes
    ----------
    residuals
        R, (k,).
    errors
        E, (k,).
    trajectories
        Number of the trajectory of each, (k,); -1 for steps that enrichment chose.
    """

    residuals: _Floats
    errors: _Floats
    trajectories: _Ints

    @classmethod
    def joined(cls, *parts: "StepPairs") -> "StepPairs":
        """Return all pairs of some parts."""
        return cls(
            np.concatenate([part.residuals for part in parts]),
            np.concatenate([part.errors for part in parts]),
            np.concatenate([part.trajectories for part in parts]),
        )

    def of(self, chosen: NDArray[np.bool_]) -> "StepPairs":
        """Return some of the pairs."""
        return StepPairs(self.residuals[chosen], self.errors[chosen], self.trajectories[chosen])


@final
@dataclass(frozen=True, eq=False)
class StructureIndicator:
    """See the module.

    Attributes
    ----------
    name
        Of the field.
    size
        Largest norm in L2 of the field in the training: smaller ones count relative to a hundredth
        of it.
    intercept, slope, quantile
        a, b and q.
    least
        The smallest R of the fit: below it, eta does not fall.
    level
        That was asked for.
    reached
        That the number of pairs allows.
    covered
        Part of the pairs below an indicator of the other trajectories alone.
    pairs
        That it was made from.
    """

    name: str
    size: float
    intercept: float
    slope: float
    quantile: float
    least: float
    level: float
    reached: float
    covered: float
    pairs: StepPairs

    def __call__(self, residual: float) -> float:
        """Return eta for R; infinite for an R that is."""
        if not np.isfinite(residual):
            return math.inf
        log = math.log(max(residual, self.least))
        return math.exp(min(self.intercept + self.slope * log + self.quantile, 300.0))

    def with_pair(self, residual: float, error: float) -> "StructureIndicator":
        """Return the indicator that knows the pair of an enriched step too."""
        if not (np.isfinite(residual) and np.isfinite(error)):
            return self
        new = StepPairs(np.array([residual]), np.array([error]), np.array([-1]))
        return calibrate_structure(
            self.name, self.size, StepPairs.joined(self.pairs, new), self.level
        )


def calibrate_structure(
    name: str, size: float, pairs: StepPairs, level: float = 0.95
) -> StructureIndicator:
    """Return the indicator of pairs.

    Parameters
    ----------
    name, size
        Of the field, see `StructureIndicator`.
    pairs
        Of at least two trajectories that were left out and in which something happens.
    level
        The probability with which errors shall be below it, in (0, 1).

    Raises
    ------
    UserError
        If there are too few trajectories, or the level is out of its range.
    """
    pairs = pairs.of(pairs.residuals > _NOTHING)
    numbers = np.unique(pairs.trajectories[pairs.trajectories >= 0])
    if len(numbers) < _FEWEST or not 0 < level < 1:
        raise UserError(
            f"Expected steps at which the {name.replace('_', ' ')} is not zero in at least "
            f"{_FEWEST} trajectories that were left out, and a level between 0 and 1; received "
            f"{len(numbers)} such trajectories and the level {level}. Compute more trajectories "
            "with larger loads, or take another field for the indicator."
        )
    made = _made(name, size, pairs, level)
    return replace(made, covered=_covered(name, size, pairs, level, numbers))


def _made(name: str, size: float, pairs: StepPairs, level: float) -> StructureIndicator:
    a, b = _line(pairs)
    quantile, reached = _quantile(_left_over(pairs), level)
    least = float(pairs.residuals.min())
    return StructureIndicator(name, size, a, b, quantile, least, level, reached, math.nan, pairs)


def _left_over(pairs: StepPairs) -> _Floats:
    """Return what lines through all other trajectories leave over at the pairs of each."""
    numbers = np.unique(pairs.trajectories[pairs.trajectories >= 0])
    found = []
    for number in numbers:
        own = pairs.trajectories == number
        # One trajectory alone, only while coverage is measured: its own line.
        a, b = _line(pairs.of(~own) if len(numbers) > 1 else pairs)
        held = pairs.of(own)
        found.append(_logs(held.errors) - a - b * _logs(held.residuals))
    return np.concatenate(found)


def _covered(
    name: str, size: float, pairs: StepPairs, level: float, numbers: _Ints
) -> float:  # fmt: skip
    below = []
    for number in numbers:
        own = pairs.trajectories == number
        others = _made(name, size, pairs.of(~own), level)
        held = pairs.of(own)
        eta = np.array([others(float(residual)) for residual in held.residuals])
        below.append(held.errors <= eta)
    return float(np.concatenate(below).mean())


def _line(pairs: StepPairs) -> tuple[float, float]:
    """Return intercept and bounded slope of least squares."""
    x, y = _logs(pairs.residuals), _logs(pairs.errors)
    away = x - x.mean()
    square = float(away @ away)
    slope = float(away @ y) / square if square > 0 else 0.0
    slope = min(max(slope, 0.0), _STEEPEST)
    return float(y.mean() - slope * x.mean()), slope


def _quantile(left: _Floats, level: float) -> tuple[float, float]:
    """Return the conformal quantile and the level that it holds for."""
    n = len(left)
    place = math.ceil((n + 1) * level - 1e-12)
    reached = level if place <= n else n / (n + 1)
    return float(np.sort(left)[min(place, n) - 1]), reached


def _logs(values: _Floats) -> _Floats:
    return np.asarray(np.log(np.maximum(values, _LEAST)))
