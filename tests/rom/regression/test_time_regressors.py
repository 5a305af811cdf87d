"""Laws of every regressor of trajectories; one that is added to the registry is tested here."""

import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from infra.errors import StoreError, UserError
from infra.records import Json
from rom.regression.time_registry import (
    TIME_REGRESSORS,
    make_time_regressor,
    time_regressor_from_state,
)
from rom.regression.time_regressor import TimeRegressor

type Floats = NDArray[np.float64]
type Sample = Callable[..., tuple[Floats, Floats]]
type Small = Mapping[str, Mapping[str, Json]]
type Trajectories = tuple[Floats, Floats, Floats]

QUERIES = np.random.default_rng(1).random((5, 2))
TIMES = np.linspace(0.0, 2.0, 13)
BETWEEN = np.array([0.0, 0.3, 1.111, 2.0])


def decays(x: Floats, times: Floats) -> Floats:
    """Return trajectories (m, T, 3) of a linear system with three rates and three ends."""
    rates, ends = np.array([0.5, 1.0, 2.0]), 1.0 + x @ np.array([[1.0, -0.5, 0.3], [0.2, 0.7, 1.0]])
    size = np.array([1.0, 0.1, 0.01])
    decay = np.exp(-np.multiply.outer(times, rates))
    return size * (ends[:, np.newaxis] * (1 - decay) + decay)


@pytest.fixture(scope="module")
def data(sample: Sample) -> Trajectories:
    x, _ = sample(12)
    return x, TIMES, decays(x, TIMES)


@pytest.fixture(params=sorted(TIME_REGRESSORS), scope="module")
def kind(request: pytest.FixtureRequest, small: Small) -> TimeRegressor:
    return make_time_regressor(request.param, small.get(request.param))


@pytest.fixture(scope="module")
def fitted(kind: TimeRegressor, data: Trajectories) -> TimeRegressor:
    return kind.fit(*data, generator())


def generator() -> np.random.Generator:
    return np.random.default_rng(5)


def test_shapes_follow_queries_and_times(fitted: TimeRegressor) -> None:
    for q, k in ((5, 4), (1, 1), (0, 3), (2, 0)):
        x, times = QUERIES[:q], BETWEEN[:k]
        assert fitted.predict(x, times).shape == (q, k, 3)
        assert fitted.jacobian(x, times).shape == (q, k, 3, 2)
        deviation = fitted.deviation(x, times)
        assert deviation is None or deviation.shape == (q, k, 3)
    assert (fitted.n_inputs, fitted.n_outputs) == (2, 3)
    np.testing.assert_array_equal(fitted.times, TIMES)


def test_new_trajectories_are_predicted_well(fitted: TimeRegressor) -> None:
    error = np.abs(fitted.predict(QUERIES, TIMES) - decays(QUERIES, TIMES)).max(axis=(0, 1))
    assert (error < 1e-2 * np.array([1.0, 0.1, 0.01])).all()


def test_between_output_times_predictions_are_smooth(fitted: TimeRegressor) -> None:
    error = np.abs(fitted.predict(QUERIES, BETWEEN) - decays(QUERIES, BETWEEN)).max(axis=(0, 1))
    assert (error < 1e-2 * np.array([1.0, 0.1, 0.01])).all()


def test_the_order_of_the_trajectories_does_not_matter(
    kind: TimeRegressor, fitted: TimeRegressor, data: Trajectories
) -> None:
    x, times, y = data
    order = np.random.default_rng(2).permutation(len(x))
    other = kind.fit(x[order], times, y[order], generator())
    expected = fitted.predict(QUERIES, BETWEEN)
    np.testing.assert_allclose(other.predict(QUERIES, BETWEEN), expected, rtol=1e-8, atol=1e-12)


