r"""A learned V-cycle: message passing on every level of a ladder of meshes.

.. math::
   f^l &\leftarrow S_l(f^l), \quad f^{l+1} = A_l R_l f^l && \text{(down)} \\
   f^l &\leftarrow S'_l\big(f^l + B_l P_l f^{l+1}\big) && \text{(up)}

with smoothers S of a few message-passing layers, linear prolongations P, restrictions R
(transposed prolongations with rows that sum to one), and matrices A, B on the features. The sum
in the second line is the skip connection. One cycle couples all nodes at the price of about
8/3 (2D) smoothers on the finest level.
"""

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

from surrogates.networks.hierarchy import MeshLevel
from surrogates.networks.message_layer import GraphMaps, MessageLayer
from surrogates.networks.sparse import SparseMap

__all__ = ["MultigridCycle", "MultigridMaps"]


@final
class MultigridMaps(nn.Module):
    """The graphs of the levels and the maps between them; cycles share it.

    Parameters
    ----------
    ladder : finest level first
    """

    def __init__(self, ladder: Sequence[MeshLevel]) -> None:
        super().__init__()
        self.graphs = nn.ModuleList(GraphMaps(level.graph) for level in ladder)
        self.prolong = nn.ModuleList(SparseMap(level.prolongation) for level in ladder[1:])
        self.restrict = nn.ModuleList(SparseMap(level.restriction) for level in ladder[1:])


@final
class MultigridCycle(nn.Module):
    """One V-cycle; letters: n nodes, B items, h features, c channels, p inputs, L levels.

    Parameters
    ----------
    n_levels : L
    width : h, the same on all levels
    n_inputs : p
    n_channels : c, of the finest level
    gdim : dimension of the space
    smoothing : layers of a smoother; the coarsest level has twice as many
    """

    def __init__(
        self,
        n_levels: int,
        width: int,
        n_inputs: int,
        n_channels: int,
        gdim: int,
        smoothing: int,
    ) -> None:
        super().__init__()

        def smoother(level: int, layers: int) -> nn.ModuleList:
            channels = n_channels if level == 0 else 0
            return nn.ModuleList(
                MessageLayer(width, n_inputs, channels, gdim) for _ in range(layers)
            )

        above = range(n_levels - 1)
        self.down = nn.ModuleList(smoother(level, smoothing) for level in above)
        self.up = nn.ModuleList(smoother(level, smoothing) for level in above)
        self.coarsest = smoother(n_levels - 1, 2 * smoothing)
        self.descend = nn.ModuleList(nn.Linear(width, width) for _ in above)
        self.ascend = nn.ModuleList(nn.Linear(width, width) for _ in above)

    def forward(
        self, features: Tensor, x: Tensor, values: Tensor | None, maps: MultigridMaps
    ) -> Tensor:
        """Return the new features of the finest level.

        Parameters
        ----------
        features : (n, B, h)
        x : (B, p) scaled inputs
        values : (n, B, c), or None
        maps : of the ladder
        """
        skipped = []
        for level, smoother in enumerate(self.down):
            features = _smooth(smoother, features, x, values, maps.graphs[level])
            skipped.append(features)
            features = self.descend[level](maps.restrict[level](features))
        features = _smooth(self.coarsest, features, x, values, maps.graphs[len(skipped)])
        for level in reversed(range(len(skipped))):
            # The matrix comes first: it commutes with the prolongation and is cheaper there.
            features = skipped[level] + maps.prolong[level](self.ascend[level](features))
            features = _smooth(self.up[level], features, x, values, maps.graphs[level])
        return features


def _smooth(
    layers: nn.Module, features: Tensor, x: Tensor, values: Tensor | None, graph: nn.Module
) -> Tensor:
    assert isinstance(layers, nn.ModuleList)
    for layer in layers:
        features = layer(features, x, values, graph)
    return features
