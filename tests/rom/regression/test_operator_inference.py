"""Operator inference: it finds the step that made the data, and refuses what is unstable."""

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from rom.operator_inference import OperatorInference, OperatorInferenceSettings
from rom.regression.operator_fit import OperatorSearch
from rom.regression.quadratic_step import QuadraticStep, StepForm

type Floats = NDArray[np.float64]

X = np.random.default_rng(0).random((12, 2))


def form(*, quadratic: bool = True) -> StepForm:
    return StepForm(2, 2, 1, 1, quadratic=quadratic)


@pytest.fixture
def step() -> QuadraticStep:
    """Return a stable step: a damped rotation with a force and weak products."""
    operators = np.zeros((form().n_features, 2))
    operators[0] = [0.1, 0.02]
    operators[1] = [0.05, 0.0]
    operators[3:5] = [[-0.2, 0.3], [-0.3, -0.2]]
    operators[5:7] = [[-0.1, 0.0], [0.0, -0.1]]
    operators[9:] = [[0.02, 0.0], [-0.03, 0.01], [0.0, 0.02]]
    return form().step(operators)


def search(*, growth: float = 3.0, horizon: float = 1.5) -> OperatorSearch:
    return OperatorSearch(form(), 3, growth, horizon)


def test_features_times_operators_is_the_step(rng: np.random.Generator) -> None:
    terms = StepForm(2, 3, 2, 1, quadratic=True)
    operators, a = rng.normal(size=(terms.n_features, 3)), rng.normal(size=(12, 3))
    assert terms.features(X, a).shape == (12, terms.n_features)
    moved = terms.step(operators).trajectories(X, a, 2)
    np.testing.assert_array_equal(moved[:, 0], a)
    np.testing.assert_allclose(moved[:, 1], a + terms.features(X, a) @ operators, atol=1e-12)


def test_the_step_that_made_the_data_is_found(
    step: QuadraticStep, rng: np.random.Generator
) -> None:
    a = step.trajectories(X, rng.normal(size=(12, 2)), 15)
    found = search().run(X, a, (1e-10, 1e-2, 1.0), (1.0,))
    assert found.weight == 1e-10
    assert found.error < 1e-6
    starts = rng.normal(size=(12, 2))
    again = form().step(found.operators).trajectories(X[::-1], starts, 30)
    np.testing.assert_allclose(again, step.trajectories(X[::-1], starts, 30), atol=1e-5)


def test_weights_grow_with_the_noise(step: QuadraticStep, rng: np.random.Generator) -> None:
    a = step.trajectories(X, 0.3 * rng.normal(size=(12, 2)), 15)
    weights, ratios = (1e-10, 1e-4, 1e-2, 1e-1), (1.0, 1e2)
    noisy = a + 0.1 * rng.normal(size=a.shape)
    found = search().run(X, noisy, weights, ratios)
    assert found.weight * found.ratio > 1e-4
    assert found.error > 1e-3


def test_the_sensitivity_is_the_derivative(step: QuadraticStep, rng: np.random.Generator) -> None:
    slope = rng.normal(size=(12, 2, 2))
    start = rng.normal(size=(12, 2))
    states = step.trajectories(X, start, 10)
    exact = step.sensitivities(X, states, slope)
    h = 1e-6
    for j in range(2):
        move, change = h * np.eye(2)[j], h * slope[:, :, j]
        up = step.trajectories(X + move, start + change, 10)
        down = step.trajectories(X - move, start - change, 10)
        np.testing.assert_allclose((up - down) / (2 * h), exact[..., j], atol=1e-7)


def test_unstable_operators_are_never_chosen() -> None:
    """Data that grow: a least squares fit goes on growing beyond them."""
    times = np.arange(10)
    a = (1 + X[:, :1])[:, :, np.newaxis] * np.exp(0.4 * times)[:, np.newaxis] * np.ones(2)
    a = a / a.max()
    with pytest.raises(UserError, match="grow without bound"):
        search(growth=1.5, horizon=3.0).run(X, a, (1e-8,), (1.0,))
    chosen = search(growth=1.5, horizon=3.0).run(X, a, (1e-8, 1e3), (1.0,))
    assert chosen.weight == 1e3


def test_a_quadratic_step_beats_a_linear_one_where_products_matter(
    rng: np.random.Generator,
) -> None:
    """The logistic map, a' = a + mu a - a^2 / 2."""
    rate, a = 0.2 + 0.4 * X[:, :1], 0.05 + 0.4 * X[:, 1:]
    trajectory = [a]
    for _ in range(15):
        trajectory.append(trajectory[-1] + rate * trajectory[-1] - 0.5 * trajectory[-1] ** 2)
    y, times = np.stack(trajectory, axis=1), np.arange(16.0)
    options = {"regressor": "rbf", "folds": 3, "weights": (1e-8, 1e-4)}
    quadratic, linear = (
        OperatorInference(OperatorInferenceSettings.model_validate({**options, "quadratic": flag}))
        .fit(X, times, y, rng)
        for flag in (True, False)
    )  # fmt: skip
    assert quadratic.error < 0.5 * linear.error
    assert linear.regularisation[1] == 1.0
    assert quadratic.predict(X, times).shape == y.shape


def test_errors_are_told_before_the_fit(rng: np.random.Generator) -> None:
    kind = OperatorInference(OperatorInferenceSettings(regressor="rbf"))
    assert np.isnan(kind.error)
    times = np.array([0.0, 1.0, 3.0, 4.0])
    with pytest.raises(UserError, match=r"vary from 1 to 2.*time-modes"):
        kind.fit(X, times, np.ones((12, 4, 1)), rng)
    with pytest.raises(UserError, match="at least 2 trajectories of 3"):
        kind.fit(X, times[:2], np.ones((12, 2, 1)), rng)


def test_a_trajectory_without_bound_is_no_answer(rng: np.random.Generator) -> None:
    """Far outside the box the step is unstable: an error, not infinite numbers."""
    times = np.arange(12.0)
    y = np.exp(-np.multiply.outer(0.1 + 0.5 * X[:, 0], times))[:, :, np.newaxis]
    settings = {"regressor": "rbf", "weights": (1e-8,), "ratios": (1.0,), "folds": 2}
    fitted = OperatorInference(OperatorInferenceSettings.model_validate(settings)).fit(
        X, times, y, rng
    )
    with pytest.raises(UserError, match="stay bounded"):
        fitted.predict(np.full((1, 2), 1e60), times)
