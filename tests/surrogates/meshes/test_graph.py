from collections.abc import Callable

import numpy as np
import pytest

from infra.errors import UserError
from solvers.mesh import FloatArray, IntArray
from surrogates.networks.graph import mesh_graph, scaled_points

type Mesh = tuple[FloatArray, IntArray]
type Square = Callable[[int], Mesh]


def test_every_connection_appears_once_in_each_direction(square: Square) -> None:
    points, cells = square(4)
    graph = mesh_graph(points, cells)
    pairs = list(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
    expected = {(a, b) for cell in cells.tolist() for a in cell for b in cell if a != b}
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


def test_edges_are_ordered_by_receiver_and_starts_bound_each_of_them(square: Square) -> None:
    graph = mesh_graph(*square(4))
    assert (np.diff(graph.receivers) >= 0).all()
    for node in range(graph.n_nodes):
        part = slice(graph.starts[node], graph.starts[node + 1])
        assert (graph.receivers[part] == node).all()
    assert graph.starts[-1] == graph.n_edges


def test_features_ignore_shifts_and_units_of_length(square: Square) -> None:
    points, cells = square(4)
    one, other = mesh_graph(points, cells), mesh_graph(1e3 * points + 7, cells)
    np.testing.assert_allclose(one.features, other.features, atol=1e-10)
    assert one.features[:, -1].mean() == pytest.approx(1)


def test_features_of_opposite_directions_have_opposite_relative_positions(square: Square) -> None:
    graph = mesh_graph(*square(3))
    back = np.lexsort((graph.receivers, graph.senders))
    np.testing.assert_array_equal(graph.features[back, :2], -graph.features[:, :2])


def test_intervals_make_a_chain() -> None:
    points = np.linspace(0, 1, 4)[:, None]
    graph = mesh_graph(points, np.array([[0, 1], [1, 2], [2, 3]]))
    assert graph.senders.tolist() == [1, 0, 2, 1, 3, 2]


def test_cells_of_another_mesh_are_refused(square: Square) -> None:
    points, cells = square(3)
    with pytest.raises(UserError, match=r"expected cells with nodes in 0\.\.9"):
        mesh_graph(points[:10], cells)


def test_scaled_points_fill_the_longest_side_and_keep_shapes() -> None:
    points = np.array([[1.0, 5.0], [5.0, 6.0]])
    np.testing.assert_allclose(scaled_points(points), [[-1.0, -0.25], [1.0, 0.25]])
