r"""The discrete sine transform of type II on a small or large grid, in single precision.

.. math:: \hat x = (V_1 \otimes \dots \otimes V_d)^T x, \qquad
   (V_a)_{ik} \propto \sin\frac{k (2 i + 1) \pi}{2 n_a}, \qquad i = 0..n_a-1, \; k = 1..n_a

with orthonormal columns. Small axes are multiplied with the dense :math:`V_a`, which is quicker
than a fast transform there; large ones use the fast transform.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["SineTransform", "along", "sines"]

# Sum of the cells of all axes up to which dense products are quicker.
_DENSE = 200


def sines(cells: int, count: int) -> NDArray[np.float64]:
    """Return the first `count` orthonormal sines at the cells' centres, shape (cells, count)."""
    odd = 2 * np.arange(cells) + 1
    modes = np.sin(np.outer(odd, np.arange(1, count + 1)) * np.pi / (2 * cells))
    return np.asarray(modes / np.linalg.norm(modes, axis=0))


def along[T: np.floating](matrix: NDArray[T], values: NDArray[T], axis: int) -> NDArray[T]:
    """Return the values with a matrix, shape (m, n), applied along an axis of n values."""
    shape = values.shape
    result = (*shape[:axis], len(matrix), *shape[axis + 1 :])
    if axis == len(shape) - 1:
        return (values.reshape(-1, shape[axis]) @ matrix.T).reshape(result)
    before = int(np.prod(shape[:axis]))
    return np.matmul(matrix, values.reshape(before, shape[axis], -1)).reshape(result)


@final
class SineTransform:
    """See the module.

    Parameters
    ----------
    shape : cells per axis
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        small = sum(shape) <= _DENSE
        self._modes = [sines(n, n).astype(np.float32) for n in shape] if small else []

    def forward(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the coefficients of the values, which may be overwritten."""
        if not self._modes:
            return np.asarray(fft.dstn(values, type=2, norm="ortho", overwrite_x=True))
        for axis in range(len(self._modes) - 1, -1, -1):
            values = along(self._modes[axis].T, values, axis)
        return values

    def backward(self, coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values that have these coefficients, which may be overwritten."""
        if not self._modes:
            return np.asarray(fft.idstn(coefficients, type=2, norm="ortho", overwrite_x=True))
        for axis, modes in enumerate(self._modes):
            coefficients = along(modes, coefficients, axis)
        return coefficients
