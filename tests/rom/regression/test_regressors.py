"""Laws of every regressor; one that is added to the registry is tested here."""

import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from infra.errors import StoreError, UserError
from infra.records import Json
from rom.regression.registry import REGRESSORS, make_regressor, regressor_from_state
from rom.regression.regressor import Regressor

type Floats = NDArray[np.float64]
type Sample = Callable[..., tuple[Floats, Floats]]
type Small = Mapping[str, Mapping[str, Json]]

QUERIES = np.random.default_rng(1).random((7, 2))


@pytest.fixture(params=sorted(REGRESSORS), scope="module")
def kind(request: pytest.FixtureRequest, small: Small) -> Regressor:
    return make_regressor(request.param, small.get(request.param))


@pytest.fixture(scope="module")
def fitted(kind: Regressor, sample: Sample) -> Regressor:
    return kind.fit(*sample(), generator())


def generator() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize(("d", "r", "q"), [(1, 1, 4), (1, 3, 1), (2, 1, 5), (4, 5, 0)])
def test_shapes_follow_inputs_outputs_and_queries(
    kind: Regressor, sample: Sample, d: int, r: int, q: int, rng: np.random.Generator
) -> None:
    fitted = kind.fit(*sample(20, d, r), rng)
    x = rng.random((q, d))
    assert fitted.predict(x).shape == (q, r)
    assert fitted.jacobian(x).shape == (q, r, d)
    deviation = fitted.deviation(x)
    assert deviation is None or (deviation.shape == (q, r) and (deviation >= 0).all())
    assert (fitted.n_inputs, fitted.n_outputs, fitted.fitted) == (d, r, True)


def test_samples_are_predicted_well(fitted: Regressor, sample: Sample) -> None:
    """Each output counts in its own units, however small it is."""
    x, y = sample()
    error = np.abs(fitted.predict(x) - y).max(axis=0) / y.std(axis=0)
    assert error.max() < (1e-3 if fitted.name in ("gp", "rbf") else 0.2)


def test_the_order_of_the_samples_does_not_matter(
    kind: Regressor, fitted: Regressor, sample: Sample
) -> None:
    x, y = sample()
    order = np.random.default_rng(2).permutation(len(x))
    other = kind.fit(x[order], y[order], generator())
    np.testing.assert_allclose(other.predict(QUERIES), fitted.predict(QUERIES), rtol=1e-8)


def test_equal_inputs_count_once(kind: Regressor, fitted: Regressor, sample: Sample) -> None:
    x, y = sample()
    other = kind.fit(np.r_[x, x[:4], x[:2]], np.r_[y, y[:4], y[:2]], generator())
    np.testing.assert_allclose(other.predict(QUERIES), fitted.predict(QUERIES), rtol=1e-6)


def test_a_query_does_not_depend_on_the_others_of_its_batch(fitted: Regressor) -> None:
    many = np.random.default_rng(3).random((600, 2))
    for function in (fitted.predict, fitted.jacobian, fitted.deviation):
        batch = function(many)
        if batch is None:
            continue
        for i in (0, 255, 256, 599):
            single = function(many[i : i + 1])
            np.testing.assert_allclose(single[0], batch[i], rtol=1e-12, atol=1e-12)


def test_prediction_and_deviation_together_are_those_of_each(fitted: Regressor) -> None:
    x = np.random.default_rng(3).random((300, 2))
    for queries in (x, x[:1], x[:0]):
        mean, deviation = fitted.predict_with_deviation(queries)
        np.testing.assert_array_equal(mean, fitted.predict(queries))
        np.testing.assert_array_equal(deviation, fitted.deviation(queries))


def test_the_jacobian_is_the_derivative(fitted: Regressor) -> None:
    step = 1e-5
    jacobian = fitted.jacobian(QUERIES)
    for j in range(2):
        move = step * np.eye(2)[j]
        difference = fitted.predict(QUERIES + move) - fitted.predict(QUERIES - move)
        scale = np.abs(jacobian).max(axis=(0, 2))
        assert (np.abs(difference / (2 * step) - jacobian[:, :, j]) <= 1e-5 * scale).all()


def test_a_regressor_from_its_state_gives_the_same_bits(fitted: Regressor) -> None:
    arrays, text = fitted.state()
    kept = load(save(arrays)), json.loads(json.dumps(text, allow_nan=False))
    back = regressor_from_state(*kept)
    assert type(back) is type(fitted)
    np.testing.assert_array_equal(back.predict(QUERIES), fitted.predict(QUERIES))
    np.testing.assert_array_equal(back.jacobian(QUERIES), fitted.jacobian(QUERIES))
    ours, theirs = back.deviation(QUERIES), fitted.deviation(QUERIES)
    np.testing.assert_equal(ours, theirs)
    np.testing.assert_equal(back.state(), fitted.state())


def test_a_state_holds_plain_numbers_only(fitted: Regressor) -> None:
    arrays, _ = fitted.state()
    assert all(array.dtype.kind in "fiu" for array in arrays.values())


def test_a_regressor_from_its_state_can_learn_again(
    kind: Regressor, fitted: Regressor, sample: Sample
) -> None:
    x, y = sample(25)
    back = regressor_from_state(*fitted.state())
    expected = kind.fit(x, y, generator()).predict(QUERIES)
    np.testing.assert_array_equal(back.fit(x, y, generator()).predict(QUERIES), expected)


