"""Indicator and trained range of a model, for queries in unit coordinates."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.regression.time_regressor import TimeRegressor
from rom.trust.domain import Place, TrainedRange
from rom.trust.indicator import ErrorIndicator
from rom.trust.statistic import Offset, Statistic

__all__ = ["Judgement", "Trust"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Judgement:
    """What is said about queries: `eta`, shape (q,), and their `place`."""

    eta: _Floats
    place: Place


@final
class Trust:
    """Judges queries.

    Parameters
    ----------
    regressor
        Of the coefficients.
    indicator
        Calibrated with the first m of the range's points.
    trained
        The range; it may hold points that came after the calibration.
    offset
        For norms.
    """

    def __init__(
        self,
        regressor: TimeRegressor,
        indicator: ErrorIndicator,
        trained: TrainedRange,
        offset: Offset,
    ) -> None:
        self._regressor, self._indicator = regressor, indicator
        self._square = offset.square
        self._calibrated = len(indicator.fit.residuals)
        self._statistic = statistic = Statistic(regressor.times)
        self._watch = regressor.watch(statistic.places, statistic.weights, offset.slope)
        self.trained = trained

    def judge(self, u: _Floats) -> Judgement:
        """Return what is said about queries u, (q, d), in unit coordinates."""
        return self.predict(u, np.zeros(0))[1]

    def predict(self, u: _Floats, times: _Floats) -> tuple[_Floats, Judgement]:
        """Return coefficients (q, k, r) at queries u (q, d) and times (k,), and what is said."""
        place = self.trained.place(u)
        squares_to = place.squares[:, : self._calibrated]
        if not self._indicator.with_statistic:
            values = self._regressor.predict(u, times)
            return values, Judgement(self._indicator(None, place.distance, squares_to), place)
        found, ratio = self._watch(u, times), None
        if found.above is not None:
            ratio = self._statistic.ratio(found.above, found.below + self._square)
        return found.values, Judgement(self._indicator(ratio, place.distance, squares_to), place)
