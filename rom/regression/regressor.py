r"""What every regressor is: a map from parameters to coefficients, learnt from samples.

Letters: m samples, d inputs, r outputs, q queries. Inputs are unit coordinates: the parameter box
is [0, 1]^d (`solvers.parameters.ParameterSpace.to_unit`, logarithmic where the study says so).
Outputs have any units; inside they are standardised (`rom.regression.training_set`). A regressor
never changes: `fit` and `refit` return a new one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from infra.errors import StoreError, UserError
from infra.records import Json
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats, State, entry, nest, part
from rom.regression.training_set import TrainingSet

__all__ = ["Regressor"]

# Queries that are computed at once: their work arrays stay in the cache.
_BLOCK = 256


class Regressor(ABC):
    """A regressor; a subclass has a `name`, its `Settings`, and the private methods below.

    Laws of all kinds: the order of the samples does not matter; a query does not depend on the
    others of its batch; equal generators give equal fits; a constant output is predicted exactly;
    a regressor from its state predicts the same bits.

    Parameters
    ----------
    settings
        Of the method.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[RegressorSettings]]

    def __init__(self, settings: RegressorSettings) -> None:
        self.settings = settings
        self._mean: Floats = np.zeros(0)
        self._scale: Floats = np.zeros(0)
        self._n_inputs = 0
        self._learnt: Arrays = {}

    @property
    def fitted(self) -> bool:
        """Whether it can predict."""
        return self._n_inputs > 0

    @property
    def n_inputs(self) -> int:
        """The number d of inputs; 0 before the fit."""
        return self._n_inputs

    @property
    def n_outputs(self) -> int:
        """The number r of outputs; 0 before the fit."""
        return len(self._scale)

    @final
    def fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Self:
        """Return a regressor that has learnt from samples.

        Parameters
        ----------
        x
            Inputs in unit coordinates, (m, d).
        y
            Outputs, (m, r).
        rng
            Source of all random choices.

        Raises
        ------
        UserError
            If shapes do not fit, values are not finite or there are too few points.
        """
        data = TrainingSet.of(x, y, self._fewest(np.shape(x)[-1] if np.ndim(x) else 0))
        return self._with(data, self._learn(data, rng))

    @final
    def refit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Self:
        """Return a regressor with the chosen settings of this fit, learnt from other samples.

        Where a fit searches for hyperparameters, these are kept: that is cheap, and what
        leaving out samples or adding one needs. Other methods are fitted anew.

        Parameters
        ----------
        x, y, rng
            As for `fit`, with the same numbers of columns.

        Raises
        ------
        UserError
            As for `fit`, or if columns were added or left out.
        """
        if not self.fitted:
            return self.fit(x, y, rng)
        data = TrainingSet.of(x, y, self._fewest(self._n_inputs))
        if (data.x.shape[1], data.y.shape[1]) != (self.n_inputs, self.n_outputs):
            raise UserError(
                f"Expected {self.n_inputs} inputs and {self.n_outputs} outputs, as fitted; "
                f"received {data.x.shape[1]} and {data.y.shape[1]}. Call fit instead."
            )
        return self._with(data, self._relearn(data, rng))

    @final
    def predict(self, x: Floats) -> Floats:
        """Return the outputs (q, r) at inputs (q, d); inputs outside [0, 1] extrapolate.

        Raises
        ------
        UserError
            If it is not fitted, the shape does not fit or values are not finite.
        """
        x = self._queries(x)
        result = self._in_blocks(self._evaluate, x)
        result *= self._scale
        result += self._mean
        return result

    @final
    def jacobian(self, x: Floats) -> Floats:
        """Return the derivatives (q, r, d) of the outputs by the unit coordinates at (q, d).

        Raises
        ------
        UserError
            As for `predict`.
        """
        x = self._queries(x)
        return self._in_blocks(self._slope, x) * self._scale[:, np.newaxis]

    @final
    def deviation(self, x: Floats) -> Floats | None:
        """Return the predictive standard deviation (q, r) at (q, d), in the units of the outputs.

        None if the method gives none.

        Raises
        ------
        UserError
            As for `predict`.
        """
        x = self._queries(x)
        if not self._has_deviation():
            return None
        return self._in_blocks(self._spread, x) * self._scale

    @final
    def predict_with_deviation(self, x: Floats) -> tuple[Floats, Floats | None]:
        """Return what `predict` and `deviation` return, at the cost of one where that can be.

        Raises
        ------
        UserError
            As for `predict`.
        """
        if not self._has_deviation():
            return self.predict(x), None
        x = self._queries(x)
        if len(x) <= _BLOCK:
            mean, deviation = self._evaluate_and_spread(x)
        else:
            starts = range(0, len(x), _BLOCK)
            blocks = [self._evaluate_and_spread(x[start : start + _BLOCK]) for start in starts]
            mean, deviation = map(np.concatenate, zip(*blocks, strict=True))
        return mean * self._scale + self._mean, deviation * self._scale

    @final
    def state(self) -> State:
        """Return arrays and JSON from which `from_state` makes a regressor of the same bits.

        Raises
        ------
        UserError
            If it is not fitted.
        """
        self._require_fitted()
        arrays = {"mean": self._mean, "scale": self._scale, **nest("fit", self._learnt)}
        text: dict[str, Json] = {
            "kind": self.name,
            "settings": self.settings.model_dump(mode="json"),
            "inputs": self._n_inputs,
        }
        return {name: np.array(array) for name, array in arrays.items()}, text

    @final
    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Json]) -> Self:
        """Return the regressor of a state of this kind.

        Raises
        ------
        StoreError
            If the state is of another kind, or entries are missing or do not fit.
        """
        if text.get("kind") != cls.name:
            raise StoreError(
                f"Expected the state of the regressor {cls.name!r}; received that of "
                f"{text.get('kind')!r}. Use `regressor_from_state`, which looks at the kind."
            )
        try:
            self = cls(cls.Settings.model_validate(entry(text, "settings")))
            self._mean = np.array(arrays["mean"], dtype=np.float64)
            self._scale = np.array(arrays["scale"], dtype=np.float64)
            self._n_inputs = int(str(text["inputs"]))
            self._take(part("fit", arrays))
        except (KeyError, ValueError, IndexError, ValidationError) as error:
            raise StoreError(
                f"Expected the state of a regressor {cls.name!r}; an entry is missing or does not "
                f"fit: {error}. The folder is damaged or of another version: build the model again."
            ) from error
        return self

    # What a method gives ---------------------------------------------------------------------

    @abstractmethod
    def _fewest(self, n_inputs: int) -> int:
        """Return how many distinct points a fit needs at least."""

    @abstractmethod
    def _learn(self, data: TrainingSet, rng: np.random.Generator) -> Arrays:
        """Return the arrays that a fit yields; the object itself stays as it is."""

    def _relearn(self, data: TrainingSet, rng: np.random.Generator) -> Arrays:
        """Return the arrays of a fit that keeps what was chosen before."""
        return self._learn(data, rng)

    @abstractmethod
    def _install(self, learnt: Arrays) -> None:
        """Take the arrays of a fit: what predictions need is derived from them alone."""

    @abstractmethod
    def _evaluate(self, x: Floats) -> Floats:
        """Return new standardised outputs (q, r)."""

    @abstractmethod
    def _slope(self, x: Floats) -> Floats:
        """Return derivatives (q, r, d) of the standardised outputs."""

    def _has_deviation(self) -> bool:
        """Return whether `_spread` can be called."""
        return False

    def _spread(self, x: Floats) -> Floats:
        """Return standard deviations (q, r) of the standardised outputs."""
        raise NotImplementedError

    def _evaluate_and_spread(self, x: Floats) -> tuple[Floats, Floats]:
        """Return both; a method whose two computations share something does it once."""
        return self._evaluate(x), self._spread(x)

    # What this class does with it ------------------------------------------------------------

    def _with(self, data: TrainingSet, learnt: Arrays) -> Self:
        fitted = copy(self)
        fitted._mean, fitted._scale = data.mean, data.scale
        fitted._n_inputs = data.x.shape[1]
        fitted._take(learnt)
        return fitted

    def _take(self, learnt: Arrays) -> None:
        self._learnt = {name: np.ascontiguousarray(array) for name, array in learnt.items()}
        for array in self._learnt.values():
            array.flags.writeable = False
        self._install(self._learnt)

    def _require_fitted(self) -> None:
        if not self.fitted:
            raise UserError(
                f"Expected a fitted regressor; this {self.name!r} has seen no samples. Call fit, "
                "and use what it returns."
            )

    def _queries(self, x: Floats) -> Floats:
        self._require_fitted()
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self._n_inputs:
            raise UserError(
                f"Expected inputs of shape (q, {self._n_inputs}), one row per query; received "
                f"{x.shape}. Give the same parameters as in the fit."
            )
        if not np.isfinite(x).all():
            raise UserError("Expected finite inputs; received NaN or infinite ones. Check them.")
        return x

    def _in_blocks(self, function: Callable[[Floats], Floats], x: Floats) -> Floats:
        if len(x) <= _BLOCK:
            return function(x)
        blocks = [function(x[start : start + _BLOCK]) for start in range(0, len(x), _BLOCK)]
        return np.concatenate(blocks)
