r"""Inputs of a surrogate: the parameters of the study and the time, scaled to [-1, 1].

.. math::
   x_k = \frac{2 v_k - a_k - b_k}{b_k - a_k} \quad \text{(linear)}, \qquad
   x_k = \frac{2 \ln v_k - \ln a_k - \ln b_k}{\ln b_k - \ln a_k} \quad \text{(logarithmic)},

with the known range :math:`[a_k, b_k]` of input k. The ranges are those of the study, not of the
first samples that arrive, so that the scaling does not depend on the order of arrival. An input
whose range is one point becomes 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from infra.errors import UserError

__all__ = ["TIME", "InputScaling", "InputSpec"]

# The last input of every surrogate; in autoregressive mode the time of the given state.
TIME = "time"


@final
@dataclass(frozen=True)
class InputSpec:
    """Names and ranges of the inputs; the last one is the time in seconds.

    Attributes
    ----------
    names
        Parameters in the study's order, then ``"time"``.
    low, high
        Ranges, in the inputs' units.
    logarithmic
        Names of the inputs that are scaled by their logarithm.
    output_times
        Times of the frames in the training, s, ascending: a surrogate in autoregressive mode
        steps from one to the next. Empty where they are not known.

    Raises
    ------
    UserError
        If lengths differ, the last name is not ``"time"``, a range is not one, or the output
        times do not ascend.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    logarithmic: tuple[str, ...] = ()
    output_times: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.names[-1:] != (TIME,) or len(set(self.names)) != len(self.names):
            raise UserError(
                f"Expected distinct inputs, {TIME!r} the last; received {list(self.names)}."
            )
        if not len(self.names) == len(self.low) == len(self.high):
            raise UserError(
                f"Expected {len(self.names)} bounds below and above, one for each input; received "
                f"{len(self.low)} and {len(self.high)}."
            )
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            self._check_range(name, low, high)
        if not all(early < late for early, late in pairwise(self.output_times)):
            raise UserError(
                f"Expected output times that ascend; received {list(self.output_times)}."
            )

    @classmethod
    def of(
        cls,
        bounds: Mapping[str, tuple[float, float]],
        times: tuple[float, float],
        logarithmic: tuple[str, ...] = (),
    ) -> Self:
        """Return the inputs for parameters with bounds, and first and last time in seconds."""
        low = (*(float(a) for a, _ in bounds.values()), float(times[0]))
        high = (*(float(b) for _, b in bounds.values()), float(times[1]))
        return cls((*bounds, TIME), low, high, logarithmic)

    @property
    def n_inputs(self) -> int:
        """The number p of inputs, time included."""
        return len(self.names)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names without the time."""
        return self.names[:-1]

    def vector(self, mu: Mapping[str, float], time: float) -> NDArray[np.float64]:
        """Return the physical inputs of one item, shape (p,).

        Raises
        ------
        UserError
            If a parameter is missing.
        """
        missing = [name for name in self.parameters if name not in mu]
        if missing:
            raise UserError(
                f"Expected values of the parameters {list(self.parameters)}; received none of "
                f"{missing}. Give every parameter of the study."
            )
        return np.array([*(mu[name] for name in self.parameters), time], np.float64)

    def _check_range(self, name: str, low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise UserError(
                f"Expected a finite range, low <= high, of `{name}`; received {low} to {high}."
            )
        if name in self.logarithmic and low <= 0:
            raise UserError(
                f"Expected a positive range of `{name}`, which is scaled by its logarithm; "
                f"received {low} to {high}. Scale it linearly."
            )


@final
class InputScaling(nn.Module):
    """Maps physical inputs (..., p) to [-1, 1]; values outside their range leave it.

    The values are scaled in float64 and returned in the type that they came in.

    Parameters
    ----------
    spec
        Names and ranges.
    """

    low: Tensor
    width: Tensor
    log: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        log = [name in spec.logarithmic for name in spec.names]
        ends = [
            [math.log(value) if on else value for value in pair]
            for on, *pair in zip(log, spec.low, spec.high, strict=True)
        ]
        low, high = torch.tensor(ends, dtype=torch.float64).T
        # They follow from the inputs' description, so they are no weights.
        self.register_buffer("low", low.clone(), persistent=False)
        self.register_buffer("width", (high - low).clone(), persistent=False)
        self.register_buffer("log", torch.tensor(log), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """Return the scaled inputs, (..., p)."""
        wide = values.to(torch.float64)
        wide = torch.where(self.log, torch.log(torch.where(self.log, wide, 1.0)), wide)
        scaled = 2 * (wide - self.low) / torch.where(self.width > 0, self.width, 1.0) - 1
        # A constant input stays 0 even where it was rounded on its way.
        return torch.where(self.width > 0, scaled, 0.0).to(values.dtype)
