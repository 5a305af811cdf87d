"""The state of an object in a form that a checkpoint can write without pickle.

A state is a flat dictionary: a dotted name leads to an array or to something that JSON holds.
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from infra.records import Json

__all__ = ["State", "StateEntry", "generator_state", "generator_with", "nest", "number", "part"]

type StateEntry = NDArray[Any] | Json
type State = dict[str, StateEntry]


def nest(prefix: str, state: Mapping[str, StateEntry]) -> State:
    """Return the state with ``prefix.`` before every name."""
    return {f"{prefix}.{name}": entry for name, entry in state.items()}


def part(prefix: str, state: Mapping[str, StateEntry]) -> State:
    """Return the entries below ``prefix.``, without it: the inverse of `nest`."""
    start = f"{prefix}."
    return {name.removeprefix(start): v for name, v in state.items() if name.startswith(start)}


def number(state: Mapping[str, StateEntry], name: str) -> int:
    """Return an integer entry."""
    return int(cast(int, state[name]))


def generator_state(rng: np.random.Generator) -> Json:
    """Return the state of a generator whose bit generator is PCG64 (NumPy's default)."""
    return cast(Json, rng.bit_generator.state)


def generator_with(state: StateEntry) -> np.random.Generator:
    """Return a generator in this state; it goes on with the same numbers."""
    bits = np.random.PCG64()
    bits.state = cast(Any, state)
    return np.random.Generator(bits)
