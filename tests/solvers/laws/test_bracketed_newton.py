"""Laws of the bracketed Newton method."""

import numpy as np
import pytest

from solvers.laws.bracketed_newton import bracketed_newton
from solvers.laws.flow_tangent import Points
from solvers.mesh import FloatArray

type Residuals = tuple[FloatArray, FloatArray]


def test_each_equation_finds_its_own_root() -> None:
    targets = np.array([1e-6, 0.3, 2.0, 50.0])

    def cubes(x: FloatArray, which: Points) -> Residuals:
        return targets[which] ** 3 - x**3, -3.0 * x**2

    ends = (np.zeros(4), np.full(4, 100.0))
    root, _, failed = bracketed_newton(cubes, np.full(4, 60.0), ends, 1e-13 * targets**3, 200)
    assert root == pytest.approx(targets, rel=1e-12)
    assert not len(failed)


def test_only_open_equations_are_evaluated_again() -> None:
    calls: list[int] = []

    def powers(x: FloatArray, which: Points) -> Residuals:
        calls.append(len(x))
        power = np.array([1.0, 9.0])[which]
        return 1.0 - x**power, -power * x ** (power - 1.0)

    ends = (np.zeros(2), np.full(2, 3.0))
    bracketed_newton(powers, np.full(2, 2.0), ends, np.full(2, 1e-12), 100)
    assert calls[:3] == [2, 2, 1]
    assert set(calls[2:]) == {1}


def test_a_wrong_slope_only_slows_it_down() -> None:
    def misled(x: FloatArray, which: Points) -> Residuals:
        return np.cos(x), np.array([1.0, np.nan])[which]

    ends = (np.zeros(2), np.full(2, 3.0))
    root, iterations, failed = bracketed_newton(misled, np.ones(2), ends, np.full(2, 1e-14), 100)
    assert root == pytest.approx(np.pi / 2, abs=1e-14)
    assert 40 < iterations < 60
    assert not len(failed)


def test_equations_that_run_out_of_iterations_are_reported() -> None:
    def slow(x: FloatArray, which: Points) -> Residuals:
        shape = np.array([1.0, 3.0])[which]
        return 2.0 * shape - 1.0 - x**shape, np.full_like(x, -1.0)

    ends = (np.zeros(2), np.full(2, 10.0))
    _, iterations, failed = bracketed_newton(slow, np.full(2, 2.0), ends, np.full(2, 1e-15), 3)
    assert iterations == 3
    assert failed.tolist() == [1]
