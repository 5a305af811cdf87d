r"""What every regressor of trajectories is: a map from parameters and times to coefficients.

Letters: m trajectories, d inputs, T output times of the training, r coefficients, q queries, k
queried times. Inputs are unit coordinates, as for `rom.regression.regressor`. All trajectories
have the same output times; between them predictions are smooth in time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from infra.errors import StoreError, UserError
from infra.records import Json
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats, State, entry, part
from rom.regression.training_set import canonical_order, require_finite

__all__ = ["Outlook", "TimeRegressor", "Watch", "Watched"]


@final
@dataclass(frozen=True, eq=False)
class Outlook:
    """Predictions, and what is said about them at some output times.

    Attributes
    ----------
    values
        Coefficients (q, k, r) at the times that were asked for; none of them: (q, 0, r).
    own
        The same at o output times, (q, o, r).
    variances
        Sum of the predictive variances of all coefficients at these, (q, o); None if the method
        gives none.
    """

    values: Floats
    own: Floats
    variances: Floats | None


@final
@dataclass(frozen=True, eq=False)
class Watched:
    r"""Predictions, and two sums over output times with weights w.

    Attributes
    ----------
    values
        Coefficients (q, k, r) at the times that were asked for.
    above
        :math:`\sum_t w_t \sum_i s_i(t)^2` of the predictive deviations s, (q,); None if the
        method gives none.
    below
        :math:`\sum_t w_t \, (|a(t)|^2 + 2 g^T a(t))`, (q,).
    """

    values: Floats
    above: Floats | None
    below: Floats


# Inputs (q, d) and times (k,) to what is watched there.
type Watch = Callable[[Floats, Floats], Watched]


class TimeRegressor(ABC):
    """A regressor of trajectories; a subclass has a `name`, its `Settings`, and private methods.

    Laws of all kinds: those of `Regressor`; and a prediction at one time does not depend on the
    other times that are asked for.

    Parameters
    ----------
    settings
        Of the method.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[RegressorSettings]]

    def __init__(self, settings: RegressorSettings) -> None:
        self.settings = settings
        self._times: Floats = np.zeros(0)
        self._sizes = (0, 0)
        self._learnt: State = ({}, {})

    @property
    def fitted(self) -> bool:
        """Whether it can predict."""
        return len(self._times) > 0

    @property
    def times(self) -> Floats:
        """The output times of the training, (T,), in their unit; predictions stay between them."""
        return self._times

    @property
    def n_inputs(self) -> int:
        """The number d of inputs; 0 before the fit."""
        return self._sizes[0]

    @property
    def n_outputs(self) -> int:
        """The number r of coefficients; 0 before the fit."""
        return self._sizes[1]

    @final
    def fit(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> Self:
        """Return a regressor that has learnt from trajectories.

        Parameters
        ----------
        x
            Inputs in unit coordinates, (m, d).
        times
            Output times, (T,), increasing.
        y
            Coefficients, (m, T, r).
        rng
            Source of all random choices.

        Raises
        ------
        UserError
            If shapes do not fit, values are not finite, or there are too few trajectories or
            times.
        """
        x, times, y = _checked(x, times, y)
        return self._with(x, times, y, self._learn(x, times, y, rng))

    @final
    def refit(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> Self:
        """Return a regressor with the chosen settings of this fit, learnt from other trajectories.

        Parameters
        ----------
        x, times, y, rng
            As for `fit`, with the same numbers of inputs and coefficients and the same times.

        Raises
        ------
        UserError
            As for `fit`, or if sizes or times are others.
        """
        if not self.fitted:
            return self.fit(x, times, y, rng)
        x, times, y = _checked(x, times, y)
        if (x.shape[1], y.shape[2]) != self._sizes or not np.array_equal(times, self._times):
            raise UserError(
                f"Expected {self.n_inputs} inputs, {self.n_outputs} coefficients and the "
                f"{len(self._times)} times of the fit; received {x.shape[1]}, {y.shape[2]} and "
                f"{len(times)} times. Call fit instead."
            )
        return self._with(x, times, y, self._relearn(x, times, y, rng))

    @final
    def predict(self, x: Floats, times: Floats) -> Floats:
        """Return the coefficients (q, k, r) at inputs (q, d) and times (k,).

        Raises
        ------
        UserError
            If it is not fitted, shapes do not fit, values are not finite or times lie outside
            those of the training.
        """
        return self._evaluate(*self._queries(x, times))

    @final
    def jacobian(self, x: Floats, times: Floats) -> Floats:
        """Return the derivatives (q, k, r, d) of the coefficients by the unit coordinates.

        Raises
        ------
        UserError
            As for `predict`.
        """
        return self._slope(*self._queries(x, times))

    @final
    def deviation(self, x: Floats, times: Floats) -> Floats | None:
        """Return the predictive standard deviation (q, k, r), or None if the method gives none.

        Raises
        ------
        UserError
            As for `predict`.
        """
        return self._spread(*self._queries(x, times))

    @final
    def outlook(self, x: Floats, times: Floats, places: NDArray[np.int64]) -> Outlook:
        """Return predictions and what is said about them, at the cost of one where that can be.

        Parameters
        ----------
        x, times
            As for `predict`.
        places
            Of o of the output times among all, (o,).

        Raises
        ------
        UserError
            As for `predict`.
        """
        return self._look(*self._queries(x, times), places)

    @final
    def watch(self, places: NDArray[np.int64], weights: Floats, slope: Floats) -> Watch:
        """Return a function that predicts as `predict` does, with two sums for an indicator.

        What can be prepared for any number of calls is.

        Parameters
        ----------
        places
            Of o of the output times among all, (o,).
        weights
            w of these, (o,).
        slope
            g, (r,).
        """
        self._require_fitted()
        function = self._watch(places, weights, slope)
        return lambda x, times: function(*self._queries(x, times))

    @final
    def state(self) -> State:
        """Return arrays and JSON from which `from_state` makes a regressor of the same bits.

        Raises
        ------
        UserError
            If it is not fitted.
        """
        self._require_fitted()
        arrays, text = self._learnt
        described: dict[str, Json] = {
            "kind": self.name,
            "settings": self.settings.model_dump(mode="json"),
            "sizes": list(self._sizes),
            "fit": dict(text),
        }
        kept = {"times": self._times, **{f"fit.{name}": array for name, array in arrays.items()}}
        return {name: np.array(array) for name, array in kept.items()}, described

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
                f"{text.get('kind')!r}. Use `time_regressor_from_state`, which looks at the kind."
            )
        try:
            self = cls(cls.Settings.model_validate(entry(text, "settings")))
            sizes = text["sizes"]
            d, r = (int(str(size)) for size in (sizes if isinstance(sizes, list) else ()))
            self._sizes = (d, r)
            self._times = np.array(arrays["times"], dtype=np.float64)
            self._take((part("fit", arrays), entry(text, "fit")))
        except (KeyError, ValueError, IndexError, ValidationError) as error:
            raise StoreError(
                f"Expected the state of a regressor {cls.name!r}; an entry is missing or does not "
                f"fit: {error}. The folder is damaged or of another version: build the model again."
            ) from error
        return self

    # What a method gives ---------------------------------------------------------------------

    @abstractmethod
    def _learn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:
        """Return what a fit yields; the object itself stays as it is."""

    def _relearn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:
        """Return what a fit yields that keeps what was chosen before."""
        return self._learn(x, times, y, rng)

    @abstractmethod
    def _install(self, arrays: Arrays, text: Mapping[str, Json]) -> None:
        """Take what a fit yields: what predictions need is derived from it alone."""

    @abstractmethod
    def _evaluate(self, x: Floats, times: Floats) -> Floats:
        """Return coefficients (q, k, r)."""

    @abstractmethod
    def _slope(self, x: Floats, times: Floats) -> Floats:
        """Return derivatives (q, k, r, d)."""

    def _spread(self, x: Floats, times: Floats) -> Floats | None:  # noqa: ARG002
        """Return standard deviations (q, k, r), or None."""
        return None

    def _look(self, x: Floats, times: Floats, places: NDArray[np.int64]) -> Outlook:
        own = self._times[places]
        deviation = self._spread(x, own)
        variances = None if deviation is None else np.vecdot(deviation, deviation)
        return Outlook(self._evaluate(x, times), self._evaluate(x, own), variances)

    def _watch(self, places: NDArray[np.int64], weights: Floats, slope: Floats) -> Watch:
        def watched(x: Floats, times: Floats) -> Watched:
            found = self._look(x, times, places)
            above = None if found.variances is None else found.variances @ weights
            below = np.vecdot(found.own, found.own + 2 * slope) @ weights
            return Watched(found.values, above, below)

        return watched

    # What this class does with it ------------------------------------------------------------

    def _with(self, x: Floats, times: Floats, y: Floats, learnt: State) -> Self:
        fitted = copy(self)
        fitted._sizes, fitted._times = (x.shape[1], y.shape[2]), times
        fitted._take(learnt)
        return fitted

    def _take(self, learnt: State) -> None:
        arrays = {name: np.ascontiguousarray(array) for name, array in learnt[0].items()}
        for array in (*arrays.values(), self._times):
            array.flags.writeable = False
        self._learnt = (arrays, learnt[1])
        self._install(arrays, learnt[1])

    def _require_fitted(self) -> None:
        if not self.fitted:
            raise UserError(
                f"Expected a fitted regressor; this {self.name!r} has seen no trajectories. Call "
                "fit, and use what it returns."
            )

    def _queries(self, x: Floats, times: Floats) -> tuple[Floats, Floats]:
        self._require_fitted()
        x, times = np.asarray(x, dtype=np.float64), np.asarray(times, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.n_inputs or times.ndim != 1:
            raise UserError(
                f"Expected inputs of shape (q, {self.n_inputs}) and times of shape (k,); received "
                f"{x.shape} and {times.shape}. Give one row per query."
            )
        if not np.isfinite(x).all():
            raise UserError("Expected finite inputs; received NaN or infinite ones. Check them.")
        first, last = self._times[0], self._times[-1]
        if times is not self._times and not ((times >= first) & (times <= last)).all():
            raise UserError(
                f"Expected times between {first:g} and {last:g}, those of the training; received "
                f"{times.min():g} to {times.max():g}. Ask within, or train on longer trajectories."
            )
        return x, times


def _checked(x: Floats, times: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the arguments of a fit, trajectories in canonical order."""
    x, times, y = (np.array(a, dtype=np.float64) for a in (x, times, y))
    fits = x.ndim == 2 and y.ndim == 3 and y.shape[:2] == (len(x), times.size) and times.ndim == 1
    if not fits or not x.size or not y.size:
        raise UserError(
            "Expected inputs (m, d), times (T,) and coefficients (m, T, r), none of them empty; "
            f"received {x.shape}, {times.shape} and {y.shape}. Give one row per trajectory."
        )
    require_finite("inputs", x)
    require_finite("coefficients", y)
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UserError("Expected finite, increasing output times; received others. Sort them.")
    x += 0.0  # -0.0 and 0.0 are the same input
    order = canonical_order(x, y.reshape(len(y), -1))
    return x[order], times, y[order]
