"""Indicators of structures as arrays: every bit comes back, and NaN too."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rom.structures.indicator import StepPairs, StructureIndicator

__all__ = ["indicator_arrays", "indicator_from"]

_NUMBERS = (
    "size",
    "intercept",
    "slope",
    "quantile",
    "least",
    "level",
    "reached",
    "covered",
)


def indicator_arrays(indicator: StructureIndicator) -> dict[str, NDArray[Any]]:
    """Return the arrays that `indicator_from` takes, together with the name of the field."""
    pairs = indicator.pairs
    return {
        "numbers": np.array([getattr(indicator, name) for name in _NUMBERS]),
        "residuals": pairs.residuals,
        "errors": pairs.errors,
        "trajectories": pairs.trajectories,
    }


def indicator_from(name: str, arrays: Mapping[str, NDArray[Any]]) -> StructureIndicator:
    """Return an indicator."""
    pairs = StepPairs(*(np.array(arrays[key]) for key in ("residuals", "errors", "trajectories")))
    numbers = dict(zip(_NUMBERS, arrays["numbers"].tolist(), strict=True))
    return StructureIndicator(name=name, pairs=pairs, **numbers)
