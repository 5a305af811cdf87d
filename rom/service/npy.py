"""Arrays as .npy: a short text header, then the numbers."""

from io import BytesIO

import numpy as np
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0
from numpy.typing import NDArray

__all__ = ["NPY", "npy_bytes"]

NPY = "application/x-npy"


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """Return an array in the format that `numpy.load` reads."""
    whole = np.ascontiguousarray(array)
    header = BytesIO()
    write_array_header_1_0(header, header_data_from_array_1_0(whole))
    # Joined at once: a field is copied one time, not two.
    return b"".join([header.getbuffer(), memoryview(whole).cast("B")])
