"""Laws of the order of samples and of its chunks."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.ordering import Method, chunks, order

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True)

# Few distinct values, so that ties and identical points are common.
CLOUDS = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12),
    elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, -2.0]),
)
# Beyond 32 columns the scalable tour is taken in principal coordinates.
WIDE = arrays(
    np.float64,
    st.tuples(st.integers(0, 12), st.integers(33, 40)),
    elements=st.sampled_from([0.0, 0.25, -2.0]),
)
METHODS: tuple[Method, ...] = ("auto", "greedy", "scalable")


def length(points: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def mixed(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """Normal coefficients whose variance decays, as those of a random field."""
    return rng.standard_normal((n, d)) / np.arange(1, d + 1)


@LAW
@given(CLOUDS | WIDE, st.sampled_from(METHODS))
def test_the_order_is_a_permutation(points: NDArray[np.float64], method: Method) -> None:
    np.testing.assert_array_equal(np.sort(order(points, method=method)), np.arange(len(points)))


@LAW
@given(CLOUDS)
def test_each_step_goes_to_a_nearest_unused_point(points: NDArray[np.float64]) -> None:
    path = points[order(points, method="greedy")]
    here = np.zeros(points.shape[1])
    for k, there in enumerate(path):
        distances = np.linalg.norm(path[k:] - here, axis=1)
        assert distances[0] <= distances.min() * (1 + 1e-15)
        here = there


@LAW
@given(CLOUDS | WIDE, st.randoms(use_true_random=False), st.sampled_from(METHODS))
def test_renumbering_the_points_leaves_the_path(
    points: NDArray[np.float64], random: Random, method: Method
) -> None:
    numbers = list(range(len(points)))
    random.shuffle(numbers)
    shuffled = points[np.array(numbers, dtype=np.int64)]
    np.testing.assert_array_equal(
        shuffled[order(shuffled, method=method)], points[order(points, method=method)]
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dimension", [3, 60, 1000])
def test_renumbering_many_points_leaves_the_path(dimension: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = mixed(rng, 2100, dimension)
    shuffled = rng.permutation(points)
    path = points[order(points, method="scalable")]
    np.testing.assert_array_equal(shuffled[order(shuffled, method="scalable")], path)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_points_give_the_same_order(method: Method) -> None:
    points = mixed(np.random.default_rng(3), 800, 50)
    np.testing.assert_array_equal(order(points, method=method), order(points, method=method))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dimension", [1, 2, 5, 20, 100])
def test_the_scalable_path_is_at_most_a_twentieth_longer_than_the_greedy(
    dimension: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    for points in (rng.random((2000, dimension)), mixed(rng, 2000, dimension)):
        greedy, scalable = (points[order(points, method=m)] for m in ("greedy", "scalable"))
        assert length(scalable) <= 1.05 * length(greedy)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dimension", [2, 3, 5])
def test_in_few_dimensions_the_scalable_path_is_shorter(dimension: int, seed: int) -> None:
    points = np.random.default_rng(seed).random((2000, dimension))
    greedy, scalable = (points[order(points, method=m)] for m in ("greedy", "scalable"))
    assert length(scalable) < 0.98 * length(greedy)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimension", [2, 200])
def test_clusters_stay_together(dimension: int, method: Method) -> None:
    rng = np.random.default_rng(0)
    centres = 10.0 * np.arange(12)[:, None] * np.ones(dimension)
    label = rng.permutation(np.repeat(np.arange(12), 100))
    points = centres[label] + rng.random((1200, dimension))
    tour = label[order(points, method=method)]
    assert np.count_nonzero(np.diff(tour)) == 11


def test_differences_far_below_the_size_of_the_values_still_count() -> None:
    # One outlier sets the scale; single precision alone could not tell the others apart.
    points = np.concatenate([[[1.0]], 1e-9 * np.random.default_rng(0).random((500, 1))])
    path = points[order(points, method="scalable")]
    assert length(path) <= 1.05 * length(points[order(points, method="greedy")])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [2.0**-1040, 2.0**-300, 2.0**300, 2.0**1020])
def test_the_unit_of_the_features_does_not_matter(factor: float, method: Method) -> None:
    points = np.random.default_rng(1).integers(0, 8, (60, 3)).astype(np.float64)
    scaled = order(points * factor, method=method)
    np.testing.assert_array_equal(scaled, order(points, method=method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int64, np.bool_])
def test_numbers_of_all_kinds_are_ordered_alike(kind: type, method: Method) -> None:
    points: NDArray[np.generic] = np.random.default_rng(1).integers(0, 2, (60, 40)).astype(kind)
    expected = points[order(points.astype(np.float64), method=method)]
    np.testing.assert_array_equal(points[order(points, method=method)], expected)


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


@pytest.mark.parametrize("method", METHODS)
def test_points_on_a_line_are_sorted(method: Method) -> None:
    points = np.random.default_rng(0).random((200, 1))
    np.testing.assert_array_equal(order(points, method=method), np.argsort(points[:, 0]))


@pytest.mark.parametrize("method", METHODS)
def test_the_path_starts_nearest_to_the_origin(method: Method) -> None:
    points = np.random.default_rng(1).random((50, 3)) - 0.3
    assert order(points, method=method)[0] == np.argmin(np.linalg.norm(points, axis=1))


def test_identical_points_keep_their_order() -> None:
    np.testing.assert_array_equal(order(np.full((5, 2), 0.5)), np.arange(5))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimension", [0, 2, 40])
def test_many_identical_points_are_no_obstacle(dimension: int, method: Method) -> None:
    tour = order(np.full((3000, dimension), 0.5), method=method)
    np.testing.assert_array_equal(np.sort(tour), np.arange(3000))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (0, 40), (1, 0), (1, 2), (1, 40)])
def test_points_without_a_choice_keep_their_order(shape: tuple[int, int], method: Method) -> None:
    np.testing.assert_array_equal(order(np.zeros(shape), method=method), np.arange(shape[0]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimension", [2, 40])
def test_the_points_are_left_unchanged(dimension: int, method: Method) -> None:
    points = np.random.default_rng(2).random((20, dimension))
    before = points.copy()
    order(points, method=method)
    np.testing.assert_array_equal(points, before)


REFUSED = [np.zeros(2), np.full((1, 1), np.nan), np.array([[np.inf]]), np.zeros((2, 2), complex)]


@pytest.mark.parametrize("points", REFUSED)
def test_other_arrays_are_refused(points: NDArray[np.float64]) -> None:
    with pytest.raises(UserError, match="expected finite real features of shape"):
        order(points)


def test_the_error_counts_values_that_are_not_finite() -> None:
    with pytest.raises(UserError, match="2 values that are not finite"):
        order([[0.0, np.nan], [-np.inf, 1.0]])


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UserError, match="expected method auto, greedy, scalable"):
        order([[0.0]], method="fractal")  # type: ignore[arg-type]


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


@LAW
@given(st.integers(0, 60), st.integers(1, 20), st.randoms(use_true_random=False))
def test_chunks_cut_at_long_edges_are_consecutive_few_and_not_too_small(
    n: int, size: int, random: Random
) -> None:
    points = np.array([[random.random()] for _ in range(n)]).reshape(n, 1)
    tour = np.array(random.sample(range(n), n), dtype=np.int64)
    parts, even = chunks(tour, size, points=points), chunks(tour, size)
    assert [int(i) for part in parts for i in part] == tour.tolist()
    assert len(parts) == len(even)
    assert max(map(len, parts), default=0) <= size
    assert min(map(len, parts), default=1) >= min(map(len, even), default=1) / 2


def test_chunks_do_not_part_clusters_where_there_is_room() -> None:
    label = np.repeat(np.arange(4), [9, 12, 10, 9])
    points = 10.0 * label[:, None] + np.random.default_rng(0).random((40, 2))
    parts = chunks(np.arange(40), 13, points=points)
    assert [len(part) for part in parts] == [9, 12, 10, 9]


def test_chunks_stay_even_where_the_size_leaves_no_room() -> None:
    points = np.random.default_rng(0).random((40, 2))
    parts = chunks(np.arange(40), 10, points=points)
    assert [len(part) for part in parts] == [10, 10, 10, 10]
