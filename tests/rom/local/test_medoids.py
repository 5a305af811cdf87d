"""Laws of k-medoids."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from infra.errors import UserError
from rom.local.medoids import k_medoids


def _costs(rng: Any, m: int = 12) -> Any:
    points = rng.random((m, 2))
    return cdist(points, points) ** 2


@pytest.mark.parametrize("k", [1, 2, 3, 11, 12])
def test_small_sets_get_the_best_of_all_choices(k: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        costs = _costs(rng)
        best = min(costs[:, list(c)].min(axis=1).sum() for c in combinations(range(12), k))
        assert k_medoids(costs, k, rng, starts=8).cost == pytest.approx(best, abs=1e-14)


def test_no_swap_of_a_medoid_and_another_point_lowers_the_cost(rng: Any) -> None:
    costs = _costs(rng, 40)
    found = k_medoids(costs, 4, rng, starts=1)
    for place in range(4):
        for point in range(40):
            swapped = found.medoids.copy()
            swapped[place] = point
            assert costs[:, swapped].min(axis=1).sum() >= found.cost * (1 - 1e-9)


def test_everyone_belongs_to_the_cheapest_medoid_and_the_cost_is_the_sum(rng: Any) -> None:
    costs = _costs(rng, 40)
    found = k_medoids(costs, 5, rng)
    np.testing.assert_array_equal(found.labels, costs[:, found.medoids].argmin(axis=1))
    assert found.cost == pytest.approx(costs[:, found.medoids].min(axis=1).sum())
    assert found.sizes.sum() == 40


def test_equal_generators_give_equal_clusters() -> None:
    costs = _costs(np.random.default_rng(1), 60)
    one, other = (k_medoids(costs, 6, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.medoids, other.medoids)


def test_copies_make_no_empty_cluster(rng: Any) -> None:
    costs = np.zeros((6, 6))
    costs[:4, 4:], costs[4:, :4] = 1.0, 1.0
    found = k_medoids(costs, 4, rng)
    assert found.cost == 0.0
    assert (found.sizes > 0).all()
    np.testing.assert_array_equal(found.labels[found.medoids], np.arange(4))


@pytest.mark.parametrize("k", [0, 13])
def test_more_clusters_than_points_are_refused(rng: Any, k: int) -> None:
    with pytest.raises(UserError, match="1 to 12 clusters"):
        k_medoids(_costs(rng), k, rng)


def test_what_are_no_costs_is_refused(rng: Any) -> None:
    for wrong in (np.zeros((2, 3)), np.full((2, 2), -1.0), np.full((2, 2), np.nan)):
        with pytest.raises(UserError, match="finite costs"):
            k_medoids(wrong, 1, rng)
