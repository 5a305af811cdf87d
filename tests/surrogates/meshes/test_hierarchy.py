from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import Delaunay

from solvers.mesh import FloatArray, IntArray
from surrogates.networks.coarsening import boundary_classes, independent_nodes
from surrogates.networks.graph import mesh_graph
from surrogates.networks.hierarchy import MeshLevel, mesh_hierarchy
from surrogates.networks.prolongation import locate

type Mesh = tuple[FloatArray, IntArray]
type Square = Callable[[int], Mesh]


def ladder_of(points: FloatArray, cells: IntArray, **options: int) -> tuple[MeshLevel, ...]:
    return mesh_hierarchy(points, cells, np.random.default_rng(0), **options)


@pytest.fixture
def cube() -> Mesh:
    axis = np.linspace(0, 1, 9)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    inside = ((points > 0) & (points < 1)).all(axis=1)
    moved = points + 0.03 * inside[:, None] * np.random.default_rng(0).normal(size=points.shape)
    return points, Delaunay(moved).simplices.astype(np.int64)


def test_constants_are_carried_exactly_in_both_directions(plate: Mesh) -> None:
    for level in ladder_of(*plate)[1:]:
        coarse, fine = np.ones(level.graph.n_nodes), np.ones(level.prolongation.shape[0])
        np.testing.assert_allclose(level.prolongation @ coarse, fine, rtol=0, atol=1e-15)
        np.testing.assert_allclose(level.restriction @ fine, coarse, rtol=0, atol=1e-15)


def test_linear_functions_are_carried_exactly_within_the_coarse_cells(plate: Mesh) -> None:
    ladder = ladder_of(*plate)
    assert len(ladder) > 3
    for finer, level in pairwise(ladder):
        cell, _ = locate(level.graph.points, level.cells, finer.graph.points)
        inside = cell >= 0
        assert inside.mean() > 0.5
        value = finer.graph.points @ [2.0, -3.0] + 1.0
        carried = level.prolongation @ value[level.kept]
        np.testing.assert_allclose(carried[inside], value[inside], rtol=0, atol=1e-12)


def test_carried_values_stay_between_the_coarse_ones(plate: Mesh) -> None:
    for level in ladder_of(*plate)[1:]:
        assert level.prolongation.data.min() > -1e-9
        assert level.prolongation.data.max() < 1 + 1e-9


def test_sizes_fall_about_fourfold_in_the_plane(square: Square) -> None:
    sizes = [level.graph.n_nodes for level in ladder_of(*square(48))]
    factors = np.array(sizes[:-1]) / sizes[1:]
    assert sizes[-1] <= 12
    assert (factors > 2.0).all()
    assert 3.2 < (sizes[0] / sizes[2]) ** 0.5 < 5.0


def test_the_ladder_does_not_depend_on_the_numbering(square: Square) -> None:
    points, cells = square(10)
    new = np.random.default_rng(3).permutation(len(points))
    old = np.argsort(new)
    one, other = ladder_of(points, cells), ladder_of(points[old], new[cells])
    for a, b in zip(one, other, strict=True):
        pa, pb = a.graph.points, b.graph.points
        np.testing.assert_array_equal(pa[np.lexsort(pa.T)], pb[np.lexsort(pb.T)])


def test_kept_points_are_independent_and_every_other_has_one_as_neighbour(square: Square) -> None:
    points, cells = square(12)
    graph = mesh_graph(points, cells)
    kept = independent_nodes(graph, boundary_classes(points, cells), np.random.default_rng(0))
    chosen = np.isin(np.arange(len(points)), kept)
    assert not (chosen[graph.senders] & chosen[graph.receivers]).any()
    heard = np.zeros(len(points), np.bool_)
    heard[graph.receivers[chosen[graph.senders]]] = True
    assert (chosen | heard).all()


def test_kept_points_pass_their_own_value_on(plate: Mesh) -> None:
    for level in ladder_of(*plate)[1:]:
        rows = level.prolongation[level.kept].toarray()
        np.testing.assert_array_equal(rows, np.eye(len(level.kept)))


def test_corners_of_the_square_stay_to_the_last_level(square: Square) -> None:
    last = ladder_of(*square(16))[-1].graph.points
    corners = {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)}
    assert corners <= set(map(tuple, last.tolist()))


def test_boundary_classes_tell_corners_from_sides_and_inside(square: Square, cube: Mesh) -> None:
    points, cells = square(6)
    on = ((points == 0) | (points == 1)).sum(axis=1)
    np.testing.assert_array_equal(boundary_classes(points, cells), on)
    points, cells = cube
    on = ((points == 0) | (points == 1)).sum(axis=1)
    np.testing.assert_array_equal(boundary_classes(points, cells), on)


def test_no_coarse_cell_lies_in_a_hole(plate: Mesh) -> None:
    for level in ladder_of(*plate)[1:]:
        centres = level.graph.points[level.cells].mean(axis=1)
        assert not (np.abs(centres - 0.5) < 0.124).all(axis=1).any()


def test_tetrahedra_fall_faster_and_intervals_twofold(cube: Mesh) -> None:
    sizes = [level.graph.n_nodes for level in ladder_of(*cube)]
    assert len(sizes) > 2
    assert sizes[0] / sizes[1] > 4
    line = np.linspace(0, 1, 65)[:, None]
    chain = ladder_of(line, np.stack([np.arange(64), np.arange(1, 65)], axis=1))
    sizes = [level.graph.n_nodes for level in chain]
    assert len(sizes) > 2
    assert all(1.5 < a / b < 3.1 for a, b in pairwise(sizes))
    for level in chain[1:]:
        assert {0.0, 1.0} <= set(level.graph.points[:, 0].tolist())


def test_levels_can_be_limited_and_a_small_mesh_stays_alone(square: Square) -> None:
    assert len(ladder_of(*square(16), levels=2)) == 2
    assert len(ladder_of(*square(2))) == 1
    assert len(ladder_of(*square(16), coarsest=1)) >= 3
