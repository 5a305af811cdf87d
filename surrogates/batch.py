"""A batch: what one step of training sees."""

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from infra.errors import UserError

__all__ = ["Batch"]


@final
@dataclass(frozen=True, eq=False)
class Batch:
    """B items in physical units; letters: B items, p inputs (time last), n values of a frame.

    Attributes
    ----------
    inputs
        Parameters and time, (B, p) float32.
    state
        The frames to go on from, (B, n) float32; None in direct mode.
    target
        The frames to be predicted, (B, n) float32.
    weight
        Weights of the items in the loss, (B,) float32; an item of weight 0 counts nothing.

    Raises
    ------
    UserError
        If the shapes contradict each other.
    """

    inputs: Tensor
    state: Tensor | None
    target: Tensor
    weight: Tensor

    def __post_init__(self) -> None:
        size, state = self.target.shape[0], self.state
        fits = self.inputs.ndim == self.target.ndim == 2 and self.inputs.shape[0] == size
        if not fits or self.weight.shape != (size,):
            raise UserError(
                "Expected inputs (B, p), target (B, n) and weight (B,) of one B; received "
                f"{tuple(self.inputs.shape)}, {tuple(self.target.shape)} and "
                f"{tuple(self.weight.shape)}."
            )
        if state is not None and state.shape != self.target.shape:
            raise UserError(
                f"Expected a state of the target's shape {tuple(self.target.shape)}; received "
                f"{tuple(state.shape)}."
            )

    @classmethod
    def of(cls, inputs: Tensor, target: Tensor, state: Tensor | None = None) -> Self:
        """Return a batch whose items all have weight 1."""
        return cls(inputs, state, target, torch.ones(len(target), device=target.device))

    @property
    def size(self) -> int:
        """The number B of items."""
        return len(self.target)

    def part(self, start: int, stop: int) -> Self:
        """Return items `start` to `stop` (excluded) as views."""
        state = None if self.state is None else self.state[start:stop]
        inputs, target = self.inputs[start:stop], self.target[start:stop]
        return type(self)(inputs, state, target, self.weight[start:stop])

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """Return the batch on another device; the copy may overlap if the memory is pinned."""
        inputs, target, weight = (
            tensor.to(device, non_blocking=non_blocking)
            for tensor in (self.inputs, self.target, self.weight)
        )
        state = None if self.state is None else self.state.to(device, non_blocking=non_blocking)
        return type(self)(inputs, state, target, weight)
