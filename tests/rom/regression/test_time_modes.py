"""Time modes: how many are kept, what they reproduce, how they interpolate."""

import numpy as np
import pytest
from numpy.typing import NDArray

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