def test_a_query_depends_neither_on_others_nor_on_other_times(fitted: TimeRegressor) -> None:
    for function in (fitted.predict, fitted.jacobian, fitted.deviation):
        batch = function(QUERIES, BETWEEN)
        if batch is None:
            continue
        for i in range(len(QUERIES)):
            for k in range(len(BETWEEN)):
                single = function(QUERIES[i : i + 1], BETWEEN[k : k + 1])
                assert single is not None
                np.testing.assert_allclose(single[0, 0], batch[i, k], rtol=1e-12, atol=1e-12)


def test_the_jacobian_is_the_derivative(fitted: TimeRegressor) -> None:
    # Five points: so wide a step that the rounding of a prediction does not count.
    step = 2e-3
    jacobian = fitted.jacobian(QUERIES, BETWEEN)
    for j in range(2):
        move = step * np.eye(2)[j]
        near, far = (
            fitted.predict(QUERIES + m, BETWEEN) - fitted.predict(QUERIES - m, BETWEEN)
            for m in (move, 2 * move)
        )
        scale = np.abs(jacobian).max(axis=(0, 1, 3))
        assert (np.abs((8 * near - far) / (12 * step) - jacobian[..., j]) <= 1e-5 * scale).all()


def test_a_regressor_from_its_state_gives_the_same_bits(fitted: TimeRegressor) -> None:
    arrays, text = fitted.state()
    assert all(array.dtype.kind in "fiu" for array in arrays.values())
    kept = load(save(arrays)), json.loads(json.dumps(text, allow_nan=False))
    back = time_regressor_from_state(*kept)
    assert type(back) is type(fitted)
    for ours, theirs in (
        (back.predict(QUERIES, BETWEEN), fitted.predict(QUERIES, BETWEEN)),
        (back.jacobian(QUERIES, BETWEEN), fitted.jacobian(QUERIES, BETWEEN)),
        (back.deviation(QUERIES, BETWEEN), fitted.deviation(QUERIES, BETWEEN)),
        (back.state(), fitted.state()),
    ):
        np.testing.assert_equal(ours, theirs)


def test_the_generator_alone_decides(
    kind: TimeRegressor, fitted: TimeRegressor, data: Trajectories
) -> None:
    other = kind.fit(*data, generator())
    np.testing.assert_array_equal(other.predict(QUERIES, BETWEEN), fitted.predict(QUERIES, BETWEEN))


def test_a_fit_changes_neither_the_regressor_nor_its_data(
    kind: TimeRegressor, fitted: TimeRegressor, data: Trajectories
) -> None:
    x, times, y = data
    copies, before = (x.copy(), times.copy(), y.copy()), fitted.predict(QUERIES, BETWEEN)
    fitted.fit(x, 2 * times, 2 * y, generator())
    fitted.predict(QUERIES, BETWEEN)[:] = 0
    np.testing.assert_array_equal(fitted.predict(QUERIES, BETWEEN), before)
    np.testing.assert_equal(data, copies)
    assert not kind.fitted


def test_a_refit_to_the_same_trajectories_is_the_fit(
    fitted: TimeRegressor, data: Trajectories
) -> None:
    again = fitted.refit(*data, generator())
    expected = fitted.predict(QUERIES, BETWEEN)
    np.testing.assert_allclose(again.predict(QUERIES, BETWEEN), expected, rtol=1e-8, atol=1e-10)


def test_a_refit_without_a_trajectory_still_predicts_it(
    fitted: TimeRegressor, data: Trajectories
) -> None:
    x, times, y = data
    left_out = fitted.refit(x[1:], times, y[1:], generator())
    error = np.abs(left_out.predict(x[:1], times) - y[:1]).max(axis=(0, 1))
    assert (error < 5e-2 * np.array([1.0, 0.1, 0.01])).all()
    with pytest.raises(UserError, match="Call fit"):
        fitted.refit(x, times + 1, y, generator())


