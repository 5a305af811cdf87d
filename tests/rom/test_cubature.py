"""Laws of empirical cubature: positive, accurate, deterministic, and honest when it fails."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls

from infra.errors import UserError
from rom.cubature.column_qr import ColumnQR
from rom.cubature.integrands import ArrayIntegrands, Integrands, ProductIntegrands
from rom.cubature.rule import CubatureError, CubatureRule, cubature

type Floats = NDArray[np.float64]


def smooth(n_functions: int = 40, n_points: int = 1200, seed: int = 0) -> ArrayIntegrands:
    """Random smooth functions at random points of a cube."""
    rng = np.random.default_rng(seed)
    x = rng.random((n_points, 3))
    waves, phases = rng.integers(0, 4, (n_functions, 3)), rng.random(n_functions)
    values = np.cos(np.pi * (waves @ x.T) + 2 * np.pi * phases[:, np.newaxis])
    values += 0.3 * rng.standard_normal((n_functions, 1))
    return ArrayIntegrands(values, rng.uniform(0.5, 1.5, n_points) / n_points)


def true_residual(rule: CubatureRule, integrands: Integrands) -> float:
    exact = integrands.integrals()
    away = rule.integrate(integrands.at(rule.points)) - exact
    return float(np.linalg.norm(away) / np.linalg.norm(exact))


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8, 1e-11])
def test_the_tolerance_is_met_with_positive_weights_and_few_points(tolerance: float) -> None:
    integrands = smooth()
    rule = cubature(integrands, tolerance)
    assert (rule.weights > 0).all()
    assert true_residual(rule, integrands) == pytest.approx(rule.residual, rel=1e-3, abs=1e-14)
    assert rule.residual <= tolerance
    assert abs(rule.weights.sum() / integrands.volume - 1) <= 0.01 * tolerance + 1e-15
    assert len(rule.points) <= rule.rows <= 41
    assert (np.diff(rule.points) > 0).all()


def test_a_smaller_tolerance_never_needs_fewer_digits() -> None:
    integrands = smooth()
    residuals = [cubature(integrands, 10.0**-k).residual for k in range(1, 8)]
    assert residuals == sorted(residuals, reverse=True)


def test_the_rule_does_not_depend_on_the_order_of_points_and_functions() -> None:
    integrands = smooth(30, 500)
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(30), rng.permutation(500)
    values = integrands.at(slice(None))
    mixed = ArrayIntegrands(values[rows][:, columns], integrands.weights[columns])
    one, other = cubature(integrands, 1e-5), cubature(mixed, 1e-5)
    place = np.argsort(columns[other.points])
    np.testing.assert_array_equal(columns[other.points][place], one.points)
    np.testing.assert_allclose(other.weights[place], one.weights, rtol=1e-6)


def test_it_gives_the_same_bits_again() -> None:
    one, other = cubature(smooth(), 1e-6), cubature(smooth(), 1e-6)
    np.testing.assert_array_equal(one.points, other.points)
    np.testing.assert_array_equal(one.weights, other.weights)


def test_it_needs_hardly_more_points_than_a_vertex_of_the_exact_problem() -> None:
    integrands = smooth(25, 400)
    volume = np.full((1, 400), 1.0)
    rows = np.concatenate([integrands.at(slice(None)), volume])
    vertex, _ = nnls(rows, rows @ integrands.weights)
    assert len(cubature(integrands, 1e-10).points) <= (vertex > 0).sum() + 1


def test_a_start_is_used_and_is_no_worse() -> None:
    integrands = smooth(60)
    cold = cubature(integrands, 1e-5)
    again = cubature(integrands, 1e-5, start=cold)
    assert again.steps <= 1
    assert again.residual <= 1e-5
    assert len(np.setdiff1d(again.points, cold.points)) <= 1
    fewer = ArrayIntegrands(integrands.at(slice(None))[:50], integrands.weights)
    warm = cubature(integrands, 1e-5, start=cubature(fewer, 1e-5))
    assert warm.residual <= 1e-5
    assert (warm.weights > 0).all()
    assert warm.steps < cold.steps
    assert len(warm.points) <= warm.rows


def test_a_start_with_too_many_points_loses_some() -> None:
    integrands = smooth(10)
    fine = cubature(smooth(60), 1e-8)
    coarse = cubature(integrands, 1e-8, start=fine)
    assert len(coarse.points) <= coarse.rows < len(fine.points)
    assert (coarse.weights > 0).all()
    assert true_residual(coarse, integrands) <= 1e-8


def test_imposed_points_are_no_integration_points() -> None:
    integrands = smooth()
    plain = cubature(integrands, 1e-4)
    taken = int(plain.points[0])
    free = np.setdiff1d(np.arange(10), plain.points)
    rule = cubature(integrands, 1e-4, imposed=np.r_[taken, free, free])
    np.testing.assert_array_equal(rule.points, plain.points)
    np.testing.assert_array_equal(rule.imposed, free)
    np.testing.assert_array_equal(rule.places, np.r_[plain.points, free])


def test_functions_without_integral_are_integrated_to_a_scale() -> None:
    values = smooth().at(slice(None))
    weights = smooth().weights
    balanced = values - (values @ weights / weights.sum())[:, np.newaxis]
    rule = cubature(ArrayIntegrands(balanced, weights), 1e-4, scale=1.0)
    assert np.linalg.norm(balanced[:, rule.points] @ rule.weights) <= 1e-4
    assert rule.volume_error <= 1e-6


def test_functions_that_vanish_leave_the_volume() -> None:
    rule = cubature(ArrayIntegrands(np.zeros((3, 20)), np.full(20, 0.1)), 1e-4)
    assert rule.weights.tolist() == pytest.approx([2.0])


def test_products_are_all_pairs_at_each_point() -> None:
    rng = np.random.default_rng(0)
    stresses, strains = rng.standard_normal((50, 6, 3)), rng.standard_normal((50, 6, 2))
    integrands = ProductIntegrands(stresses, strains, np.ones(50))
    expected = np.einsum("kcp,kci->pik", stresses, strains).reshape(6, 50)
    np.testing.assert_allclose(integrands.at(slice(None)), expected, atol=1e-12)
    np.testing.assert_allclose(integrands.at(np.array([4, 2])), expected[:, [4, 2]], atol=1e-12)
    np.testing.assert_allclose(integrands.integrals(), expected.sum(axis=1), atol=1e-12)


def test_columns_that_come_and_go_leave_the_solution_of_least_squares() -> None:
    rng = np.random.default_rng(3)
    A, b = rng.standard_normal((12, 9)), rng.standard_normal(12)
    qr = ColumnQR(b)
    held: list[int] = []
    for step in range(30):
        column = int(rng.integers(9))
        if column in held:
            place = held.index(column)
            qr.drop([place])
            del held[place]
        else:
            assert qr.append(A[:, column])
            held.append(column)
        if held:
            best = np.linalg.lstsq(A[:, held], b)[0]
            np.testing.assert_allclose(qr.solve(), best, atol=1e-10, err_msg=str(step))
            np.testing.assert_allclose(qr.residual(), b - A[:, held] @ best, atol=1e-10)


def test_a_dependent_column_is_not_added() -> None:
    qr = ColumnQR(np.ones(3))
    assert qr.append(np.array([1.0, 2.0, 3.0]))
    assert not qr.append(np.array([2.0, 4.0, 6.0]))
    assert len(qr) == 1


def test_a_tolerance_below_rounding_is_refused_with_the_best_rule() -> None:
    with pytest.raises(CubatureError, match="larger tolerance") as caught:
        cubature(smooth(), 1e-18)
    assert caught.value.rule.residual < 1e-10
    assert (caught.value.rule.weights > 0).all()


@pytest.mark.parametrize(
    ("values", "weights", "words"),
    [
        (np.ones((2, 5)), np.ones(4), "one column per weight"),
        (np.ones((2, 5)), np.array([1, 1, 1, 0.0, 1]), "positive finite weights"),
        (np.full((2, 5), np.nan), np.ones(5), "finite integrands"),
    ],
)
def test_bad_functions_are_named(values: Floats, weights: Floats, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ArrayIntegrands(values, weights)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(UserError, match="tolerance between 0 and 1"):
        cubature(smooth(3, 20), 0.0)
    with pytest.raises(UserError, match="numbers of points from 0 to 19"):
        cubature(smooth(3, 20), 1e-2, imposed=np.array([20]))
