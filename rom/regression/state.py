"""The state of a regressor in a form that a model folder keeps without pickle.

It is a pair: arrays by name, and what JSON holds. A regressor inside another one has dotted names.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.errors import StoreError
from infra.records import Json

__all__ = ["Arrays", "Floats", "State", "Text", "entry", "nest", "part"]

type Floats = NDArray[np.float64]
type Arrays = dict[str, NDArray[Any]]
type Text = dict[str, Json]
type State = tuple[Arrays, Text]


def nest(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays with ``prefix.`` before every name."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def part(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays below ``prefix.``, without it: the inverse of `nest`."""
    start = f"{prefix}."
    return {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)}


def entry(text: Mapping[str, Json], name: str) -> dict[str, Json]:
    """Return the mapping below a name.

    Raises
    ------
    StoreError
        If it is missing or of another form.
    """
    value = text.get(name)
    if not isinstance(value, dict):
        raise StoreError(
            f"Expected the entry `{name}` in the description of a regressor; it has "
            f"{sorted(text)}. The folder is damaged or of another version: build the model again."
        )
    return value
