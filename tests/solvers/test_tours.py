"""Laws of the parts of the scalable tour: coordinates, pools, exchanges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from solvers.ordering.canonical import canonical_order
from solvers.ordering.local_search import improved
from solvers.ordering.pools import pooled_tour
from solvers.ordering.sketch import principal_coordinates

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True)


def length(points: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def test_few_columns_are_sorted_lexicographically() -> None:
    points = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0], [1.0, -1.0]])
    assert canonical_order(points).tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize("dimension", [3, 50])
def test_identical_rows_keep_their_order_also_with_negative_zeros(dimension: int) -> None:
    points = np.zeros((6, dimension))
    points[::2] = -0.0
    np.testing.assert_array_equal(canonical_order(points), np.arange(6))


@pytest.mark.parametrize("layout", ["C", "F"])
def test_wide_rows_of_one_key_are_told_apart(layout: str) -> None:
    # Times a weight below one half the smallest number is zero, and so are all keys.
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (40, 33)) * np.finfo(np.float64).smallest_subnormal
    points = np.asfortranarray(bits) if layout == "F" else bits
    shuffled = points[rng.permutation(40)]
    np.testing.assert_array_equal(
        points[canonical_order(points)], shuffled[canonical_order(shuffled)]
    )


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_coordinates_of_data_of_low_rank_keep_all_distances(kind: type) -> None:
    rng = np.random.default_rng(1)
    exact = 100 + rng.standard_normal((700, 6)) @ rng.standard_normal((6, 300))
    points: NDArray[np.floating] = exact.astype(kind)
    found, origin = principal_coordinates(points, np.arange(700))
    assert found.shape[1] <= 32
    expected = np.linalg.norm(points[1:] - points[:-1], axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(found, axis=0), axis=1), expected, rtol=1e-3)
    # The origin lies outside of the samples' span: its image is a projection.
    assert np.linalg.norm(found[0] - origin) <= np.linalg.norm(points[0]) * (1 + 1e-6)


def test_coordinates_never_lengthen_a_distance() -> None:
    points = np.random.default_rng(2).random((300, 400))
    found, _ = principal_coordinates(points, np.arange(300))
    sketched = np.linalg.norm(found[1:] - found[:-1], axis=1)
    assert (sketched <= np.linalg.norm(points[1:] - points[:-1], axis=1) * (1 + 1e-5)).all()


def test_flat_spectra_get_more_directions_up_to_the_limit() -> None:
    rng = np.random.default_rng(3)
    steep = rng.standard_normal((600, 200)) / np.arange(1, 201) ** 2
    flat = rng.standard_normal((600, 200))
    assert principal_coordinates(steep, np.arange(600))[0].shape == (600, 32)
    assert principal_coordinates(flat, np.arange(600))[0].shape == (600, 128)


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_a_tour_in_pools_visits_every_point_once(size: int) -> None:
    points = np.random.default_rng(4).random((500, 3))
    tour = pooled_tour(points, np.zeros(3), size=size)
    np.testing.assert_array_equal(np.sort(tour), np.arange(500))


@pytest.mark.parametrize("dimension", [2, 10])
def test_pools_cost_little_length(dimension: int) -> None:
    points = np.random.default_rng(5).random((6000, dimension))
    one, four = (pooled_tour(points, np.zeros(dimension), size=s) for s in (6000, 1500))
    assert length(points[four]) <= 1.08 * length(points[one])


@LAW
@given(st.integers(0, 40), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_exchanges_keep_the_points_and_the_ends_and_never_lengthen(
    n: int, dimension: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points, tour = rng.integers(0, 5, (n, dimension)).astype(np.float64), rng.permutation(n)
    better = improved(points, tour)
    np.testing.assert_array_equal(np.sort(better), np.arange(n))
    np.testing.assert_array_equal(better[[0, -1][: min(n, 2)]], tour[[0, -1][: min(n, 2)]])
    assert length(points[better]) <= length(points[tour]) * (1 + 1e-12)


def test_a_crossing_is_undone() -> None:
    points = np.array([[0.0], [2.0], [1.0], [3.0]]) * np.ones(2)
    assert improved(points, np.arange(4)).tolist() == [0, 2, 1, 3]


def test_a_point_that_was_left_behind_is_put_back() -> None:
    points = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 3.0, 7.0])[:, None]
    assert improved(points, np.arange(8)).tolist() == [0, 1, 2, 6, 3, 4, 5, 7]


def test_windows_of_a_long_tour_lose_no_point_and_heal_the_joints() -> None:
    rng = np.random.default_rng(6)
    points, tour = rng.random((5000, 2)), rng.permutation(5000)
    better = improved(points, tour)
    np.testing.assert_array_equal(np.sort(better), np.arange(5000))
    assert (better[[0, -1]] == tour[[0, -1]]).all()
    joint = slice(2040, 2056)
    assert length(points[better][joint]) < length(points[tour][joint])
    assert length(points[better]) < 0.5 * length(points[tour])
