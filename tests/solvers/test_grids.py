"""Laws of the structured triangulations and of their boundary parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from solvers.grids import boundary_edges, graded, rectangle, structured, tagged
from solvers.mesh import cell_quality

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True)


def areas(points: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    (ax, ay), (bx, by), (cx, cy) = points[cells].transpose(1, 2, 0)
    return np.asarray(np.abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / 2)


@LAW
@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_a_rectangle_is_covered_by_positive_triangles(
    columns: int, rows: int, strength: float, seed: int
) -> None:
    width, height = np.random.default_rng(seed).uniform(0.1, 10, 2)
    points, cells = structured(width * graded(columns, strength), height * graded(rows, strength))
    assert len(cells) == 2 * columns * rows
    assert (cell_quality(points, cells) > 0).all()
    assert areas(points, cells).sum() == pytest.approx(width * height, rel=1e-12)


def test_the_diagonals_alternate() -> None:
    _, cells = structured(np.arange(3.0), np.arange(3.0))
    # The middle vertex of a union jack belongs to all eight triangles.
    assert np.bincount(cells.ravel()).tolist() == [2, 2, 2, 2, 8, 2, 2, 2, 2]


def test_a_mask_cuts_rectangles_out_with_their_unused_vertices() -> None:
    keep = np.ones((8, 8), dtype=bool)
    keep[4:, 4:] = False
    points, cells = structured(np.linspace(0, 2, 9), np.linspace(0, 2, 9), keep)
    assert areas(points, cells).sum() == pytest.approx(3.0)
    assert len(points) == 9 * 9 - 4 * 4
    assert not (points > 1).all(axis=1).any()
    np.testing.assert_array_equal(np.unique(cells), np.arange(len(points)))


def test_the_boundary_of_a_rectangle_is_its_four_sides() -> None:
    points, cells = structured(np.linspace(0, 3, 7), np.linspace(0, 1, 4))
    ends = points[boundary_edges(cells, len(points))]
    assert len(ends) == 2 * (6 + 3)
    assert np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum() == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("side", "axis", "value", "length", "edges"),
    [("left", 0, 0, 1, 3), ("right", 0, 3, 1, 3), ("bottom", 1, 0, 3, 6), ("top", 1, 1, 3, 6)],
)
def test_each_side_of_a_rectangle_has_its_name(
    side: str, axis: int, value: float, length: float, edges: int
) -> None:
    mesh = rectangle(np.linspace(0, 3, 7), np.linspace(0, 1, 4))
    facets = mesh.facets[mesh.tags == mesh.names[side]]
    assert facets.shape == (edges, 2)
    nodes = mesh.facet_nodes(side)
    assert len(nodes) == 2 * edges + 1
    assert (np.diff(nodes) > 0).all()
    positions = mesh.node_positions(mesh.points)[nodes]
    np.testing.assert_array_equal(positions[:, axis], value)
    np.testing.assert_allclose(np.sort(positions[:, 1 - axis]), np.linspace(0, length, len(nodes)))


def test_every_boundary_edge_of_a_rectangle_has_one_name() -> None:
    mesh = rectangle(graded(7, 1.5), graded(4, 0.0))
    assert sorted(mesh.names) == ["bottom", "left", "right", "top"]
    assert set(mesh.tags.tolist()) == set(mesh.names.values())
    assert len(mesh.facets) == len(boundary_edges(mesh.cells, mesh.n_vertices))


def test_the_first_part_that_claims_an_edge_wins() -> None:
    points, cells = structured(np.arange(3.0), np.arange(2.0))
    everywhere = np.ones(len(points), dtype=bool)
    mesh = tagged(points, cells, {"floor": points[:, 1] == 0, "rest": everywhere})
    assert np.bincount(mesh.tags).tolist() == [0, 2, 4]


def test_an_edge_without_a_part_is_refused() -> None:
    points, cells = structured(np.arange(3.0), np.arange(2.0))
    with pytest.raises(ValueError, match=r"4 boundary edges belong to no part of \['floor'\]"):
        tagged(points, cells, {"floor": points[:, 1] == 0})


@LAW
@given(st.integers(1, 40), st.floats(1e-3, 5))
def test_graded_points_ascend_symmetrically_from_zero_to_one(n: int, strength: float) -> None:
    points = graded(n, strength)
    assert (points[0], points[-1], len(points)) == (0.0, 1.0, n + 1)
    assert (np.diff(points) > 0).all()
    np.testing.assert_allclose(points + points[::-1], 1.0, atol=1e-12)


def test_graded_points_are_denser_at_both_ends() -> None:
    steps = np.diff(graded(10, 2.0))
    assert (np.diff(steps[:5]) > 0).all()
    assert (np.diff(steps[5:]) < 0).all()


def test_points_without_strength_are_even() -> None:
    np.testing.assert_allclose(graded(8, 0.0), np.linspace(0, 1, 9), atol=1e-15)
    np.testing.assert_allclose(graded(8, 1e-4), np.linspace(0, 1, 9), atol=1e-8)
