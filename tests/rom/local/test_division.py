"""Laws of divisions of trajectories and of bases in coordinates."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rom.basis import pod
from rom.local.division import Division, clock_of, places_of
from rom.local.spans import Span, joint_directions

type Floats = NDArray[np.float64]

TIMES = np.linspace(0.0, 2.0, 5)


@pytest.fixture
def division() -> Division:
    """Three trajectories, three frames; the last cluster has frames of the last one alone."""
    x = np.array([[0.1], [0.2], [0.9]])
    labels = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 1]])
    return Division(x, labels, np.array([[0.1, 0.0], [0.2, 1.0], [0.9, 0.5]]), np.array([0, 2, 4]))


def test_the_clock_runs_from_zero_to_one() -> None:
    np.testing.assert_allclose(clock_of(TIMES, 0.0, 2.0), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(clock_of(np.zeros(1), 0.0, 0.0), [0.0])
    places = places_of(np.array([[1.0], [2.0]]), np.array([0.0, 0.5]), timed=True)
    np.testing.assert_array_equal(places, [[1, 0], [1, 0.5], [2, 0], [2, 0.5]])
    assert places_of(np.ones((3, 2)), np.zeros(1), timed=False).shape == (3, 2)


def test_known_trajectories_keep_their_clusters_in_any_order(division: Division) -> None:
    moved, kept = division.moved(division.x[[2, 0, 1]])
    np.testing.assert_array_equal(moved.labels, division.labels[[2, 0, 1]])
    np.testing.assert_array_equal(kept, [0, 1, 2])


def test_new_trajectories_have_the_clusters_of_the_nearest(division: Division) -> None:
    moved, _ = division.moved(np.array([[0.95], [0.12], [0.1]]))
    np.testing.assert_array_equal(moved.labels, division.labels[[2, 0, 0]])


def test_a_cluster_without_frames_is_gone(division: Division) -> None:
    moved, kept = division.moved(division.x[:2])
    np.testing.assert_array_equal(kept, [0, 1])
    assert moved.n_clusters == 2
    one, kept = division.moved(np.array([[0.9]]))
    np.testing.assert_array_equal(kept, [1, 2])
    np.testing.assert_array_equal(one.labels, [[1, 1, 0]])


@pytest.mark.parametrize("kind", ["nearest-medoid", "nearest-members", "logistic"])
def test_a_classifier_learns_a_division_without_its_medoids(kind: str, division: Division) -> None:
    clock, rng = clock_of(TIMES, 0.0, 2.0), np.random.default_rng(0)
    left_out, _ = division.moved(division.x[1:])
    for each in (division, left_out):
        assert each.classifier(kind, clock, rng).n_clusters == 3


def test_arrays_give_the_same_division(division: Division) -> None:
    again = Division.restored(division.arrays())
    for name, array in division.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_pod_of_coordinates_is_pod_of_the_fields() -> None:
    rng = np.random.default_rng(0)
    fields = rng.standard_normal((40, 12)) @ np.diag(0.5 ** np.arange(12.0))
    q, _ = np.linalg.qr(rng.standard_normal((30, 12)))
    span, basis = Span.of(fields, 4, centre=True), pod(fields @ q.T, rank=4)
    near = span.lift(span.coefficients(fields)) @ q.T
    np.testing.assert_allclose(near, basis.lift(basis.coefficients(fields @ q.T)), atol=1e-9)
    assert Span.of(fields[:3], 4, centre=True).rank == 2
    assert Span.of(fields[:1], 4, centre=True).rank == 1  # any direction: there is none


def test_joint_directions_hold_every_span() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((60, 20))
    spans = tuple(Span.of(part, 3, centre=True) for part in np.split(rows, 3))
    directions = joint_directions(spans)
    assert directions.shape == (20, 12)
    np.testing.assert_allclose(directions.T @ directions, np.eye(12), atol=1e-12)
    for span, part in zip(spans, np.split(rows, 3), strict=True):
        turned = span.turned(directions)
        expected = span.lift(span.coefficients(part))
        received = turned.lift(turned.coefficients(part @ directions)) @ directions.T
        np.testing.assert_allclose(received, expected, atol=1e-10)
    same = joint_directions((spans[0], spans[0]))
    assert same.shape == (20, 4)
