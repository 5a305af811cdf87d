"""Laws of the dissimilarities."""

from typing import Any

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from infra.errors import UserError
from rom.basis import pod
from rom.local.dissimilarity import (
    euclidean_dissimilarity,
    sine_dissimilarity,
    subspace_dissimilarity,
    subspace_distance,
)
from rom.products import Euclidean


def test_the_sine_is_the_projection_error_on_a_basis_of_one_snapshot(spd: Any, rng: Any) -> None:
    product, rows = spd(20), rng.standard_normal((6, 20))
    sines = sine_dissimilarity(product.gram(rows.T))
    for j in range(6):
        basis = pod(rows[j : j + 1], product, rank=1, centre=False)
        np.testing.assert_allclose(sines[:, j], basis.projection_error(rows), atol=1e-7)


def test_the_sine_does_not_see_the_level_of_a_pattern_and_the_distance_does(rng: Any) -> None:
    rows = rng.standard_normal((6, 20))
    levels = rows * np.array([1e-3, -5.0, 1.0, 1e4, -1.0, 2.0])[:, None]
    one, other = rows @ rows.T, levels @ levels.T
    np.testing.assert_allclose(sine_dissimilarity(other), sine_dissimilarity(one), atol=1e-7)
    assert sine_dissimilarity(np.array([[1.0, -7.0], [-7.0, 49.0]])).max() < 1e-7
    assert euclidean_dissimilarity(np.array([[1.0, -7.0], [-7.0, 49.0]]))[0, 1] == 8.0


def test_dissimilarities_are_symmetric_zero_on_the_diagonal_and_bounded(rng: Any) -> None:
    rows = rng.standard_normal((9, 20))
    rows[3] = 0.0
    for function in (sine_dissimilarity, euclidean_dissimilarity):
        result = function(rows @ rows.T)
        np.testing.assert_array_equal(result, result.T)
        assert not np.diag(result).any()
    sines = sine_dissimilarity(rows @ rows.T)
    assert sines.max() <= 1.0
    assert (np.delete(sines[3], 3) == 1.0).all()


@pytest.mark.parametrize("measure", ["chordal", "grassmann", "largest-angle"])
def test_distances_of_trajectories_are_those_of_their_principal_angles(
    rng: Any, measure: Any
) -> None:
    rows = rng.standard_normal((12, 30))
    units = [np.arange(0, 3), np.arange(3, 6), np.arange(6, 12)]
    found = subspace_dissimilarity(rows @ rows.T, units, 3, measure)
    spans = [pod(rows[unit], Euclidean(30), rank=3, centre=False).modes for unit in units]
    for i in range(3):
        for j in range(i):
            angles = subspace_angles(spans[i], spans[j])
            expected = {
                "chordal": np.sqrt(np.mean(np.sin(angles) ** 2)),
                "grassmann": np.linalg.norm(angles),
                "largest-angle": angles.max(),
            }[measure]
            assert found[i, j] == pytest.approx(expected, rel=1e-6)


def test_the_largest_angle_belongs_to_the_smallest_cosine() -> None:
    cosines = np.cos([0.1, 0.4, 1.2])
    assert subspace_distance(cosines, "largest-angle") == pytest.approx(1.2)


def test_single_snapshots_as_trajectories_have_the_sine(rng: Any) -> None:
    rows = rng.standard_normal((7, 20))
    rows[2] = 0.0
    gram = rows @ rows.T
    units = [np.array([i]) for i in range(7)]
    np.testing.assert_allclose(
        subspace_dissimilarity(gram, units, 3), sine_dissimilarity(gram), atol=1e-7
    )  # fmt: skip


def test_trajectories_of_one_span_do_not_differ(rng: Any) -> None:
    modes = rng.standard_normal((2, 20))
    rows = np.vstack([rng.standard_normal((4, 2)) @ modes, rng.standard_normal((5, 2)) @ modes])
    found = subspace_dissimilarity(rows @ rows.T, [np.arange(4), np.arange(4, 9)], 4)
    assert found.max() < 1e-6


def test_what_are_no_products_is_refused() -> None:
    for wrong in (np.zeros((2, 3)), np.array([[np.nan]])):
        with pytest.raises(UserError, match="products of k snapshots"):
            sine_dissimilarity(wrong)
    with pytest.raises(UserError, match="at least 1 mode"):
        subspace_dissimilarity(np.eye(2), [np.array([0]), np.array([1])], 0)
