r"""Autoregressive regression of trajectories by operator inference.

One step between successive output times is a polynomial of the coefficients and the parameters
(`rom.regression.quadratic_step`), fitted to all steps of all samples with a searched
regularisation (`rom.regression.operator_fit`). The first state is a function of the parameters,
which a regressor learns. Between output times, predictions are cubic splines.

It suits problems whose coefficients depend on time through their own past only: autonomous
equations, with forces that do not change. The output times must be equidistant. Working on the
steps themselves needs no time derivatives, which coarse output would give badly.

References
----------
B. Peherstorfer, K. Willcox: Data-driven operator inference for nonintrusive projection-based model
reduction. CMAME 306 (2016), doi:10.1016/j.cma.2016.03.025.
S. A. McQuarrie, C. Huang, K. E. Willcox: J. R. Soc. N. Z. 51 (2021),
doi:10.1080/03036758.2020.1863237.
"""

from collections.abc import Mapping
from typing import final

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat
from scipy.interpolate import make_interp_spline

from infra.errors import UserError
from infra.records import Json
from rom.regression.operator_fit import OperatorSearch
from rom.regression.quadratic_step import StepForm
from rom.regression.registry import make_regressor, regressor_from_state
from rom.regression.regressor import Regressor
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats, State, entry, nest, part
from rom.regression.time_regressor import TimeRegressor

__all__ = ["OperatorInference", "OperatorInferenceSettings"]

# Output times may deviate this much, relative to their distance, from being equidistant.
_EQUIDISTANT = 1e-6


@final
class OperatorInferenceSettings(RegressorSettings):
    """Settings of `OperatorInference`.

    Attributes
    ----------
    quadratic
        Whether a step has products of coefficients.
    constant_degree, linear_degree
        Degree of the parameters before the constant and before the linear terms.
    weights, ratios
        To choose from: weights of the regularisation of the linear terms, and how many times
        larger that of the quadratic terms is.
    folds
        Groups of samples that are left out in turn to choose.
    growth
        Trajectories beyond this multiple of the largest coefficient of the data are refused.
    horizon
        How long they must stay below that, as a multiple of the time of the data.
    regressor, options
        Name and settings of the regressor of the first state.
    """

    quadratic: bool = True
    constant_degree: NonNegativeInt = 2
    linear_degree: NonNegativeInt = 2
    weights: tuple[PositiveFloat, ...] = Field(
        (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), min_length=1
    )
    ratios: tuple[PositiveFloat, ...] = Field((1.0, 1e2, 1e4, 1e6), min_length=1)
    folds: int = Field(5, ge=2)
    growth: float = Field(3.0, ge=1.0)
    horizon: float = Field(1.5, ge=1.0)
    regressor: str = "gp"
    options: dict[str, Json] = Field(default_factory=dict)


@final
class OperatorInference(TimeRegressor):
    """Autoregressive model, quadratic in the coefficients and affine in functions of mu.

    Parameters
    ----------
    settings
        By default `OperatorInferenceSettings()`.

    Raises
    ------
    UserError
        If the regressor is unknown or its options are wrong.
    """

    name = "operator-inference"
    Settings = OperatorInferenceSettings
    settings: OperatorInferenceSettings

    def __init__(self, settings: OperatorInferenceSettings | None = None) -> None:
        super().__init__(settings or OperatorInferenceSettings())
        self._chosen = (0.0, 0.0, float("nan"))
        self._regressor = make_regressor(self.settings.regressor, self.settings.options)

    @property
    def error(self) -> float:
        """Mean relative error of trajectories that were left out, from their true first states."""
        return self._chosen[2]

    @property
    def regularisation(self) -> tuple[float, float]:
        """The chosen weight of the linear terms, and the ratio of the quadratic ones to it."""
        return self._chosen[:2]

    def _learn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:
        _require_steps(x, times)
        first = self._regressor.fit(x, y[:, 0], rng)
        ratios = self.settings.ratios if self.settings.quadratic else (1.0,)
        return self._fit(x, y, first, self.settings.weights, ratios)

    def _relearn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:
        _require_steps(x, times)
        first = self._regressor.refit(x, y[:, 0], rng)
        weight, ratio = self.regularisation
        return self._fit(x, y, first, (weight,), (ratio,))

    def _fit(
        self,
        x: Floats,
        y: Floats,
        first: Regressor,
        weights: tuple[float, ...],
        ratios: tuple[float, ...],
    ) -> State:
        scale = float(np.sqrt(np.mean(y**2))) or 1.0
        s = self.settings
        search = OperatorSearch(self._form(x.shape[1], y.shape[2]), s.folds, s.growth, s.horizon)
        found = search.run(x, y / scale, weights, ratios)
        arrays, text = first.state()
        own = {
            "operators": found.operators,
            "scale": np.array([scale]),
            "chosen": np.array([found.weight, found.ratio, found.error]),
        }
        return {**own, **nest("regressor", arrays)}, {"regressor": text}

    def _form(self, n_inputs: int, n_outputs: int) -> StepForm:
        s = self.settings
        return StepForm(
            n_inputs, n_outputs, s.constant_degree, s.linear_degree, quadratic=s.quadratic
        )

    def _install(self, arrays: Arrays, text: Mapping[str, Json]) -> None:
        self._regressor = regressor_from_state(part("regressor", arrays), entry(text, "regressor"))
        self._step = self._form(self.n_inputs, self.n_outputs).step(arrays["operators"])
        self._scale = float(arrays["scale"][0])
        weight, ratio, error = arrays["chosen"]
        self._chosen = (float(weight), float(ratio), float(error))
        n_times = len(self._times)
        # Interpolation is linear in the states: a matrix from output times to any times.
        self._between = make_interp_spline(self._times, np.eye(n_times), min(3, n_times - 1))

    def _evaluate(self, x: Floats, times: Floats) -> Floats:
        result: Floats = self._between(times) @ self._states(x)
        result *= self._scale
        return result

    def _states(self, x: Floats) -> Floats:
        start = self._regressor.predict(x) / self._scale
        states = self._step.trajectories(x, start, len(self._times))
        if not np.isfinite(states).all():
            raise UserError(
                "Expected trajectories that stay bounded; at least one of these parameters leads "
                "to infinite coefficients. Ask within the range of the training, train on more "
                "samples, or choose the regressor `time-modes`."
            )
        return states

    def _slope(self, x: Floats, times: Floats) -> Floats:
        start = self._regressor.jacobian(x) / self._scale
        slopes = self._step.sensitivities(x, self._states(x), start)
        result: Floats = np.einsum("kt,qtrd->qkrd", self._between(times), slopes) * self._scale
        return result


def _require_steps(x: Floats, times: Floats) -> None:
    if len(x) < 2 or len(times) < 3:
        raise UserError(
            f"Expected at least 2 trajectories of 3 output times to learn a step from; received "
            f"{len(x)} of {len(times)}. Add samples or output times."
        )
    distances = np.diff(times)
    if np.abs(distances - distances.mean()).max() > _EQUIDISTANT * distances.mean():
        raise UserError(
            f"Expected equidistant output times for an autoregressive model; their distances vary "
            f"from {distances.min():g} to {distances.max():g}. Choose the regressor `time-modes`."
        )
