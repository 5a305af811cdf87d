from collections.abc import Callable

import numpy as np

from solvers.mesh import FloatArray, IntArray, ReferenceMesh
from surrogates.networks.prolongation import cell_shape, locate, p1_interpolation

type Mesh = tuple[FloatArray, IntArray]
type Square = Callable[[int], Mesh]


def linear(points: np.ndarray) -> np.ndarray:
    return 3.0 + points @ np.arange(1, points.shape[1] + 1)


def test_linear_functions_are_met_exactly_inside(square: Square) -> None:
    points, cells = square(5)
    targets = np.random.default_rng(0).uniform(size=(200, 2))
    matrix = p1_interpolation(points, cells, targets)
    np.testing.assert_allclose(matrix @ linear(points), linear(targets), atol=1e-13)


def test_outside_values_stay_between_those_of_a_cell_and_rows_sum_to_one(square: Square) -> None:
    points, cells = square(5)
    targets = np.random.default_rng(0).uniform(-0.5, 1.5, size=(200, 2))
    matrix = p1_interpolation(points, cells, targets)
    assert matrix.data.min() >= -1e-10
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-14)


def test_a_point_outside_takes_the_values_of_the_side_that_it_is_near(square: Square) -> None:
    points, cells = square(5)
    matrix = p1_interpolation(points, cells, np.array([[0.5, 1.01], [-0.02, 0.5]]))
    np.testing.assert_allclose(matrix @ points, [[0.5, 1.0], [0.0, 0.5]], atol=0.02)


def test_the_points_themselves_take_their_own_values_alone(square: Square) -> None:
    points, cells = square(5)
    matrix = p1_interpolation(points, cells, points)
    np.testing.assert_array_equal(matrix.toarray(), np.eye(len(points)))


def test_the_midpoint_of_an_edge_takes_the_mean_of_its_ends(channel: ReferenceMesh) -> None:
    nodes = channel.node_positions(channel.points)
    matrix = p1_interpolation(channel.points, channel.cells, nodes)
    low, high = np.divmod(channel.edge_keys, channel.n_vertices)
    pressure = np.random.default_rng(0).normal(size=channel.n_vertices)
    np.testing.assert_allclose(
        (matrix @ pressure)[channel.n_vertices :], 0.5 * (pressure[low] + pressure[high])
    )
    np.testing.assert_array_equal((matrix @ pressure)[: channel.n_vertices], pressure)


def test_points_in_a_hole_are_in_no_cell(plate: Mesh) -> None:
    cell, _ = locate(*plate, np.array([[0.5, 0.5], [0.1, 0.1], [2.0, 0.0]]))
    assert (cell >= 0).tolist() == [False, True, False]


def test_a_cell_without_volume_holds_no_point() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    cells = np.array([[0, 1, 2], [0, 1, 3]])
    assert cell_shape(points, cells)[0] == 0
    cell, _ = locate(points, cells, np.array([[0.5, 0.0], [1.5, 0.0]]))
    assert cell.tolist() == [1, -1]


def test_tetrahedra_and_intervals_work_alike() -> None:
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    inside = rng.dirichlet(np.ones(4), 20) @ corners
    matrix = p1_interpolation(corners, np.array([[0, 1, 2, 3]]), inside)
    np.testing.assert_allclose(matrix @ linear(corners), linear(inside), atol=1e-13)
    line, places = np.linspace(0, 1, 4)[:, None], rng.uniform(size=(20, 1))
    matrix = p1_interpolation(line, np.array([[0, 1], [1, 2], [2, 3]]), places)
    np.testing.assert_allclose(matrix @ linear(line), linear(places), atol=1e-13)
