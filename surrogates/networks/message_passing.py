r"""Message passing on the mesh graph: encoder, M residual layers, decoder.

.. math:: f_i^0 = E(v_i, p_i, x), \quad f^{m+1} = \mathrm{layer}_m(f^m), \quad N_i = D(f_i^M)

with states v (absent in direct mode), scaled positions and marks of prescribed places p, and
scaled inputs x at every node. One time step moves information over at most M edges, as an
explicit scheme does: a change farther away has no effect. Fields of several locations are
carried to one graph (see `surrogates.networks.channels`), over at most one edge more each way.

It is the architecture of the reference for one step; bundling several steps and training through
rollouts are matters of the data and of the training.

References
----------
J. Brandstetter, D. E. Worrall, M. Welling: Message passing neural PDE solvers. ICLR 2022,
arXiv:2202.03376.
"""

from typing import final

from pydantic import PositiveInt
from torch import Tensor, nn

from infra.field_space import FieldSpace
from surrogates.inputs import InputSpec
from surrogates.networks.channels import NodeChannels, base_location
from surrogates.networks.graph import mesh_graph
from surrogates.networks.message_layer import GraphMaps, MessageLayer
from surrogates.networks.node_coding import NodeDecoder, NodeEncoder
from surrogates.surrogate import Mode, NetworkSettings, Surrogate

__all__ = ["MessagePassing", "MessagePassingSettings"]


@final
class MessagePassingSettings(NetworkSettings):
    """Settings of `MessagePassing`.

    Attributes
    ----------
    width
        Features of a node.
    layers
        Number M of layers: how many edges information crosses in one prediction.
    """

    width: PositiveInt = 32
    layers: PositiveInt = 6


@final
class MessagePassing(Surrogate):
    """Message-passing PDE solver; parameters as for `Surrogate`.

    The space needs points and cells of every location.
    """

    name = "message-passing"
    Settings = MessagePassingSettings

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: MessagePassingSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        base, n_channels = base_location(space), len(space.fields) * self.autoregressive
        self.channels = NodeChannels(space)
        self.graph = GraphMaps(mesh_graph(space.points_of(base), space.cells_of(base)))
        self.encoder = NodeEncoder(space, inputs.n_inputs, n_channels, settings.width)
        self.layers = nn.ModuleList(
            MessageLayer(settings.width, inputs.n_inputs, n_channels, space.gdim)
            for _ in range(settings.layers)
        )
        self.decoder = NodeDecoder(settings.width, len(space.fields))

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        values = None if state is None else self.channels.to_nodes(state)
        features = self.encoder(x, values)
        for layer in self.layers:
            features = layer(features, x, values, self.graph)
        return self.channels.to_frames(self.decoder(features))
