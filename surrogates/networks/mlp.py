r"""Multilayer perceptron from the inputs, and the state where there is one, to all values.

.. math:: h_0 = (x, v), \quad h_{l+1} = \sigma(W_l h_l + b_l), \quad N = W_L h_L + b_L

It knows no mesh. As in the papers on online training, the default has two hidden layers of 256.

References
----------
L. Meyer, M. Schouler, R. A. Caulk, A. Ribes, B. Raffin: High throughput training of deep
surrogates from large ensemble runs. SC 2023, arXiv:2309.16743.
"""

from itertools import pairwise
from typing import Literal, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from infra.field_space import FieldSpace
from surrogates.inputs import InputSpec
from surrogates.surrogate import Mode, NetworkSettings, Surrogate

__all__ = ["Activation", "Mlp", "MlpSettings", "activation", "perceptron"]

type Activation = Literal["relu", "gelu", "silu", "tanh"]


@final
class MlpSettings(NetworkSettings):
    """Settings of `Mlp`.

    Attributes
    ----------
    hidden
        Widths of the hidden layers.
    activation
        After every hidden layer.
    """

    hidden: tuple[PositiveInt, ...] = Field((256, 256), min_length=1)
    activation: Activation = "relu"


@final
class Mlp(Surrogate):
    """Multilayer perceptron; parameters as for `Surrogate`."""

    name = "mlp"
    Settings = MlpSettings

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: MlpSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        first = inputs.n_inputs + (space.n_values if self.autoregressive else 0)
        widths = (first, *settings.hidden, space.n_values)
        self.layers = perceptron(widths, settings.activation)

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        values = x if state is None else torch.cat([x, state], dim=1)
        result: Tensor = self.layers(values)
        return result


def activation(name: Activation) -> nn.Module:
    """Return a new activation of this name."""
    match name:
        case "relu":
            return nn.ReLU()
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()
        case "tanh":
            return nn.Tanh()


def perceptron(widths: tuple[int, ...], kind: Activation) -> nn.Sequential:
    """Return linear layers between these widths, with activations in between.

    Parameters
    ----------
    widths
        Of input, hidden layers and output: at least two numbers.
    kind
        Activation after every layer but the last.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), activation(kind)]
    return nn.Sequential(*layers[:-1])
