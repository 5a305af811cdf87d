from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from infra.errors import UserError
from infra.field_space import FieldSpace
from surrogates.resampling import UniformGrid, grid_over, grid_to_points, mesh_to_grid

type Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(params=[1, 2, 3])
def mesh(request: pytest.FixtureRequest) -> Mesh:
    return _mesh(request.param, 40)


def test_a_linear_function_goes_to_the_grid_exactly(mesh: Mesh) -> None:
    points, cells = mesh
    grid = grid_over(points, 9)
    to_grid, covered = mesh_to_grid(points, cells, grid)
    assert covered.all()
    np.testing.assert_allclose(to_grid.apply(_linear(points)), _linear(grid.points), atol=1e-12)


def test_a_linear_function_comes_back_exactly(mesh: Mesh) -> None:
    points, _ = mesh
    grid = grid_over(points, 5)
    back = grid_to_points(grid, points)
    np.testing.assert_allclose(back.apply(_linear(grid.points)), _linear(points), atol=1e-12)


def test_constants_are_kept_also_outside_the_mesh(mesh: Mesh) -> None:
    points, cells = mesh
    grid = UniformGrid(points.min(axis=0) - 1, points.max(axis=0) + 2, (7,) * points.shape[1])
    to_grid, covered = mesh_to_grid(points, cells, grid)
    assert 0 < covered.sum() < len(covered)
    np.testing.assert_allclose(to_grid.weights.sum(axis=1), 1, atol=1e-12)
    outside = points - 5
    np.testing.assert_allclose(grid_to_points(grid, outside).weights.sum(axis=1), 1, atol=1e-12)


def test_the_way_there_and_back_is_of_second_order() -> None:
    errors = []
    for count in (8, 16, 32):
        axis = np.linspace(0, 1, count + 1)
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        # Inner points move, so that mesh and grid differ everywhere.
        shift = 0.3 / count * np.prod(np.sin(np.pi * points), axis=1, keepdims=True)
        points = points + shift
        grid = grid_over(points, count + 3)
        to_grid, _ = mesh_to_grid(points, Delaunay(points).simplices.astype(np.int64), grid)
        values = np.sin(3 * points[:, 0]) * np.cos(2 * points[:, 1])
        there_and_back = grid_to_points(grid, points).apply(to_grid.apply(values))
        errors.append(np.abs(there_and_back - values).max())
    assert np.log2(errors[0] / errors[2]) / 2 >= 1.8


def test_a_grid_of_the_meshs_own_points_is_the_identity_in_any_order(
    square_space: Callable[..., FieldSpace],
) -> None:
    space = square_space(6)
    order = np.random.default_rng(0).permutation(49)
    points = space.points["vertex"][order]
    cells = np.argsort(order)[space.cells["vertex"]]
    grid = grid_over(points)
    assert grid.shape == (7, 7)
    to_grid, _ = mesh_to_grid(points, cells, grid)
    values = np.random.default_rng(1).random(49)
    there_and_back = grid_to_points(grid, points).apply(to_grid.apply(values))
    np.testing.assert_allclose(there_and_back, values, atol=1e-12)


def test_a_hole_is_not_covered() -> None:
    axis = np.linspace(0, 1, 9)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    cells = Delaunay(points).simplices.astype(np.int64)
    middle = np.abs(points[cells].mean(axis=1) - 0.5).max(axis=1)
    grid = grid_over(points, 17)
    _, covered = mesh_to_grid(points, cells[middle > 0.25], grid)
    expected = np.abs(grid.points - 0.5).max(axis=1) >= 0.25
    np.testing.assert_array_equal(covered, expected)


def test_a_grid_point_outside_takes_the_nearest_value() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    grid = UniformGrid(np.zeros(2), np.ones(2), (21, 21))
    to_grid, covered = mesh_to_grid(points, np.array([[0, 1, 2]]), grid)
    values = to_grid.apply(np.array([0.0, 1.0, 2.0])).reshape(21, 21)
    assert covered.sum() == 21 * 22 / 2
    assert values[20, 1] == 1.0
    assert values[1, 20] == 2.0


def test_cells_without_volume_hold_no_point() -> None:
    points = np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [0.0, 1.0]])
    cells = np.array([[0, 1, 2], [0, 2, 3]])
    grid = UniformGrid(np.zeros(2), np.ones(2), (5, 5))
    to_grid, covered = mesh_to_grid(points, cells, grid)
    assert np.isfinite(to_grid.weights).all()
    assert covered.sum() == 15


def test_the_grid_has_about_as_many_points_as_the_mesh(mesh: Mesh) -> None:
    points, _ = mesh
    count = np.prod(grid_over(points).shape)
    assert len(points) / 3 <= count <= max(3 * len(points), 4 ** points.shape[1])


def test_equal_sides_have_equal_spacing() -> None:
    points = np.random.default_rng(0).random((200, 2)) * [2.2, 0.4]
    points = np.concatenate([points, [[0, 0], [2.2, 0.4]]])
    grid = grid_over(points, 56)
    assert grid.shape == (56, 11)
    np.testing.assert_allclose(grid.spacing, 0.04, rtol=1e-2)


def test_a_flat_box_or_a_low_resolution_is_a_users_error() -> None:
    flat = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    with pytest.raises(UserError, match="extends along each of its axes"):
        grid_over(flat)
    with pytest.raises(UserError, match="Raise `resolution`"):
        grid_over(np.array([[0.0, 0.0], [1.0, 1.0]]), 3)


def _linear(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2.0 + points @ np.arange(1.0, points.shape[1] + 1))


def _mesh(gdim: int, count: int) -> Mesh:
    """Return random points and the corners of a box, with simplices that fill it."""
    inner = np.random.default_rng(gdim).random((count, gdim))
    corners = np.stack(np.meshgrid(*[(0.0, 1.0)] * gdim, indexing="ij"), -1).reshape(-1, gdim)
    points = np.concatenate([inner, corners]) * np.arange(1, gdim + 1)
    if gdim == 1:
        order = np.argsort(points[:, 0])
        return points, np.stack([order[:-1], order[1:]], axis=1)
    return points, Delaunay(points).simplices.astype(np.int64)


def test_the_order_of_a_cells_corners_does_not_matter() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    grid = UniformGrid(np.zeros(2), np.ones(2), (6, 6))
    values = np.array([1.0, 2.0, 4.0])
    images = [
        mesh_to_grid(points, np.array([order]), grid)[0].apply(values)
        for order in permutations(range(3))
    ]
    for image in images[1:]:
        np.testing.assert_allclose(image, images[0], atol=1e-12)
