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
        self._offset = offset
        self._calibrated = len(indicator.fit.residuals)
        self._statistic = Statistic(regressor.times)
        self.trained = trained

    def judge(self, u: _Floats, known: tuple[_Floats, _Floats] | None = None) -> Judgement:
        """Return what is said about queries u, (q, d).

        Parameters
        ----------
        u
            Unit coordinates.
        known
            Times and coefficients (q, T, r) that were predicted already; they are used if the
            times are the right ones.
        """
        place = self.trained.place(u)
        statistic = None
        if self._indicator.with_statistic:
            squares = self._offset.squares(self._coefficients(u, known))
            statistic = self._statistic.of(self._regressor, u, squares)
        squares_to = place.squares[:, : self._calibrated]
        return Judgement(self._indicator(statistic, place.distance, squares_to), place)

    def _coefficients(self, u: _Floats, known: tuple[_Floats, _Floats] | None) -> _Floats:
        own = self._statistic
        if known is not None and known[0] is self._regressor.times:
            return known[1] if len(own.times) == len(known[0]) else known[1][:, own.places]
        return self._regressor.predict(u, own.times)
