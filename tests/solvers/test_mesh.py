"""Laws of reference meshes: their order, their quadratic nodes and their quality."""

import io
import os
import signal
from dataclasses import replace

import gmsh
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from solvers.grids import graded, rectangle, structured, tagged
from solvers.mesh import ReferenceMesh, cell_quality, reorder_for_locality
from solvers.problems.cylinder_mesh import channel_mesh

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True)


def areas(points: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the areas of triangles, the volumes of tetrahedra."""
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    return np.asarray(np.abs(np.linalg.det(edges)) / (2 if points.shape[1] == 2 else 6))


def oblong() -> ReferenceMesh:
    return rectangle(graded(7, 1.5), graded(4, 0.0))


def l_shape() -> ReferenceMesh:
    """Return 3 m^2 of triangles: a square of 4 m^2 without its upper right quarter."""
    keep = np.ones((8, 8), dtype=bool)
    keep[4:, 4:] = False
    axis = np.linspace(0, 2, 9)
    points, cells = structured(axis, axis, keep)
    outer = (points == 0).any(axis=1) | (points == 2).any(axis=1)
    return tagged(points, cells, {"outer": outer, "step": (points >= 1).all(axis=1)})


def cube() -> ReferenceMesh:
    """Return Kuhn's six tetrahedra of the unit cube, their lower faces tagged."""
    points = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    paths = [[0, a, a + b, 7] for a in (1, 2, 4) for b in (1, 2, 4) if a != b]
    lower = np.array([[0, 2, 6], [0, 4, 6]])
    return ReferenceMesh(points, np.array(paths), lower, np.array([1, 1]), {"lower": 1})


BUILDERS = {"oblong": oblong, "l_shape": l_shape, "cube": cube}
flat = pytest.mark.parametrize("mesh", ["oblong", "l_shape"], indirect=True)


@pytest.fixture(params=BUILDERS)
def mesh(request: pytest.FixtureRequest) -> ReferenceMesh:
    return BUILDERS[request.param]()


def shuffled(mesh: ReferenceMesh, seed: int) -> ReferenceMesh:
    """Renumber vertices, cells and facets at random, as a mesh generator might."""
    rng = np.random.default_rng(seed)
    new_to_old = rng.permutation(mesh.n_vertices)
    old_to_new = np.argsort(new_to_old)
    cells = rng.permutation(old_to_new[mesh.cells])
    by_facet = rng.permutation(len(mesh.facets))
    return replace(
        mesh,
        points=mesh.points[new_to_old],
        cells=rng.permuted(cells, axis=1),
        facets=old_to_new[mesh.facets[by_facet]],
        tags=mesh.tags[by_facet],
    )


def shape_set(mesh: ReferenceMesh, simplices: NDArray[np.int64]) -> list[tuple[float, ...]]:
    """Return the simplices as sorted coordinates: what they are, whatever their numbers."""
    corners = mesh.points[simplices]
    return sorted(tuple(v for corner in sorted(s.tolist()) for v in corner) for s in corners)


def band_width(mesh: ReferenceMesh) -> int:
    return int(np.ptp(mesh.cells, axis=1).max())


@pytest.mark.parametrize("seed", range(3))
def test_reordering_is_a_permutation_of_points_cells_and_facets(
    mesh: ReferenceMesh, seed: int
) -> None:
    ordered = reorder_for_locality(shuffled(mesh, seed))
    assert sorted(ordered.points.tolist()) == sorted(mesh.points.tolist())
    assert shape_set(ordered, ordered.cells) == shape_set(mesh, mesh.cells)
    assert shape_set(ordered, ordered.facets) == shape_set(mesh, mesh.facets)


@pytest.mark.parametrize("seed", range(3))
def test_reordering_keeps_areas_and_tags(mesh: ReferenceMesh, seed: int) -> None:
    ordered = reorder_for_locality(shuffled(mesh, seed))
    one, other = (np.sort(areas(m.points, m.cells)) for m in (ordered, mesh))
    np.testing.assert_allclose(one, other, rtol=1e-12)
    assert ordered.names == mesh.names
    for tag in mesh.names.values():
        one_part, other_part = (m.facets[m.tags == tag] for m in (ordered, mesh))
        assert shape_set(ordered, one_part) == shape_set(mesh, other_part)


def test_reordered_vertices_ascend_within_cells_and_cells_among_each_other(
    mesh: ReferenceMesh,
) -> None:
    ordered = reorder_for_locality(shuffled(mesh, 0))
    assert (np.diff(ordered.cells, axis=1) > 0).all()
    assert (np.diff(ordered.facets, axis=1) > 0).all()
    assert ordered.cells.tolist() == sorted(ordered.cells.tolist())
    assert ordered.facets.tolist() == sorted(ordered.facets.tolist())


def test_reordering_brings_neighbours_together() -> None:
    mesh = rectangle(np.linspace(0, 1, 31), np.linspace(0, 1, 31))
    mixed = shuffled(mesh, 0)
    # A row by row numbering has a band of 32; a random one nearly all of the 961.
    assert band_width(mixed) > 900
    assert band_width(reorder_for_locality(mixed)) <= 64


def test_reordering_is_deterministic_and_leaves_its_input_unchanged() -> None:
    mixed = shuffled(l_shape(), 4)
    before = {key: np.copy(value) for key, value in mixed.arrays().items()}
    one, other = reorder_for_locality(mixed).arrays(), reorder_for_locality(mixed).arrays()
    for key, value in mixed.arrays().items():
        np.testing.assert_array_equal(value, before[key])
        np.testing.assert_array_equal(one[key], other[key])


def test_arrays_round_trip_through_a_file(mesh: ReferenceMesh) -> None:
    file = io.BytesIO()
    np.savez(file, **mesh.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        copy = ReferenceMesh.from_arrays(arrays)
    for key in ("points", "cells", "facets", "tags"):
        one, other = getattr(copy, key), getattr(mesh, key)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert dict(copy.names) == dict(mesh.names)


def test_quadratic_nodes_are_vertices_then_edge_midpoints(mesh: ReferenceMesh) -> None:
    nodes = mesh.node_positions(mesh.points)
    assert nodes.shape == (mesh.n_nodes, mesh.gdim)
    np.testing.assert_array_equal(nodes[: mesh.n_vertices], mesh.points)
    for a in range(mesh.gdim + 1):
        for b in range(mesh.gdim + 1):
            if a != b:
                pairs = mesh.cells[:, [a, b]]
                middle = mesh.points[pairs].mean(axis=1)
                np.testing.assert_allclose(nodes[mesh.edge_nodes(pairs)], middle, atol=1e-15)


def test_the_nearest_vertex_of_a_vertex_is_itself(mesh: ReferenceMesh) -> None:
    found = [mesh.nearest_vertex(point + 1e-9) for point in mesh.points]
    assert found == list(range(mesh.n_vertices))


def test_node_positions_follow_an_affine_map_of_the_vertices(mesh: ReferenceMesh) -> None:
    matrix = np.random.default_rng(0).random((mesh.gdim, mesh.gdim))
    moved = mesh.node_positions(mesh.points @ matrix + 1.0)
    np.testing.assert_allclose(moved, mesh.node_positions(mesh.points) @ matrix + 1.0, atol=1e-14)


@flat
def test_a_disc_has_the_euler_characteristic_one(mesh: ReferenceMesh) -> None:
    assert mesh.n_vertices - len(mesh.edge_keys) + len(mesh.cells) == 1


def test_a_cube_has_the_euler_characteristic_one() -> None:
    mesh = cube()
    # Each of the 6 tetrahedra has 4 faces; 12 faces lie on the boundary, the others are shared.
    faces = (6 * 4 + 12) // 2
    assert mesh.n_vertices - len(mesh.edge_keys) + faces - len(mesh.cells) == 1
    assert areas(mesh.points, mesh.cells).sum() == pytest.approx(1.0)


@flat
def test_four_equal_triangles_cover_each_cell(mesh: ReferenceMesh) -> None:
    parts = areas(mesh.node_positions(mesh.points), mesh.triangles).reshape(-1, 4)
    whole = areas(mesh.points, mesh.cells)
    np.testing.assert_allclose(parts, np.repeat(whole[:, None] / 4, 4, axis=1), rtol=1e-11)


@flat
def test_triangles_turn_as_their_cells_and_use_every_node(mesh: ReferenceMesh) -> None:
    parts = np.sign(cell_quality(mesh.node_positions(mesh.points), mesh.triangles))
    whole = np.sign(cell_quality(mesh.points, mesh.cells))
    np.testing.assert_array_equal(parts.reshape(-1, 4), np.repeat(whole[:, None], 4, axis=1))
    np.testing.assert_array_equal(np.unique(mesh.triangles), np.arange(mesh.n_nodes))


ONE_CELL = np.array([[0, 1, 2]])
TRIANGLES = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=3)


@LAW
@given(st.floats(0, 2 * np.pi), st.floats(1e-3, 1e3), st.tuples(*[st.floats(-10, 10)] * 2))
def test_an_equilateral_triangle_has_quality_one(
    angle: float, size: float, centre: tuple[float, float]
) -> None:
    turns = angle + 2 * np.pi / 3 * np.arange(3)
    points = size * (np.array(centre) + np.stack([np.cos(turns), np.sin(turns)], axis=1))
    assert cell_quality(points, ONE_CELL)[0] == pytest.approx(1.0, rel=1e-12)


@LAW
@given(st.floats(-5, 5))
def test_a_degenerate_triangle_has_quality_zero(position: float) -> None:
    points = np.array([[0.0, 0.0], [1.0, 2.0], [position, 2 * position]])
    assert cell_quality(points, ONE_CELL)[0] == pytest.approx(0.0, abs=1e-15)


@LAW
@given(TRIANGLES.filter(lambda corners: len(set(corners)) == 3))
def test_quality_changes_its_sign_with_the_orientation_and_is_at_most_one(
    corners: list[tuple[float, float]],
) -> None:
    # On a grid of 2^-10 products are exact, so that both orientations round alike.
    points = np.round(np.array(corners) * 1024) / 1024 + np.array([[0, 0], [4, 0], [0, 4]])
    one, turned, other = (
        cell_quality(points, np.array([c]))[0] for c in ([0, 1, 2], [1, 2, 0], [0, 2, 1])
    )
    assert one == pytest.approx(turned, rel=1e-12)
    assert one == pytest.approx(-other, rel=1e-12)
    assert 0 < one <= 1 + 1e-12


def test_quality_is_given_for_each_cell() -> None:
    points, cells = structured(np.arange(4.0), np.arange(3.0))
    # Half a square: 4 sqrt(3) / 2 / (1 + 1 + 2).
    np.testing.assert_allclose(cell_quality(points, cells), np.full(12, np.sqrt(3) / 2))


def test_gmsh_leaves_what_the_process_does_at_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    generate = gmsh.model.mesh.generate

    def disturbed(dimension: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        generate(dimension)

    monkeypatch.setattr(gmsh.model.mesh, "generate", disturbed)
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        channel_mesh(0.05, 0.2)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM] * 2
