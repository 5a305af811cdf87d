from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from solvers.mesh import FloatArray, IntArray
from surrogates.networks import edge_mean
from surrogates.networks.edge_mean import EdgeMean
from surrogates.networks.graph import MeshGraph, mesh_graph

type Mesh = tuple[FloatArray, IntArray]
type Square = Callable[[int], Mesh]


def plain(graph: MeshGraph, received: Tensor, sent: Tensor, edges: Tensor) -> Tensor:
    """The formula with arrays over all edges."""
    into, out = torch.tensor(graph.receivers), torch.tensor(graph.senders)
    messages = functional.silu(received[into] + sent[out] + edges[:, None, :])
    degree = torch.tensor(np.maximum(np.diff(graph.starts), 1))
    return torch.zeros_like(received).index_add_(0, into, messages) / degree[:, None, None]


def some_values(graph: MeshGraph, dtype: torch.dtype) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = [(graph.n_nodes, 2, 3), (graph.n_nodes, 2, 3), (graph.n_edges, 3)]
    return [torch.randn(*s, generator=draw, dtype=dtype).requires_grad_() for s in shapes]


def test_means_and_gradients_are_those_of_the_plain_formula(square: Square) -> None:
    graph = mesh_graph(*square(4))
    values = some_values(graph, torch.float32)
    means = [EdgeMean(graph)(*values), plain(graph, *values)]
    torch.testing.assert_close(means[0], means[1])
    weights = torch.randn_like(means[0])
    ours, theirs = (torch.autograd.grad((m * weights).sum(), values) for m in means)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_the_size_of_the_blocks_does_not_matter(
    square: Square, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = mesh_graph(*square(4))
    values = some_values(graph, torch.float32)
    whole = EdgeMean(graph)(*values)
    gradients = torch.autograd.grad(whole.square().sum(), values)
    for block in (1, 64, 500):
        monkeypatch.setattr(edge_mean, "_BLOCK", block)
        parts = EdgeMean(graph)(*values)
        torch.testing.assert_close(parts, whole)
        again = torch.autograd.grad(parts.square().sum(), values)
        torch.testing.assert_close(again, gradients)


def test_double_precision_passes_the_finite_difference_check(square: Square) -> None:
    graph = mesh_graph(*square(1))
    values = some_values(graph, torch.float64)
    assert torch.autograd.gradcheck(EdgeMean(graph), tuple(values))


def test_a_node_without_neighbours_hears_nothing() -> None:
    points = np.array([[0.0], [1.0], [5.0]])
    graph = mesh_graph(points, np.array([[0, 1]]))
    values = some_values(graph, torch.float32)
    assert EdgeMean(graph)(*values)[2].abs().sum() == 0
