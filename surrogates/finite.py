"""Whether values are numbers."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["all_finite"]

# Values that are looked at together: in the processor's cache, and without new memory.
_BLOCK = 1 << 16


def all_finite(values: NDArray[np.float32]) -> bool:
    """Return whether no value, shape (n,), is NaN or infinite."""
    starts = range(0, values.size, _BLOCK)
    return all(np.isfinite(values[start : start + _BLOCK]).all() for start in starts)
