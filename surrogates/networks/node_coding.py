"""From the values at the nodes to features, and from features to values."""

from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from infra.field_space import FieldSpace
from surrogates.networks.channels import NodeChannels, base_location
from surrogates.networks.graph import scaled_points

__all__ = ["NodeDecoder", "NodeEncoder"]


@final
class NodeEncoder(nn.Module):
    """Features of the nodes; letters: n nodes, B items, h features, c channels, p inputs.

    A node knows its scaled position, which fields are prescribed at it, the inputs, and the
    channels where there are some.

    Parameters
    ----------
    space : FieldSpace
    n_inputs : p
    n_channels : c, may be zero
    width : h
    """

    static: Tensor

    def __init__(self, space: FieldSpace, n_inputs: int, n_channels: int, width: int) -> None:
        super().__init__()
        known = _static(space)
        self.register_buffer("static", known, persistent=False)
        self.place = nn.Linear(known.shape[1], width, bias=False)
        self.inputs = nn.Linear(n_inputs, width)
        self.values = nn.Linear(n_channels, width, bias=False) if n_channels else None
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, values: Tensor | None) -> Tensor:
        """Return (n, B, h) from scaled inputs (B, p) and channels (n, B, c) or None."""
        features: Tensor = self.place(self.static)[:, None, :] + self.inputs(x)
        if self.values is not None and values is not None:
            features = features + self.values(values)
        result: Tensor = self.out(functional.silu(features))
        return result


@final
class NodeDecoder(nn.Module):
    """Values at the nodes from their features.

    Parameters
    ----------
    width : h
    n_fields : number of fields
    """

    def __init__(self, width: int, n_fields: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, n_fields)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, B, fields) from (n, B, h)."""
        result: Tensor = self.out(functional.silu(self.hidden(self.norm(features))))
        return result


def _static(space: FieldSpace) -> Tensor:
    """Return what does not depend on the item, (n, gdim + prescribed fields)."""
    points = scaled_points(space.points_of(base_location(space)))
    marks = np.zeros((1, space.n_values), np.float32)
    for entry in space.prescribed:
        marks[0, space.slices[entry.field]][entry.nodes] = 1.0
    at_nodes = NodeChannels(space).to_nodes(torch.tensor(marks))[:, 0, :]
    used = [i for i, f in enumerate(space.fields) if marks[0, space.slices[f.name]].any()]
    return torch.cat([torch.tensor(points.astype(np.float32)), at_nodes[:, used]], dim=1)
