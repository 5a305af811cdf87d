r"""Structure-preserving operator network on the finite-element degrees of freedom.

The encoder and the decoder are those of the finite-element space: a frame *is* the vector of
degrees of freedom, so nothing is lost on the way in and out. The processor is a learned
multigrid cycle over a ladder of coarse meshes, which couples all nodes. Boundary conditions of
Dirichlet's kind are part of the space, not learned:

.. math::
   N(x, v) = \ell(x) + Z\, D\big(C(E(v, \ell, x))\big) \quad \text{(direct)}, \qquad
   N(x, v) = Z\, D\big(C(E(v, \ell, x))\big) \quad \text{(autoregressive)}

with encoder E, cycles C, decoder D, the mask Z that is zero at prescribed places, and the
lifting :math:`\ell` of the prescribed values (see `surrogates.networks.lifting`). In
autoregressive mode the state v has the prescribed values put in. At last the prescribed places
of the physical frame are overwritten: they are equal to the given values to the last bit.

Fields of several locations share one graph (see `surrogates.networks.channels`); each keeps its
own degrees of freedom.

References
----------
N. Bouziani, N. Boullé: Structure-preserving operator learning (2024), arXiv:2410.01065.
"""

from typing import final

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from infra.field_space import FieldSpace
from surrogates.inputs import InputSpec
from surrogates.networks.channels import NodeChannels, base_location
from surrogates.networks.hierarchy import mesh_hierarchy
from surrogates.networks.lifting import PrescribedValues
from surrogates.networks.multigrid import MultigridCycle, MultigridMaps
from surrogates.networks.node_coding import NodeDecoder, NodeEncoder
from surrogates.surrogate import Mode, NetworkSettings, Surrogate

__all__ = ["Spon", "SponSettings"]


@final
class SponSettings(NetworkSettings):
    """Settings of `Spon`.

    Attributes
    ----------
    width
        Features of a node, on all levels.
    smoothing
        Message-passing layers before and after each coarse level.
    cycles
        V-cycles behind each other, each with its own weights.
    levels
        At most this many levels, the mesh itself counted; None: down to `coarsest` points.
    coarsest
        A level with as few points as this is the last.
    seed
        Of the choice of the coarse points; the same for a saved model and its copy.
    """

    width: PositiveInt = 32
    smoothing: PositiveInt = 1
    cycles: PositiveInt = 1
    levels: PositiveInt | None = None
    coarsest: PositiveInt = 12
    seed: int = Field(0, ge=0)


@final
class Spon(Surrogate):
    """Structure-preserving operator network; parameters as for `Surrogate`.

    The space needs points and cells of every location.
    """

    name = "spon"
    Settings = SponSettings

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: SponSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        self.channels = NodeChannels(space)
        self.prescribed = PrescribedValues(space, inputs)
        base = base_location(space)
        ladder = mesh_hierarchy(
            space.points_of(base),
            space.cells_of(base),
            np.random.default_rng(settings.seed),
            levels=settings.levels,
            coarsest=settings.coarsest,
        )
        self.maps = MultigridMaps(ladder)
        width, p = settings.width, inputs.n_inputs
        n_channels = len(space.fields) * (self.autoregressive + self.prescribed.present)
        self.encoder = NodeEncoder(space, p, n_channels, width)
        self.cycles = nn.ModuleList(
            MultigridCycle(len(ladder), width, p, n_channels, space.gdim, settings.smoothing)
            for _ in range(settings.cycles)
        )
        self.decoder = NodeDecoder(width, len(space.fields))

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        lifting = self._lifting(x)
        values = self._values(lifting, state)
        features = self.encoder(x, values)
        for cycle in self.cycles:
            features = cycle(features, x, values, self.maps)
        frames = self.channels.to_frames(self.decoder(features))
        free = torch.where(self.prescribed.mask, 0.0, frames)
        return free if state is not None or lifting is None else lifting + free

    def _impose(self, prediction: Tensor, inputs: Tensor) -> Tensor:
        return self.prescribed.impose(prediction, inputs)

    def _lifting(self, x: Tensor) -> Tensor | None:
        if not self.prescribed.present:
            return None
        return self.prescribed.lifting(x, self.scaling, self.normalisation)

    def _values(self, lifting: Tensor | None, state: Tensor | None) -> Tensor | None:
        """Return what the network sees at the nodes, (n, B, c): the state, then the lifting."""
        if lifting is not None and state is not None:
            state = torch.where(self.prescribed.mask, lifting, state)
        seen = [self.channels.to_nodes(f) for f in (state, lifting) if f is not None]
        return torch.cat(seen, dim=-1) if seen else None
