"""Time modes: how many are kept, what they reproduce, how they interpolate."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from rom.regression.curves import Curves
from rom.time_modes import TimeModes, TimeModesSettings

type Floats = NDArray[np.float64]

X = np.random.default_rng(0).random((15, 1))


def modes(tolerance: float = 1e-10) -> TimeModes:
    return TimeModes(TimeModesSettings(tolerance=tolerance, regressor="rbf"))


def test_as_many_modes_are_kept_as_there_are_products(rng: np.random.Generator) -> None:
    times = np.linspace(0, 1, 9)
    first = X * times + X**2 * np.sin(times)
    second = np.exp(X) * times**2
    fitted = modes().fit(X, times, np.stack([first, second, 0 * first + times], axis=2), rng)
    assert fitted.ranks == (2, 1, 0)
    np.testing.assert_allclose(fitted.predict(X, times)[:, :, 0], first, atol=1e-9)
    assert modes().ranks == ()


@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-3])
def test_what_is_discarded_is_below_the_tolerance(
    tolerance: float, rng: np.random.Generator
) -> None:
    """Errors at the samples are those of the truncation: the regressor interpolates."""
    times = np.linspace(0, 1, 20)
    y = np.tanh((times[:, np.newaxis] - X[:, np.newaxis]) * np.array([10.0, 20.0]))
    fitted = modes(tolerance).fit(X, times, y, rng)
    error = np.linalg.norm(fitted.predict(X, times) - y) / np.linalg.norm(y - y.mean(axis=0))
    finer = modes(tolerance / 30).fit(X, times, y, rng)
    assert error <= tolerance * (1 + 1e-6)
    assert sum(finer.ranks) > sum(fitted.ranks)


def test_between_output_times_the_error_is_of_fourth_order(rng: np.random.Generator) -> None:
    counts = np.array([8, 16, 32])
    dense = np.linspace(0, 1, 101)
    errors = []
    for n in counts:
        times = np.linspace(0, 1, n + 1)
        fitted = modes().fit(X, times, (X * np.sin(4 * times))[:, :, np.newaxis], rng)
        exact = (X * np.sin(4 * dense))[:, :, np.newaxis]
        errors.append(np.abs(fitted.predict(X, dense) - exact).max())
    observed = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert observed > 3.5


@pytest.mark.parametrize("n_times", [1, 2, 3, 4])
def test_few_output_times_are_enough(n_times: int, rng: np.random.Generator) -> None:
    """A single one is a steady problem."""
    times = np.linspace(0, 1, n_times)
    y = np.stack([X * (1 + times), X**2 - times], axis=2)
    fitted = modes().fit(X, times, y, rng)
    np.testing.assert_allclose(fitted.predict(X, times), y, atol=1e-10)
    assert fitted.predict(X, times[[0, 0]]).shape == (15, 2, 2)


def test_deviations_add_up_over_modes(rng: np.random.Generator) -> None:
    times = np.linspace(0, 1, 6)
    y = np.stack([np.sin(3 * X) * times, np.cos(3 * X) * times**2], axis=2)
    options = {"sharing": "shared", "restarts": 0}
    kind = TimeModes(TimeModesSettings(tolerance=1e-8, options=dict(options)))
    fitted = kind.fit(X[:5], times, y[:5], rng)
    deviation = fitted.deviation(X, times)
    assert deviation is not None
    np.testing.assert_allclose(deviation[:, 0], 0.0, atol=1e-12)  # where no mode is
    growth = deviation[:, -1, 0] / deviation[:, 2, 0]
    np.testing.assert_allclose(growth, times[-1] / times[2], rtol=1e-6)


def test_a_refit_with_fewer_trajectories_than_modes_is_a_new_fit(rng: np.random.Generator) -> None:
    times = np.linspace(0, 1, 12)
    y = np.tanh((times - X)[:, :, np.newaxis] * 20.0)
    fitted = modes(1e-6).fit(X, times, y, rng)
    few = fitted.refit(X[:4], times, y[:4], rng)
    assert few.ranks[0] < fitted.ranks[0]


@pytest.mark.parametrize("n_times", [1, 2, 5, 30])
def test_curves_are_the_splines_of_scipy(n_times: int) -> None:
    rng = np.random.default_rng(n_times)
    times = np.sort(rng.random(n_times)) * 7 - 2
    values = rng.standard_normal((n_times, 6))
    curves = Curves(times, values)
    asked = np.r_[rng.uniform(times[0], times[-1], 50), times]
    if n_times == 1:
        expected = np.repeat(values, len(asked), axis=0)
    else:
        expected = make_interp_spline(times, values, min(3, n_times - 1))(asked)
    np.testing.assert_allclose(curves(asked), expected, rtol=1e-9, atol=1e-9)
    assert curves(times) is values
    np.testing.assert_array_equal(curves.at_knots(np.array([0, n_times - 1])), values[[0, -1]])
    assert curves(np.zeros(0)).shape == (0, 6)


def test_products_of_padded_modes_are_the_sums_of_the_definition(rng: np.random.Generator) -> None:
    """Coefficient by coefficient, with as many modes as it has; one has none."""
    times = np.linspace(0, 1, 9)
    y = np.tanh((times[:, np.newaxis] - X[:, np.newaxis]) * np.array([2.0, 9.0, 0.0]))
    kind = TimeModes(TimeModesSettings(tolerance=1e-3, options={"sharing": "shared"}))
    fitted = kind.fit(X, times, y, rng)
    assert len(set(fitted.ranks)) == 3
    arrays, _ = fitted.state()
    curves = np.concatenate([arrays["fit.mean"], arrays["fit.modes"]], axis=1)
    asked, queries = np.array([0.03, 0.5, 1.0]), rng.random((4, 1))
    functions = make_interp_spline(times, curves, 3)(asked)
    weights, slopes = fitted._regressor.predict(queries), fitted._regressor.jacobian(queries)
    deviations = fitted._regressor.deviation(queries)
    assert deviations is not None
    spread = fitted.deviation(queries, asked)
    assert spread is not None
    ends = np.cumsum(fitted.ranks)
    for i, (end, rank) in enumerate(zip(ends, fitted.ranks, strict=True)):
        own, modes = slice(end - rank, end), functions[:, 3 + end - rank : 3 + end]
        expected = functions[:, i] + weights[:, own] @ modes.T
        np.testing.assert_allclose(fitted.predict(queries, asked)[:, :, i], expected, atol=1e-12)
        moved = np.einsum("kj,qjd->qkd", modes, slopes[:, own])
        np.testing.assert_allclose(fitted.jacobian(queries, asked)[:, :, i], moved, atol=1e-12)
        squares = deviations[:, own] ** 2 @ (modes**2).T
        np.testing.assert_allclose(spread[:, :, i] ** 2, squares, rtol=1e-9, atol=1e-24)
