r"""The mean of the messages into each node, without any array over all edges in memory.

.. math::
   m_i = \frac{1}{|N(i)|} \sum_{j \in N(i)} \sigma(r_i + s_j + e_{ij}),
   \qquad \sigma(z) = \frac{z}{1 + e^{-z}}

Arrays over edges are several times as large as those over nodes, and it is their memory that
costs most on a CPU. So blocks of edges, small enough for the cache, are formed, summed and
forgotten; the backward pass forms them again. A GPU, which has the memory, takes all edges at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from surrogates.networks.graph import MeshGraph

__all__ = ["EdgeMean"]

# Numbers in one block of edges: 4 MB in float32.
_BLOCK = 1 << 20


@final
class EdgeMean(nn.Module):
    """Means over a graph; letters: n nodes, e edges, B items, h features.

    Parameters
    ----------
    graph : MeshGraph
    """

    senders: Tensor
    receivers: Tensor
    starts: Tensor
    share: Tensor
    count: Tensor

    def __init__(self, graph: MeshGraph) -> None:
        super().__init__()
        self._bounds = graph.starts
        degree = np.diff(graph.starts)
        for name, array in (
            ("senders", graph.senders),
            ("receivers", graph.receivers),
            ("starts", graph.starts),
            ("count", np.arange(graph.n_edges)),
            ("share", 1.0 / np.maximum(degree, 1)),
        ):
            self.register_buffer(name, torch.tensor(array), persistent=False)
        self.share = self.share.float()

    def forward(self, received: Tensor, sent: Tensor, edges: Tensor) -> Tensor:
        """Return the means (n, B, h).

        Parameters
        ----------
        received, sent : (n, B, h) what a node adds to the messages that it gets and sends
        edges : (e, h) what an edge adds
        """
        result: Tensor = _Mean.apply(received.contiguous(), sent.contiguous(), edges, self)
        return result

    def blocks(self, values: Tensor) -> Iterator["_Block"]:
        """Yield the edges in blocks that hold whole nodes; values are (n, B, h)."""
        size = max(_BLOCK // max(values[0].numel(), 1), 1)
        size = len(self.senders) if values.is_cuda else size
        bounds, node = self._bounds, 0
        while node < len(values):
            last = int(np.searchsorted(bounds, bounds[node] + size, side="right")) - 1
            last = max(last, node + 1)
            if bounds[last] > bounds[node]:
                yield _Block(slice(node, last), slice(int(bounds[node]), int(bounds[last])))
            node = last

    def sums(self, block: "_Block", messages: Tensor) -> Tensor:
        """Return the sums (nodes, B, h) of the messages (edges, B, h) of a block."""
        nodes, edges = block.nodes, block.edges
        starts = self.starts[nodes.start : nodes.stop + 1] - edges.start
        table = messages.view(len(messages), -1)
        count = self.count[: len(messages)]
        result = functional.embedding_bag(
            count, table, starts, mode="sum", include_last_offset=True
        )
        return result.view(-1, *messages.shape[1:])


@final
@dataclass(frozen=True)
class _Block:
    nodes: slice
    edges: slice


class _Mean(torch.autograd.Function):
    """The mean; what a block needs is computed again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, received: Tensor, sent: Tensor, edges: Tensor, graph: EdgeMean) -> Tensor:
        ctx.save_for_backward(received, sent, edges)
        ctx.graph = graph
        mean = torch.zeros_like(received)
        for block in graph.blocks(received):
            messages = _before(block, received, sent, edges, graph)
            functional.silu(messages, inplace=True)
            mean[block.nodes] = graph.sums(block, messages)
        return mean.mul_(graph.share.to(mean.dtype)[:, None, None])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        received, sent, edges = ctx.saved_tensors
        graph: EdgeMean = ctx.graph
        shared = gradient * graph.share.to(gradient.dtype)[:, None, None]
        to_received, to_sent = torch.zeros_like(received), torch.zeros_like(sent)
        to_edges = torch.zeros_like(edges)
        for block in graph.blocks(received):
            part = block.edges
            before = _before(block, received, sent, edges, graph)
            of_edges = shared.index_select(0, graph.receivers[part])
            of_edges = torch.ops.aten.silu_backward(of_edges, before)
            to_received[block.nodes] = graph.sums(block, of_edges)
            to_sent.index_add_(0, graph.senders[part], of_edges)
            to_edges[part] = of_edges.sum(dim=1)
        return to_received, to_sent, to_edges, None


def _before(
    block: _Block, received: Tensor, sent: Tensor, edges: Tensor, graph: EdgeMean
) -> Tensor:
    """Return the messages (edges, B, h) of a block before the activation."""
    part = block.edges
    messages = received.index_select(0, graph.receivers[part])
    messages += sent.index_select(0, graph.senders[part])
    messages += edges[part, None, :]
    return messages
