"""Laws of local bases and of the hand-over between them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from rom.basis import pod
from rom.local.choice import choose_bases
from rom.local.classifiers import make_classifier
from rom.local.hand_over import transition_zone, weights_of
from rom.local.local_bases import LocalBases
from rom.local.settings import LocalSettings
from rom.products import Euclidean


@pytest.fixture
def bases(two_regimes: Any) -> LocalBases:
    found, _ = choose_bases(
        two_regimes(), Euclidean(80), 3, np.random.default_rng(0),
        LocalSettings(candidates=(2, 3), share=0.3),
    )  # fmt: skip
    assert isinstance(found, LocalBases)
    return found


def test_weights_are_a_partition_of_unity(rng: Any) -> None:
    scores = rng.standard_normal((500, 5))
    for zone in (0.0, 0.1, 10.0):
        weights = weights_of(scores, zone)
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-14)
        np.testing.assert_array_equal(weights.argmax(axis=1), scores.argmax(axis=1))
        below = scores.max(axis=1, keepdims=True) - scores
        assert not weights[below >= max(zone, 1e-300)].any()


def test_weights_are_continuously_differentiable_through_the_border() -> None:
    gap = np.linspace(-2.0, 2.0, 4001)  # a score minus the other, border at 0, zone ends at 1
    weights = weights_of(np.column_stack([gap, np.zeros_like(gap)]), 1.0)[:, 0]
    slopes = np.diff(weights) / np.diff(gap)
    assert (slopes >= 0).all()
    assert np.abs(np.diff(slopes)).max() < 0.01
    assert weights[2000] == 0.5
    assert (weights[0], weights[-1]) == (0.0, 1.0)


def test_the_zone_holds_the_share_of_the_points(rng: Any) -> None:
    scores = rng.standard_normal((1000, 3))
    zone = transition_zone(scores, 0.2)
    handed = (weights_of(scores, zone) < 1).all(axis=1)
    assert handed.mean() == pytest.approx(0.2, abs=0.01)
    assert transition_zone(scores, 0.0) == 0.0
    with pytest.raises(UserError, match="share of points"):
        transition_zone(scores, 1.0)


def test_the_lifted_field_is_continuous_in_the_parameters(bases: LocalBases) -> None:
    line = np.linspace([0.0, 0.2], [1.0, 0.9], 2001)
    smooth = np.sin(line @ np.arange(1.0, 3.0))[:, None] * np.ones(bases.slices[-1].stop)
    steps = [
        np.abs(np.diff(bases.lift(smooth[::stride], line[::stride]), axis=0)).max()
        for stride in (4, 1)
    ]
    assert steps[1] < 0.5 * steps[0]
    # Without the hand-over there is a jump that no refinement removes.
    hard = bases.switched()
    jumps = [
        np.abs(np.diff(hard.lift(smooth[::stride], line[::stride]), axis=0)).max()
        for stride in (4, 1)
    ]
    assert jumps[1] > 0.9 * jumps[0]


def test_the_error_is_at_most_the_weighted_mean_of_the_errors(
    bases: LocalBases, two_regimes: Any
) -> None:
    test = two_regimes(40, seed=3)
    each = np.column_stack([basis.projection_error(test.rows) for basis in bases.bases])
    bound = (bases.weights(test.x) * each).sum(axis=1)
    assert (bases.projection_error(test.rows, test.x) <= bound * (1 + 1e-9) + 1e-12).all()


def test_lifting_the_coefficients_is_the_projection(bases: LocalBases, two_regimes: Any) -> None:
    test = two_regimes(40, seed=3)
    for used in (bases, bases.switched()):
        near = used.lift(used.coefficients(test.rows), test.x)
        errors = np.linalg.norm(test.rows - near, axis=1) / np.linalg.norm(test.rows, axis=1)
        np.testing.assert_allclose(errors, used.projection_error(test.rows, test.x), atol=1e-12)


def test_away_from_borders_one_basis_works_alone(bases: LocalBases, two_regimes: Any) -> None:
    test = two_regimes(40, seed=3)
    alone = bases.supports(test.x).sum(axis=1) == 1
    assert 0.5 < alone.mean() < 1
    labels = bases.classifier.predict(test.x)
    a = bases.coefficients(test.rows)
    for i in np.flatnonzero(alone):
        basis, part = bases.bases[labels[i]], bases.slices[labels[i]]
        expected = basis.lift(a[i : i + 1, part])
        np.testing.assert_allclose(bases.lift(a[i : i + 1], test.x[i : i + 1]), expected)


def test_rows_give_the_same_values_as_the_whole_field(bases: LocalBases, two_regimes: Any) -> None:
    test, places = two_regimes(10, seed=3), np.array([5, 5, 70])
    a = bases.coefficients(test.rows)
    whole = bases.lift(a, test.x)
    np.testing.assert_allclose(bases.rows(places).lift(a, test.x), whole[:, places], atol=1e-13)
    for i in range(10):
        one = bases.lift(a[i : i + 1], test.x[i : i + 1])[0]
        np.testing.assert_allclose(one, whole[i], atol=1e-12)


def test_slopes_of_the_weights_are_their_derivatives_and_sum_to_zero(bases: LocalBases) -> None:
    x = np.random.default_rng(0).random((50, 2))
    slopes = bases.weight_slopes(x)
    np.testing.assert_allclose(slopes.sum(axis=1), 0.0, atol=1e-7)
    far = (bases.weights(x + 1e-3 * np.eye(2)[0]) - bases.weights(x - 1e-3 * np.eye(2)[0])) / 2e-3
    assert np.median(np.abs(slopes[:, :, 0] - far)) < 1e-3
    assert np.abs(slopes).max() > 0.1


@pytest.mark.parametrize("centre", [True, False])
def test_transferred_coefficients_are_those_of_the_same_field(
    two_regimes: Any, spd: Any, centre: bool
) -> None:
    found, _ = choose_bases(
        two_regimes(), spd(80, condition=10.0), 3, np.random.default_rng(0),
        LocalSettings(candidates=(2,), centre=centre),
    )  # fmt: skip
    assert isinstance(found, LocalBases)
    one, other = found.bases
    a = np.random.default_rng(0).standard_normal((5, 3))
    expected = other.coefficients(one.lift(a))
    np.testing.assert_allclose(found.transfer(a, 0, 1), expected, atol=1e-10)
    np.testing.assert_allclose(found.transfer(a, 1, 1), a, atol=1e-10)


def test_truncated_bases_keep_clusters_and_hand_over(bases: LocalBases) -> None:
    small = bases.truncated(1)
    assert [b.rank for b in small.bases] == [1] * bases.n_clusters
    assert small.zone == bases.zone


def test_parts_that_do_not_fit_are_refused(bases: LocalBases) -> None:
    with pytest.raises(UserError, match="one basis for each"):
        replace(bases, bases=bases.bases[:1])
    other = pod(np.random.default_rng(0).random((9, 7)), rank=2)
    with pytest.raises(UserError, match="same fields"):
        replace(bases, bases=(other, *bases.bases[1:]))
    with pytest.raises(UserError, match="coefficients on all bases"):
        bases.lift(np.zeros((2, 1)), np.zeros((2, 2)))


def test_one_cluster_is_the_basis_itself(two_regimes: Any) -> None:
    samples = two_regimes(20)
    basis = pod(samples.rows, rank=3)
    one = make_classifier("nearest-medoid").fit(
        samples.x, np.zeros(20, np.int64), np.array([0]), np.random.default_rng(0)
    )  # fmt: skip
    local = LocalBases((basis,), one, 0.5)
    np.testing.assert_allclose(
        local.projection_error(samples.rows, samples.x), basis.projection_error(samples.rows),
        atol=1e-12,
    )  # fmt: skip
