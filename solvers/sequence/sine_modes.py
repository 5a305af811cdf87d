r"""The inverse of -Laplacian + q on its lowest sine modes, by products of small dense matrices.

With the modes :math:`V = V_1 \otimes \dots \otimes V_d` (the first m sines of each axis) and the
eigenvalues :math:`\Lambda` that belong to them, the Galerkin matrix of the operator with a
potential q is :math:`E = \Lambda + V^T \operatorname{diag}(q) V`. A product of modes separates by
axis, so that the sum over all cells is d small matrix products.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from solvers.sequence.sine_transform import along, sines

__all__ = ["SineModes"]

type Floats = NDArray[np.float64]

# Modes per axis at most: the inverse of more of them costs more than the iterations they save.
_MODES = {1: 40, 2: 10, 3: 5}


@final
class SineModes:
    """See the module.

    Parameters
    ----------
    eigenvalues : of the Laplacian without potential, one for each cell, 3 axes at most

    Attributes
    ----------
    low : where the modes lie among the coefficients of the sine transform
    """

    def __init__(self, eigenvalues: Floats) -> None:
        shape = eigenvalues.shape
        counts = tuple(min(_MODES[len(shape)], cells) for cells in shape)
        self.low = tuple(slice(0, count) for count in counts)
        self._diagonal = eigenvalues[self.low].ravel()
        self._products = []
        places = np.zeros((1, 1), dtype=np.int64)
        for cells, count in zip(shape, counts, strict=True):
            modes = sines(cells, count)
            one, other = np.triu_indices(count)
            self._products.append(np.ascontiguousarray((modes[:, one] * modes[:, other]).T))
            pairs = np.empty((count, count), dtype=np.int64)
            pairs[one, other] = pairs[other, one] = np.arange(len(one))
            places = np.kron(places, np.ones_like(pairs)) * len(one) + np.tile(pairs, places.shape)
        self._places = places

    def matrix(self, potential: Floats) -> Floats:
        """Return E, shape (modes, modes) in row-major order of the modes.

        Parameters
        ----------
        potential : q in the cells, same unit as the eigenvalues
        """
        table = potential
        for axis in range(potential.ndim - 1, -1, -1):
            table = along(self._products[axis], table, axis)
        found = table.ravel().take(self._places)
        found.flat[:: len(found) + 1] += self._diagonal
        return np.asarray(found)

    def inverse(self, potential: Floats) -> NDArray[np.float32] | None:
        """Return the upper triangle of the inverse of E, None if E is not positive definite.

        Single precision is enough for a preconditioner. Multiply with BLAS's ``ssymv``.
        """
        matrix = self.matrix(potential).astype(np.float32).T  # in LAPACK's order
        factor, failed = linalg.lapack.spotrf(matrix, overwrite_a=1)
        if failed:
            return None
        upper, failed = linalg.lapack.spotri(factor, overwrite_c=1)
        return None if failed else np.asarray(upper)
