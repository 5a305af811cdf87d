r"""DeepONet: a branch network on inputs and state, a trunk network on positions.

.. math:: N_f(x, v)(y) = \beta_f + \frac{1}{\sqrt{q}} \sum_{k=1}^{q} b_{fk}(x, v)\, t_k(y)

for field f at position y: one trunk serves all fields, each field has q outputs of the branch.
The branch sees a state through at most `sensors` of its values, evenly chosen.

References
----------
L. Lu, P. Jin, G. Pang, Z. Zhang, G. E. Karniadakis: Learning nonlinear operators via DeepONet based
on the universal approximation theorem of operators. Nature Machine Intelligence 3 (2021) 218-229,
doi:10.1038/s42256-021-00302-5.
"""

import math
from typing import final

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from infra.field_space import FieldSpace
from surrogates.inputs import InputSpec
from surrogates.networks.mlp import Activation, activation, perceptron
from surrogates.surrogate import Mode, NetworkSettings, Surrogate

__all__ = ["DeepONet", "DeepONetSettings"]


@final
class DeepONetSettings(NetworkSettings):
    """Settings of `DeepONet`.

    Attributes
    ----------
    branch, trunk
        Widths of the hidden layers.
    basis
        The number q of basis functions.
    sensors
        Largest number of values of a state that the branch sees.
    activation
        After every hidden layer, and after the trunk's last.
    """

    branch: tuple[PositiveInt, ...] = Field((128, 128), min_length=1)
    trunk: tuple[PositiveInt, ...] = Field((128, 128), min_length=1)
    basis: PositiveInt = 128
    sensors: PositiveInt = 1024
    activation: Activation = "gelu"


@final
class DeepONet(Surrogate):
    """DeepONet; parameters as for `Surrogate`. It needs points, but no cells."""

    name = "deeponet"
    Settings = DeepONetSettings
    sensors: Tensor

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: DeepONetSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        n_sensors = min(settings.sensors, space.n_values) if self.autoregressive else 0
        chosen = np.linspace(0, space.n_values - 1, n_sensors).round().astype(np.int64)
        self.register_buffer("sensors", torch.from_numpy(chosen), persistent=False)
        self._register_positions(space)
        n_fields, kind = len(space.fields), settings.activation
        first = inputs.n_inputs + n_sensors
        self.branch = perceptron((first, *settings.branch, n_fields * settings.basis), kind)
        trunk = perceptron((space.gdim, *settings.trunk, settings.basis), kind)
        self.trunk = nn.Sequential(trunk, activation(kind))
        self.offset = nn.Parameter(torch.zeros(n_fields))

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        seen = x if state is None else torch.cat([x, state[:, self.sensors]], dim=1)
        coefficients = self.branch(seen).reshape(len(x), len(self.space.fields), -1)
        coefficients = coefficients / math.sqrt(coefficients.shape[-1])
        bases = {place: self.trunk(getattr(self, f"at_{place}")) for place in self.space.locations}
        parts = [
            coefficients[:, i] @ bases[info.location].T + self.offset[i]
            for i, info in enumerate(self.space.fields)
        ]
        return torch.cat(parts, dim=1)

    def _register_positions(self, space: FieldSpace) -> None:
        """Keep the positions of each location, scaled by one box to [-1, 1]."""
        first = space.points_of(space.locations[0])
        low, high = first.min(axis=0), first.max(axis=0)
        width = np.where(high > low, high - low, 1.0)
        for location in space.locations:
            scaled = 2 * (space.points_of(location) - low) / width - 1
            positions = torch.from_numpy(scaled.astype(np.float32))
            self.register_buffer(f"at_{location}", positions, persistent=False)
