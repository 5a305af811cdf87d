r"""U-Net on a uniform grid, conditioned by the inputs.

Each block is :math:`h + C_2\, \sigma(G(C_1 \sigma(G(h))) (1 + \gamma(x)) + \delta(x))` with
convolutions C, group normalisation G, and scale and shift from the scaled inputs x. The grid is
halved by strided convolutions; on the way up each level takes the features of the way down.

References
----------
O. Ronneberger, P. Fischer, T. Brox: U-Net. MICCAI 2015, arXiv:1505.04597. E. Perez et al.: FiLM:
visual reasoning with a general conditioning layer. AAAI 2018, arXiv:1709.07871. J. K. Gupta,
J. Brandstetter: Towards multi-spatiotemporal-scale generalized PDE modeling. TMLR 2023,
arXiv:2209.15616.
"""

import math
from typing import final

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from infra.field_space import FieldSpace
from surrogates.inputs import InputSpec
from surrogates.networks.grid_bridge import GridBridge
from surrogates.surrogate import Mode, NetworkSettings, Surrogate

__all__ = ["UNet", "UNetSettings"]

_GROUPS = 8


@final
class UNetSettings(NetworkSettings):
    """Settings of `UNet`.

    Attributes
    ----------
    resolution
        As for `surrogates.resampling.grid_over`.
    hidden
        Number of channels on the finest grid; every coarser one has twice as many.
    levels
        How often the grid is halved.
    """

    resolution: PositiveInt | None = None
    hidden: PositiveInt = 32
    levels: PositiveInt = 3


@final
class UNet(Surrogate):
    """U-Net; parameters as for `Surrogate`. It needs points and cells."""

    name = "unet"
    Settings = UNetSettings

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: UNetSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        self.bridge = GridBridge(space, settings.resolution)
        n_fields, gdim = len(space.fields), len(self.bridge.shape)
        seen = (n_fields if self.autoregressive else 0) + inputs.n_inputs + self.bridge.n_static
        widths = [settings.hidden * 2**level for level in range(settings.levels + 1)]
        condition = 4 * settings.hidden
        self.condition = nn.Sequential(
            nn.Linear(inputs.n_inputs, condition), nn.SiLU(), nn.Linear(condition, condition)
        )
        self.lift = _convolution(gdim, seen, widths[0])
        self.down = nn.ModuleList(_Block(gdim, width, condition) for width in widths[:-1])
        self.coarsen = nn.ModuleList(
            _convolution(gdim, width, 2 * width, stride=2) for width in widths[:-1]
        )
        self.bottom = _Block(gdim, widths[-1], condition)
        self.join = nn.ModuleList(
            _convolution(gdim, 3 * width, width) for width in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(_Block(gdim, width, condition) for width in reversed(widths[:-1]))
        self.project = _convolution(gdim, widths[0], n_fields)

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        condition = self.condition(x)
        h = self.lift(self.bridge.channels(x, state))
        passed = []
        for block, coarsen in zip(self.down, self.coarsen, strict=True):
            passed.append(block(h, condition))
            h = coarsen(passed[-1])
        h = self.bottom(h, condition)
        for join, block in zip(self.join, self.up, strict=True):
            fine = passed.pop()
            # To the size of the finer level, since odd sizes are not exactly halved.
            h = functional.interpolate(h, size=fine.shape[2:], mode="nearest")
            h = block(join(torch.cat([h, fine], dim=1)), condition)
        return self.bridge.to_mesh(self.project(h))


@final
class _Block(nn.Module):
    """Two convolutions with a residual; `condition` (B, c) scales and shifts in between."""

    def __init__(self, gdim: int, width: int, n_condition: int) -> None:
        super().__init__()
        groups = math.gcd(width, _GROUPS)
        self.first_norm, self.second_norm = (nn.GroupNorm(groups, width) for _ in range(2))
        self.first, self.second = (_convolution(gdim, width, width) for _ in range(2))
        self.modulation = nn.Linear(n_condition, 2 * width)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self._spread(self.modulation(condition), h.ndim)
        inner = self.first(functional.silu(self.first_norm(h)))
        inner = self.second_norm(inner) * (1 + scale) + shift
        result: Tensor = h + self.second(functional.silu(inner))
        return result

    @staticmethod
    def _spread(values: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
        scale, shift = values[(..., *[None] * (ndim - 2))].chunk(2, dim=1)
        return scale, shift


def _convolution(gdim: int, before: int, after: int, stride: int = 1) -> nn.Module:
    """Return a convolution over 3 neighbours along each of `gdim` axes."""
    kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    return kinds[gdim](before, after, 3, stride=stride, padding=1)
