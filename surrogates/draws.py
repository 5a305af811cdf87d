"""What a draw may answer beside a batch: that there is none now, or that there is none any more."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["End", "Slots", "Wait"]

type Slots = NDArray[np.int64]
"""Numbers of places in the pool, shape (B,)."""


@final
@dataclass(frozen=True)
class Wait:
    """There is no batch until more data were admitted; a draw that waits has changed nothing.

    Attributes
    ----------
    reason
        What is waited for, for people.
    """

    reason: str = ""


@final
@dataclass(frozen=True)
class End:
    """Everything has been given its due; every later draw says the same."""