def test_trajectories_that_do_not_depend_on_anything_are_kept(
    kind: TimeRegressor, data: Trajectories
) -> None:
    x, times, y = data
    same = np.broadcast_to(np.array([3.0, 0.0]), (*y.shape[:2], 2))
    fitted = kind.fit(x, times, same, generator())
    expected = np.broadcast_to(np.array([3.0, 0.0]), (5, 4, 2))
    np.testing.assert_allclose(fitted.predict(QUERIES, BETWEEN), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("times", [[-0.1], [2.001], [np.nan], [0.5, np.inf]])
def test_times_outside_the_training_are_refused(fitted: TimeRegressor, times: list[float]) -> None:
    with pytest.raises(UserError, match="times between 0 and 2"):
        fitted.predict(QUERIES, np.array(times))


def test_shapes_and_values_that_do_not_fit_are_refused(
    kind: TimeRegressor, fitted: TimeRegressor, data: Trajectories
) -> None:
    x, times, y = data
    for arguments in ((x[1:], times, y), (x, times[1:], y), (x, times, y[:, :, 0]), (x, x, y)):
        with pytest.raises(UserError, match="one row per trajectory"):
            kind.fit(*arguments, generator())
    with pytest.raises(UserError, match="none of them empty"):
        kind.fit(x[:0], times, y[:0], generator())
    with pytest.raises(UserError, match="increasing"):
        kind.fit(x, times[::-1], y, generator())
    with pytest.raises(UserError):
        kind.fit(x[:1], times, y[:1], generator())
    broken = y.copy()
    broken[4, 2, 1] = np.nan
    with pytest.raises(UserError, match=r"coefficients; .* first is row 4"):
        kind.fit(x, times, broken, generator())
    with pytest.raises(UserError, match=r"shape \(q, 2\)"):
        fitted.predict(QUERIES[:, :1], BETWEEN)
    with pytest.raises(UserError, match="finite inputs"):
        fitted.predict(np.full((1, 2), np.inf), BETWEEN)
    with pytest.raises(UserError, match="Call fit"):
        kind.predict(QUERIES, BETWEEN)
    with pytest.raises(UserError, match="Call fit"):
        kind.state()


def test_damaged_states_are_refused(fitted: TimeRegressor) -> None:
    arrays, text = fitted.state()
    for name in arrays:
        with pytest.raises(StoreError, match="damaged or of another version"):
            time_regressor_from_state({k: v for k, v in arrays.items() if k != name}, text)
    for name in ("settings", "sizes", "fit"):
        with pytest.raises(StoreError):
            time_regressor_from_state(arrays, {k: v for k, v in text.items() if k != name})
    with pytest.raises(StoreError, match="newer version"):
        time_regressor_from_state(arrays, {**text, "kind": "other"})


def test_names_and_settings_are_checked() -> None:
    with pytest.raises(UserError, match="Did you mean 'time-modes'"):
        make_time_regressor("time-mode")
    with pytest.raises(UserError, match="tolerance: "):
        make_time_regressor("time-modes", {"tolerance": 2.0})
    with pytest.raises(UserError, match="Did you mean 'rbf'"):
        make_time_regressor("time-modes", {"regressor": "rbff"})


def test_an_outlook_is_what_is_predicted_and_its_variances(fitted: TimeRegressor) -> None:
    places = np.array([0, 5, 12])
    found = fitted.outlook(QUERIES, BETWEEN, places)
    np.testing.assert_allclose(found.values, fitted.predict(QUERIES, BETWEEN), rtol=1e-12)
    np.testing.assert_allclose(found.own, fitted.predict(QUERIES, TIMES[places]), rtol=1e-9)
    deviation = fitted.deviation(QUERIES, TIMES[places])
    if deviation is None:
        assert found.variances is None
    else:
        assert found.variances is not None
        squares = (deviation**2).sum(axis=2)
        np.testing.assert_allclose(found.variances, squares, rtol=1e-9)
    assert fitted.outlook(QUERIES, np.zeros(0), places).values.shape == (5, 0, 3)
