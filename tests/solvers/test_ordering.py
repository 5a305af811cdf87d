"""Laws of the order of samples and of its chunks."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.ordering import chunks, order

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True)

# Few distinct coordinates, so that ties and identical points are common.
CLOUDS = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12),
    elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)


def length(points: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


@LAW
@given(CLOUDS)
def test_the_order_is_a_permutation(points: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(np.sort(order(points)), np.arange(len(points)))


@LAW
@given(CLOUDS)
def test_each_step_goes_to_a_nearest_unused_point(points: NDArray[np.float64]) -> None:
    path = points[order(points)]
    here = np.zeros(points.shape[1])
    for k, there in enumerate(path):
        distances = np.linalg.norm(path[k:] - here, axis=1)
        assert distances[0] <= distances.min() * (1 + 1e-15)
        here = there


@LAW
@given(CLOUDS, st.randoms(use_true_random=False))
def test_renumbering_the_points_leaves_the_path(
    points: NDArray[np.float64], random: Random
) -> None:
    numbers = list(range(len(points)))
    random.shuffle(numbers)
    shuffled = points[np.array(numbers, dtype=np.int64)]
    np.testing.assert_array_equal(shuffled[order(shuffled)], points[order(points)])


@pytest.mark.parametrize("dimension", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_not_longer_than_the_unsorted_one(dimension: int, seed: int) -> None:
    points = np.random.default_rng(seed).random((300, dimension))
    assert length(points[order(points)]) <= length(points)


@pytest.mark.parametrize("seed", range(5))
def test_the_path_through_the_square_is_of_the_order_of_the_shortest(seed: int) -> None:
    # Random points have a shortest tour of 0.7124 sqrt(n); the greedy one is about 1.25 times as
    # long (Johnson and McGeoch, 1997, "The traveling salesman problem: a case study").
    points = np.random.default_rng(seed).random((1000, 2))
    assert length(points[order(points)]) < 1.5 * 0.7124 * np.sqrt(1000)


def test_points_on_a_line_are_sorted() -> None:
    points = np.random.default_rng(0).random((200, 1))
    np.testing.assert_array_equal(order(points), np.argsort(points[:, 0]))


def test_the_path_starts_nearest_to_the_low_corner() -> None:
    points = np.random.default_rng(1).random((50, 3))
    assert order(points)[0] == np.argmin(np.linalg.norm(points, axis=1))


def test_identical_points_keep_their_order() -> None:
    np.testing.assert_array_equal(order(np.full((5, 2), 0.5)), np.arange(5))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (4, 0), (1, 2)])
def test_points_without_a_choice_keep_their_order(shape: tuple[int, int]) -> None:
    np.testing.assert_array_equal(order(np.zeros(shape)), np.arange(shape[0]))


def test_the_points_are_left_unchanged() -> None:
    points = np.random.default_rng(2).random((20, 2))
    before = points.copy()
    order(points)
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize("points", [[0.5, 0.5], [[1.5]], [[-0.5]], [[np.nan]]])
def test_other_arrays_are_refused(points: list[float]) -> None:
    with pytest.raises(UserError, match=r"expected unit coordinates .*to_unit"):
        order(points)


@LAW
@given(st.integers(0, 200), st.integers(1, 50))
def test_chunks_are_consecutive_even_and_few(n: int, size: int) -> None:
    parts = chunks(np.arange(n), size)
    lengths = [len(part) for part in parts]
    assert [int(i) for part in parts for i in part] == list(range(n))
    assert len(parts) == -(-n // size)
    assert max(lengths, default=0) <= size
    assert max(lengths, default=0) - min(lengths, default=0) <= 1
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_holds_at_least_one_sample(size: int) -> None:
    with pytest.raises(UserError, match="chunk size >= 1"):
        chunks(np.arange(3), size)
