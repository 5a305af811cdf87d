"""Is a recycle space still worth carrying? Principal angles between old and new images."""

from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Gate", "principal_sines", "whiten"]

type Matrix = NDArray[np.float64]

# Gram matrices resolve dependence to the square root of the rounding unit only. Directions beyond
# that would enter U amplified ten million times: they are dropped.
_RANK = 1e-13


def whiten(gram: Matrix, floor: float = _RANK) -> Matrix:
    r"""Return X with :math:`X^T G X = I` on the numerical range of a Gram matrix G.

    G is scaled to a unit diagonal first, so that the lengths of the vectors do not matter.

    Parameters
    ----------
    gram : symmetric positive semidefinite, shape (k, k)
    floor : smallest eigenvalue kept, relative to the largest

    Returns
    -------
    ndarray
        Shape (k, r), r the numerical rank.
    """
    diagonal = np.maximum(np.diag(gram), 0.0)
    scale = np.zeros_like(diagonal)
    np.divide(1.0, np.sqrt(diagonal), out=scale, where=diagonal > 0)
    values, vectors = np.linalg.eigh(scale[:, None] * gram * scale)
    kept = values > floor * max(values.max(initial=0.0), 1e-300)
    result: Matrix = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return result


def principal_sines(old: Matrix, cross: Matrix, new: Matrix) -> tuple[NDArray[np.float64], Matrix]:
    r"""Return the sines of the principal angles between two spaces, from Gram matrices alone.

    With :math:`X^T (D^T D) X = I`, :math:`Y^T (C^T C) Y = I` the cosines are the singular values of
    :math:`X^T (D^T C) Y`. Source: Björck and Golub (1973), doi:10.1090/S0025-5718-1973-0348991-3.

    Parameters
    ----------
    old, new : Gram matrices of D and C, shapes (k, k)
    cross : D^T C, shape (k, k)

    Returns
    -------
    tuple
        Sines, ascending, shape (r,), and weights W (k, r) that make ``C W`` the orthonormal
        principal vectors in the new space.
    """
    right = whiten(new)
    _, cosines, rows = np.linalg.svd(whiten(old).T @ cross @ right)
    every = np.zeros(right.shape[1])
    every[: len(cosines)] = np.minimum(cosines, 1.0)
    return np.sqrt(1.0 - every**2), right @ rows.T


@final
class Gate:
    """Keeps the directions that the new matrix maps near to where the last one did.

    The default of the methods keeps all of them. Products of five solves after the first (Darcy
    fields drawn independently, n = 4096, GCRO-DR(40,20), Jacobi, 1e-8, the 20 products for the
    space of each matrix included):

    ============ ========= ==== ========= ========= =========
    contrast     mean sine cold limit 1.0 limit 0.9 limit 0.5
    ============ ========= ==== ========= ========= =========
    3            0.21      1156 683       683       683
    25           0.57      1175 795       795       992
    1000         0.85      1148 993       1033      1199
    ============ ========= ==== ========= ========= =========

    A smooth space stays a good coarse space although it turned, whereas for convection-diffusion
    with random wind recycling loses (802 cold, 1270 recycled) at a mean sine of 0.38. Angles do not
    foretell the gain; they reveal a space that has nothing to do with the matrix. Whoever must
    never lose compares products with a cold solve (`KrylovResult.products`).

    Parameters
    ----------
    limit : largest sine kept, in [0, 1]; 1 keeps all, 0 drops all that turned
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def __call__(self, old: Matrix, cross: Matrix, new: Matrix) -> tuple[Matrix, float]:
        """Return the weights of the kept directions (k, r) and the mean sine of all of them."""
        sines, weights = principal_sines(old, cross, new)
        mean = float(sines.mean()) if len(sines) else 0.0
        return weights[:, sines <= self._limit], mean