def test_the_generator_alone_decides(kind: Regressor, fitted: Regressor, sample: Sample) -> None:
    np.random.seed(99)  # noqa: NPY002 - the global generator must not matter
    other = kind.fit(*sample(), generator())
    np.testing.assert_array_equal(other.predict(QUERIES), fitted.predict(QUERIES))


def test_a_fit_changes_neither_the_regressor_nor_its_data(
    kind: Regressor, fitted: Regressor, sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample()
    copies, before = (x.copy(), y.copy()), fitted.predict(QUERIES)
    other = fitted.fit(x, 2 * y, rng)
    other.deviation(QUERIES)
    np.testing.assert_array_equal(fitted.predict(QUERIES), before)
    np.testing.assert_equal((x, y), copies)
    assert not kind.fitted


def test_what_leaves_a_regressor_cannot_change_it(fitted: Regressor) -> None:
    before = fitted.predict(QUERIES)
    fitted.predict(QUERIES)[:] = 0
    for array in fitted.state()[0].values():
        array[...] = 0
    np.testing.assert_array_equal(fitted.predict(QUERIES), before)


def test_a_refit_to_the_same_samples_is_the_fit(fitted: Regressor, sample: Sample) -> None:
    again = fitted.refit(*sample(), generator())
    np.testing.assert_allclose(again.predict(QUERIES), fitted.predict(QUERIES), rtol=1e-10)


def test_constant_outputs_are_predicted_exactly(
    kind: Regressor, sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample()
    y[:, 1] = 0.1
    fitted = kind.fit(x, y, rng)
    assert (fitted.predict(QUERIES)[:, 1] == 0.1).all()
    assert (fitted.jacobian(QUERIES)[:, 1] == 0).all()
    all_constant = kind.fit(x, np.full((len(x), 2), 7.0), rng)
    assert (all_constant.predict(QUERIES) == 7.0).all()


def test_an_input_that_never_varies_does_no_harm(
    kind: Regressor, sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample(20, 1)
    flat = np.c_[x, np.full(len(x), 0.25)]
    error = np.abs(kind.fit(flat, y, rng).predict(flat) - y).max(axis=0) / y.std(axis=0)
    assert error.max() < 0.2


def test_units_of_the_outputs_do_not_matter(
    kind: Regressor, fitted: Regressor, sample: Sample
) -> None:
    x, y = sample()
    factor = 2.0**20  # exact, so that training takes the same steps
    other = kind.fit(x, factor * y, generator()).predict(QUERIES) / factor
    np.testing.assert_allclose(other, fitted.predict(QUERIES), rtol=1e-12)


def test_too_few_points_are_refused_with_a_number(
    kind: Regressor, sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample(1)
    with pytest.raises(UserError, match=r"distinct points to fit .* received 1"):
        kind.fit(np.repeat(x, 5, axis=0), np.repeat(y, 5, axis=0), rng)
    with pytest.raises(UserError, match="received 0"):
        kind.fit(x[:0], y[:0], rng)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(
    kind: Regressor, sample: Sample, bad: float, rng: np.random.Generator
) -> None:
    x, y = sample()
    y[3, 1] = bad
    with pytest.raises(UserError, match=r"finite outputs; .* first is row 3"):
        kind.fit(x, y, rng)
    x[4, 0] = bad
    with pytest.raises(UserError, match=r"finite inputs; .* first is row 4"):
        kind.fit(x, y, rng)


def test_shapes_that_do_not_fit_are_refused(
    kind: Regressor, fitted: Regressor, sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample()
    for a, b in ((x[1:], y), (x.ravel(), y), (x, y.ravel()), (x[:, :0], y), (x, y[:, :0])):
        with pytest.raises(UserError, match="same m"):
            kind.fit(a, b, rng)
    for queries in (QUERIES[0], QUERIES[:, :1]):
        with pytest.raises(UserError, match=r"shape \(q, 2\)"):
            fitted.predict(queries)
    with pytest.raises(UserError, match="finite inputs"):
        fitted.jacobian(np.full((1, 2), np.nan))
    with pytest.raises(UserError, match="as fitted"):
        fitted.refit(x, y[:, :1], rng)


def test_nothing_is_predicted_before_the_fit(kind: Regressor) -> None:
    for function in (kind.predict, kind.jacobian, kind.deviation):
        with pytest.raises(UserError, match="Call fit"):
            function(QUERIES)
    with pytest.raises(UserError, match="Call fit"):
        kind.state()


def test_damaged_states_are_refused(fitted: Regressor) -> None:
    arrays, text = fitted.state()
    for name in arrays:
        with pytest.raises(StoreError, match="missing or does not fit"):
            regressor_from_state({k: v for k, v in arrays.items() if k != name}, text)
    for name in ("settings", "inputs"):
        with pytest.raises(StoreError):
            regressor_from_state(arrays, {k: v for k, v in text.items() if k != name})
    with pytest.raises(StoreError, match="newer version"):
        regressor_from_state(arrays, {**text, "kind": "other"})
    other = next(k for k in REGRESSORS.values() if k.name != fitted.name)
    with pytest.raises(StoreError, match="looks at the kind"):
        other.from_state(arrays, text)


def test_names_and_settings_are_checked() -> None:
    with pytest.raises(UserError, match="Did you mean 'neural'"):
        make_regressor("neurla")
    with pytest.raises(UserError, match=r"restarts: .*\n.*unknown: "):
        make_regressor("gp", {"restarts": -1, "unknown": 3})
