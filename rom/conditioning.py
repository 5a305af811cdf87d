r"""How the trust of a model changes when points are added whose solutions are not known yet.

The deviation of a Gaussian process depends on where its points are, not on their values: it is
fitted again with the predictions of the model in place of the solutions, with the same
hyperparameters. So each point of a batch is chosen knowing those before it.
"""

from abc import ABC, abstractmethod
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from rom.reduced_model import ReducedModel
from rom.trust.domain import TrainedRange
from rom.trust.trust import Trust

__all__ = ["Indicator", "ModelIndicator"]

type _Floats = NDArray[np.float64]


class Indicator(ABC):
    """Estimates errors at points of the unit cube."""

    @property
    @abstractmethod
    def points(self) -> _Floats:
        """The points that are known or asked for already, (m, d)."""

    @abstractmethod
    def eta(self, u: _Floats) -> _Floats:
        """Return the indicator at points u (q, d), shape (q,)."""

    @abstractmethod
    def given(self, u: _Floats) -> Self:
        """Return the indicator as it will be about when points u (k, d) are known too."""


@final
class ModelIndicator(Indicator):
    """The indicator of a reduced model.

    Parameters
    ----------
    model
        The model.
    rng
        For regressors that draw numbers.
    """

    def __init__(self, model: ReducedModel, rng: np.random.Generator) -> None:
        parts = model.parts
        self._model, self._rng = model, rng
        self._regressor = parts.regressor
        self._points = parts.points
        self._coefficients: _Floats = np.asarray(parts.coefficients, np.float64)
        self._trust = model.trust

    @property
    def points(self) -> _Floats:
        """The points that are known or asked for already, (m, d)."""
        return self._points

    def eta(self, u: _Floats) -> _Floats:
        """Return the indicator at points u (q, d), shape (q,)."""
        return self._trust.judge(u).eta

    def given(self, u: _Floats) -> "ModelIndicator":
        """Return the indicator as it will be about when points u (k, d) are known too."""
        other = ModelIndicator(self._model, self._rng)
        times = self._regressor.times
        guess = self._regressor.predict(u, times)
        other._points = np.concatenate([self._points, u])
        other._coefficients = np.concatenate([self._coefficients, guess])
        other._regressor = self._regressor.refit(
            other._points, times, other._coefficients, self._rng
        )
        parts, factor = self._model.parts, self._model.card.trust.range_factor
        trained = TrainedRange(other._points, factor)
        other._trust = Trust(other._regressor, parts.indicator, trained, parts.offset)
        return other
