r"""Fourier neural operators on a uniform grid: FNO, its low-rank form TFNO, the U-shaped UNO.

.. math:: h_{l+1} = \sigma\big(W_l h_l + F^{-1}(R_l \cdot F h_l)\big)

with the Fourier transform F cut to few modes, between a lifting and a projection that act point by
point. TFNO keeps the weights R in Tucker form; UNO halves the grid in the middle layers. The
layers are those of the package neuraloperator; this module gives them images (fields, constant
inputs, coordinates, mask) and keeps their noise (printing, warnings, entries of the state that are
no tensors) away from the rest.

Fourier layers always work in float32, whatever the precision around them: half precision has no
general transform.

References
----------
Z. Li et al.: Fourier neural operator for parametric partial differential equations. ICLR 2021,
arXiv:2010.08895. J. Kossaifi, N. Kovachki, K. Azizzadenesheli, A. Anandkumar: Multi-grid
tensorized Fourier neural operator for high-resolution PDEs. TMLR 2024, arXiv:2310.00120.
M. A. Rahman, Z. E. Ross, K. Azizzadenesheli: U-NO: U-shaped neural operators. TMLR 2023,
arXiv:2204.11127.
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, final

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from infra.errors import UserError
from infra.field_space import FieldSpace
from surrogates.inputs import InputSpec
from surrogates.networks.grid_bridge import GridBridge
from surrogates.surrogate import Mode, NetworkSettings, Surrogate

__all__ = ["Fno", "FnoSettings", "Tfno", "TfnoSettings", "Uno", "UnoSettings"]


@final
class FnoSettings(NetworkSettings):
    """Settings of `Fno`.

    Attributes
    ----------
    resolution
        As for `surrogates.resampling.grid_over`.
    modes
        Fourier modes along each axis; fewer on a grid that has fewer.
    hidden
        Number of channels.
    padding
        Share of the grid that is added along each axis, since few problems are periodic.
    layers
        Number of Fourier layers.
    """

    resolution: PositiveInt | None = None
    modes: PositiveInt = 12
    hidden: PositiveInt = 32
    padding: NonNegativeFloat = Field(0.125, le=1.0)
    layers: PositiveInt = 4


@final
class TfnoSettings(NetworkSettings):
    """Settings of `Tfno`.

    Attributes
    ----------
    resolution, modes, hidden, padding, layers
        As in `FnoSettings`.
    rank
        Share of the parameters of the full weights.
    """

    resolution: PositiveInt | None = None
    modes: PositiveInt = 12
    hidden: PositiveInt = 32
    padding: NonNegativeFloat = Field(0.125, le=1.0)
    layers: PositiveInt = 4
    rank: float = Field(0.1, gt=0, le=1)


@final
class UnoSettings(NetworkSettings):
    """Settings of `Uno`: five layers, the middle ones on half the grid with twice the channels.

    Attributes
    ----------
    resolution, modes, hidden, padding
        As in `FnoSettings`.
    """

    resolution: PositiveInt | None = None
    modes: PositiveInt = 12
    hidden: PositiveInt = 32
    padding: NonNegativeFloat = Field(0.125, le=1.0)


type _AnySettings = FnoSettings | TfnoSettings | UnoSettings


@final
class _GridOperator(nn.Module):
    """A network of neuraloperator between images of a `shape`; `kind` is the class's name there.

    The images are padded by zeros at the end of each axis, by at least a share `padding` and to
    an even size that has a fast Fourier transform.
    """

    def __init__(
        self, kind: str, shape: tuple[int, ...], padding: float, options: dict[str, Any]
    ) -> None:
        super().__init__()
        self._shape = shape
        added = [_padded(count, padding) - count for count in shape]
        # Last axis first, as PyTorch asks.
        self._padding = [width for count in reversed(added) for width in (0, count)]
        if min(shape) < 8:
            raise UserError(
                f"Expected a grid of at least 8 points along each axis for Fourier layers; "
                f"received {shape}. Raise `resolution`."
            )
        with _quiet():
            import neuralop.models  # slow, and only these three need it

            self.network = getattr(neuralop.models, kind)(positional_embedding=None, **options)
        # PyTorch does not annotate this method.
        self.register_state_dict_post_hook(_drop_metadata)  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            result: Tensor = self.network(functional.pad(images.float(), self._padding))
        for axis, count in enumerate(self._shape, start=2):
            result = result.narrow(axis, 0, count)
        return result


@final
class Fno(Surrogate):
    """Fourier neural operator; parameters as for `Surrogate`. It needs points and cells."""

    name = "fno"
    Settings = FnoSettings

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: FnoSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        self.bridge = GridBridge(space, settings.resolution)
        options = _options(self, self.bridge, settings)
        options |= {"n_layers": settings.layers, "n_modes": _modes(self.bridge.shape, settings)}
        self.operator = _GridOperator("FNO", self.bridge.shape, settings.padding, options)

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        images = self.operator(self.bridge.channels(x, state))
        return self.bridge.to_mesh(images)


@final
class Tfno(Surrogate):
    """FNO with Tucker-factorised weights; parameters as for `Surrogate`."""

    name = "tfno"
    Settings = TfnoSettings

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: TfnoSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        self.bridge = GridBridge(space, settings.resolution)
        options = _options(self, self.bridge, settings)
        options |= {"n_layers": settings.layers, "n_modes": _modes(self.bridge.shape, settings)}
        options |= {"rank": settings.rank}
        self.operator = _GridOperator("TFNO", self.bridge.shape, settings.padding, options)

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        images = self.operator(self.bridge.channels(x, state))
        return self.bridge.to_mesh(images)


@final
class Uno(Surrogate):
    """U-shaped neural operator; parameters as for `Surrogate`. It needs points and cells."""

    name = "uno"
    Settings = UnoSettings

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: UnoSettings
    ) -> None:
        super().__init__(space, inputs, mode, settings)
        self.bridge = GridBridge(space, settings.resolution)
        shape, hidden = self.bridge.shape, settings.hidden
        fine, coarse = _modes(shape, settings), _modes([n // 2 for n in shape], settings)
        options = _options(self, self.bridge, settings) | {
            "n_layers": 5,
            "lifting_channels": 2 * hidden,
            "projection_channels": 2 * hidden,
            "channel_mlp_skip": "linear",  # the default asks for equal widths
            "uno_out_channels": [hidden, 2 * hidden, 2 * hidden, hidden, hidden],
            "uno_n_modes": [fine, coarse, coarse, coarse, fine],
            "uno_scalings": [[scale] * len(shape) for scale in (1.0, 0.5, 1.0, 2.0, 1.0)],
        }
        self.operator = _GridOperator("UNO", shape, settings.padding, options)

    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        images = self.operator(self.bridge.channels(x, state))
        return self.bridge.to_mesh(images)


def _options(surrogate: Surrogate, bridge: GridBridge, settings: _AnySettings) -> dict[str, Any]:
    n_fields = len(surrogate.space.fields)
    seen = n_fields if surrogate.autoregressive else 0
    return {
        "in_channels": seen + surrogate.inputs.n_inputs + bridge.n_static,
        "out_channels": n_fields,
        "hidden_channels": settings.hidden,
    }


def _modes(shape: tuple[int, ...] | list[int], settings: _AnySettings) -> tuple[int, ...]:
    """Return the modes along each axis, at most as many as the grid has."""
    return tuple(min(settings.modes, count) for count in shape)


def _padded(count: int, padding: float) -> int:
    """Return an even size without large prime factors, at least `padding` larger than `count`."""
    from scipy.fft import next_fast_len  # half a second, in the start of every trainer

    return 2 * int(next_fast_len(math.ceil(count * (1 + padding) / 2)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep neuraloperator's printing and its changes of the warning filters from the process.

    Standard output carries the trainer's lines for the flow, which must stay whole.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _drop_metadata(module: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    """Take out the constructor's arguments, which neuraloperator puts among the tensors."""
    del module, prefix
    state.pop("_metadata", None)
