"""Laws of the variable-step second-order backward differences."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.bdf import MAX_RATIO, Differences, differences, extrapolation

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True)

STEPS = st.floats(1e-3, 1.0)
RATIOS = st.floats(0.05, 2.4)
COEFFICIENTS = st.tuples(*[st.floats(-10, 10)] * 3)


@LAW
@given(STEPS, RATIOS, COEFFICIENTS)
def test_the_derivative_of_a_quadratic_is_exact(
    step: float, ratio: float, q: tuple[float, float, float]
) -> None:
    d, previous = differences(step, step / ratio), step / ratio
    times = np.array([0.0, -step, -step - previous])
    values = q[0] + q[1] * times + q[2] * times**2
    derivative = np.dot([d.now, d.last, d.before], values) / step
    # Rounding of the values, divided by the step.
    tolerance = 1e-13 * (1 + np.abs(values).max()) / step
    assert derivative == pytest.approx(q[1], abs=tolerance)


@LAW
@given(STEPS, RATIOS, COEFFICIENTS)
def test_the_extrapolation_of_a_line_is_exact(
    step: float, ratio: float, q: tuple[float, float, float]
) -> None:
    d, previous = differences(step, step / ratio), step / ratio
    last, before = q[0] - q[1] * step, q[0] - q[1] * (step + previous)
    assert (1 + d.ratio) * last - d.ratio * before == pytest.approx(q[0], abs=1e-11)


@LAW
@given(STEPS, RATIOS)
def test_the_derivative_of_a_constant_is_zero(step: float, ratio: float) -> None:
    d = differences(step, step / ratio)
    assert d.now + d.last + d.before == pytest.approx(0, abs=1e-14)


def test_equal_steps_give_the_classical_coefficients() -> None:
    assert differences(0.1, 0.1) == Differences(1.5, -2.0, 0.5, 1.0)


def test_the_first_step_is_backward_euler() -> None:
    assert differences(0.1, None) == Differences(1.0, -1.0, 0.0, 0.0)


def test_a_step_much_shorter_than_the_last_tends_to_backward_euler() -> None:
    d = differences(1e-12, 1.0)
    np.testing.assert_allclose([d.now, d.last, d.before, d.ratio], [1, -1, 0, 0], atol=1e-11)


def test_the_largest_ratio_is_zero_stable() -> None:
    # The characteristic polynomial has the roots 1 and r^2 / (1 + 2 r).
    d = differences(MAX_RATIO, 1.0)
    roots = np.sort(np.abs(np.roots([d.now, d.last, d.before])))
    np.testing.assert_allclose(roots, [MAX_RATIO**2 / (1 + 2 * MAX_RATIO), 1.0], rtol=1e-12)
    assert roots[0] < 1 < MAX_RATIO < 1 + math.sqrt(2)


def solve(n: int) -> float:
    """Return the error at t = 1 of y' = -y + cos t + sin t, y = sin t, on uneven steps."""
    # A smooth distortion of the uniform grid: the ratios tend to 1 as the grid is refined.
    s = np.linspace(0, 1, n + 1)
    times = s + 0.1 * np.sin(2 * np.pi * s)
    y = [0.0]
    for k in range(1, n + 1):
        step = times[k] - times[k - 1]
        d = differences(step, None if k == 1 else times[k - 1] - times[k - 2])
        history = d.last * y[-1] + (d.before * y[-2] if k > 1 else 0.0)
        force = math.cos(times[k]) + math.sin(times[k])
        y.append((step * force - history) / (d.now + step))
    return abs(y[-1] - math.sin(1.0))


def test_the_error_falls_with_the_square_of_the_step() -> None:
    errors = [solve(n) for n in (40, 80, 160, 320)]
    slope = np.polyfit(np.log([40, 80, 160, 320]), np.log(errors), 1)[0]
    assert slope == pytest.approx(-2, abs=0.15)


@LAW
@given(STEPS, st.lists(STEPS, max_size=2), COEFFICIENTS)
def test_extrapolation_is_exact_for_polynomials_through_the_known_levels(
    step: float, past: list[float], coefficients: tuple[float, float, float]
) -> None:
    polynomial = np.polynomial.Polynomial(coefficients[: len(past) + 1])
    times = -np.cumsum([0.0, *past])
    weights = extrapolation(step, past)
    assert len(weights) == len(past) + 1
    scale = 1e-12 * max(1.0, float(np.abs(weights).sum())) * max(1.0, *map(abs, coefficients))
    assert np.dot(weights, polynomial(times)) == pytest.approx(polynomial(step), abs=100 * scale)
