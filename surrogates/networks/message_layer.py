r"""One message-passing layer on a mesh graph, conditioned by the inputs.

.. math::
   m_i &= \frac{1}{|N(i)|} \sum_{j \in N(i)} \sigma\big(W_r g_i + W_s g_j + W_u (u_i - u_j)
          + W_e e_{ij} + W_x x + b\big), \qquad g = \mathrm{norm}(f) \\
   f_i &\leftarrow f_i + V\, \sigma\big(V_g g_i + V_m m_i + V_x x + c\big)

with features f, edge features e (relative position and length), the physical values u that the
network started from, and the scaled inputs x. A linear map after :math:`\sigma` of a message
would commute with the mean, so it is part of :math:`V_m`: no matrix is applied edge by edge.

The normalisation (LayerNorm) acts within each node: a normalisation over the nodes would make
every node depend on all of them, and a network of M layers would no longer be local.

After Brandstetter, Worrall, Welling: Message passing neural PDE solvers (2022),
arXiv:2202.03376.
"""

from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from surrogates.networks.edge_mean import EdgeMean
from surrogates.networks.graph import MeshGraph

__all__ = ["GraphMaps", "MessageLayer"]


@final
class GraphMaps(nn.Module):
    """A mesh graph as the layers use it: features of the edges, and the mean over neighbours.

    Parameters
    ----------
    graph : MeshGraph
    """

    features: Tensor

    def __init__(self, graph: MeshGraph) -> None:
        super().__init__()
        self.mean = EdgeMean(graph)
        features = torch.tensor(graph.features.astype(np.float32))
        self.register_buffer("features", features, persistent=False)


@final
class MessageLayer(nn.Module):
    """A residual layer; letters: n nodes, B items, h features, c channels, p inputs.

    Parameters
    ----------
    width : h
    n_inputs : p
    n_channels : c; zero if there are no physical values
    gdim : dimension of the space
    """

    def __init__(self, width: int, n_inputs: int, n_channels: int, gdim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.receive = nn.Linear(width, width, bias=False)
        self.send = nn.Linear(width, width, bias=False)
        self.differ = nn.Linear(n_channels, width, bias=False) if n_channels else None
        self.edge = nn.Linear(gdim + 1, width, bias=False)
        self.inputs = nn.Linear(n_inputs, 2 * width)
        self.own = nn.Linear(width, width, bias=False)
        self.heard = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(
        self, features: Tensor, inputs: Tensor, values: Tensor | None, maps: GraphMaps
    ) -> Tensor:
        """Return the new features.

        Parameters
        ----------
        features : (n, B, h)
        inputs : (B, p) scaled
        values : (n, B, c), or None if the layer has no channels
        maps : of the graph
        """
        normal = self.norm(features)
        for_message, for_update = self.inputs(inputs).chunk(2, dim=-1)
        # In place: new memory for the nodes costs more than the sums themselves.
        received, sent = self.receive(normal).add_(for_message), self.send(normal)
        if self.differ is not None and values is not None:
            difference = self.differ(values)
            received, sent = received.add_(difference), sent.sub_(difference)
        mean = maps.mean(received, sent, self.edge(maps.features))
        before = self.own(normal).add_(self.heard(mean)).add_(for_update)
        update: Tensor = self.out(functional.silu(before))
        return features + update
