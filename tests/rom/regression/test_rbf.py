"""Polyharmonic splines: what they reproduce, how they converge."""

from typing import Literal

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator

from rom.regression.monomials import Monomials
from rom.regression.rbf import RadialBasis, RbfSettings

QUERIES = np.random.default_rng(1).random((9, 2))

type Kernel = Literal["cubic", "quintic"]


@pytest.mark.parametrize(("kernel", "degree"), [("cubic", 1), ("quintic", 2)])
def test_polynomials_of_the_tail_are_reproduced(
    kernel: Kernel, degree: int, rng: np.random.Generator
) -> None:
    x = rng.random((14, 2))
    terms = Monomials(2, degree)
    weights = rng.normal(size=(len(terms), 3))
    fitted = RadialBasis(RbfSettings(kernel=kernel)).fit(x, terms.values(x) @ weights, rng)
    np.testing.assert_allclose(fitted.predict(QUERIES), terms.values(QUERIES) @ weights, atol=1e-10)
    slopes = np.einsum("qkd,kr->qrd", terms.slopes(QUERIES), weights)
    np.testing.assert_allclose(fitted.jacobian(QUERIES), slopes, atol=1e-9)


@pytest.mark.parametrize("kernel", ["cubic", "quintic"])
@pytest.mark.parametrize("smoothing", [0.0, 1e-3])
def test_predictions_are_those_of_scipy(
    kernel: Kernel, smoothing: float, rng: np.random.Generator
) -> None:
    x = rng.random((25, 2))
    y = np.sin(4 * x) @ rng.normal(size=(2, 3))
    fitted = RadialBasis(RbfSettings(kernel=kernel, smoothing=smoothing)).fit(x, y, rng)
    expected = RBFInterpolator(x, y, kernel=kernel, smoothing=smoothing)(QUERIES)
    np.testing.assert_allclose(fitted.predict(QUERIES), expected, atol=1e-8)


def test_samples_are_interpolated_also_on_a_line(rng: np.random.Generator) -> None:
    t = np.linspace(0, 1, 12)
    x = np.c_[t, 1 - t, 0.5 * t]
    y = np.c_[np.exp(t), np.sin(5 * t)]
    fitted = RadialBasis().fit(x, y, rng)
    np.testing.assert_allclose(fitted.predict(x), y, atol=1e-10)


@pytest.mark.parametrize(("kernel", "order"), [("cubic", 2.0), ("quintic", 3.0)])
def test_errors_fall_with_the_distance_of_the_points(
    kernel: Kernel, order: float, rng: np.random.Generator
) -> None:
    """In the interior of an interval; the order is at least that of the native space."""
    counts = np.array([9, 17, 33])
    inside = np.linspace(0.3, 0.7, 50)[:, np.newaxis]
    errors = []
    for n in counts:
        x = np.linspace(0, 1, n)[:, np.newaxis]
        fitted = RadialBasis(RbfSettings(kernel=kernel)).fit(x, np.sin(3 * x), rng)
        errors.append(np.abs(fitted.predict(inside) - np.sin(3 * inside)).max())
    observed = -np.polyfit(np.log(counts - 1), np.log(errors), 1)[0]
    assert observed > order


def test_monomials_count_and_differentiate_themselves() -> None:
    terms = Monomials(3, 2)
    assert len(terms) == 10
    assert len(Monomials(3, 0)) == 1
    x, step = np.random.default_rng(0).random((4, 3)), 1e-6
    for j in range(3):
        move = step * np.eye(3)[j]
        difference = (terms.values(x + move) - terms.values(x - move)) / (2 * step)
        np.testing.assert_allclose(terms.slopes(x)[:, :, j], difference, atol=1e-8)
