r"""POD of fields whose values are shared out over processes, with the same bits on any number.

With the snapshots as columns of :math:`X` and the inner product as a square root,
:math:`\langle u, v\rangle = (S u)^T (S v)`, block b of the items gives :math:`Y_b = S_b X_b`,

.. math::
   Y = Q R, \qquad R = U \Sigma V^T, \qquad \Phi_b = X_b V_r \Sigma_r^{-1},

where R comes from the factors of the blocks, two at a time along a tree: Householder reflections,
and nothing is squared. The modes are then made orthonormal by Cholesky factorisations. No snapshot
leaves its process, only triangles of as many rows as there are snapshots.

Sources: Demmel, Grigori, Hoemmen, Langou (2012), doi:10.1137/080731992, for the factorisation;
Sirovich (1987), doi:10.1090/qam/910462.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.basis import require_variation
from rom.parts import Parts
from rom.pod_gram import orthonormaliser
from rom.truncation import Truncation, mode_signs

__all__ = ["PartBasis", "Roots", "pod_of_parts"]

type _Floats = NDArray[np.float64]
# S_b u_b for columns u_b (n_b, k) of the block at a place in `Parts.blocks`.
type Roots = Callable[[int, _Floats], _Floats]

# Modes of singular values below this many roundings of the first one are noise.
_NOISE = 10.0


@final
@dataclass(frozen=True, eq=False)
class PartBasis:
    """Modes of the blocks of this process.

    Attributes
    ----------
    modes
        Phi_b, (n_b, r), in the order of `Parts.blocks`.
    singular_values
        All k of them, descending; the same on each process.
    coefficients
        Of the snapshots, (k, r); the same on each process.
    """

    modes: tuple[_Floats, ...]
    singular_values: _Floats
    coefficients: _Floats

    @property
    def rank(self) -> int:
        """Number r of modes."""
        return int(self.coefficients.shape[1])


def pod_of_parts(
    columns: Sequence[_Floats], roots: Roots, n_snapshots: int, truncation: Truncation, parts: Parts
) -> PartBasis:
    """Return the basis of snapshots, not centred.

    Parameters
    ----------
    columns
        X_b of the blocks of this process, (n_b, k) each.
    roots
        The inner product.
    n_snapshots
        k.
    truncation
        How many modes are kept.
    parts
        The items and their blocks.

    Raises
    ------
    UserError
        If all snapshots are zero.
    """
    k = n_snapshots
    R = parts.combined(lambda i, _: _triangle(roots(i, columns[i]), k), (k, k), _one_triangle)
    _, sigma, Vt = np.linalg.svd(R)
    require_variation(float((sigma**2).sum()), 0.0, k, centred=False)
    noise = _NOISE * k * np.finfo(np.float64).eps * sigma[0]
    r = truncation.above(float(noise)).count(sigma)
    A = Vt[:r].T * (mode_signs(Vt[:r].T) / sigma[:r])
    modes = [X @ A for X in columns]
    for _ in range(2):
        turn = orthonormaliser(_gram(modes, modes, roots, (r, r), parts))
        modes = [Phi @ turn for Phi in modes]
    return PartBasis(tuple(modes), sigma, _gram(columns, modes, roots, (k, r), parts))


def _gram(
    left: Sequence[_Floats],
    right: Sequence[_Floats],
    roots: Roots,
    shape: tuple[int, int],
    parts: Parts,
) -> _Floats:
    return parts.total(lambda i, _: roots(i, left[i]).T @ roots(i, right[i]), shape)


def _triangle(Y: _Floats, k: int) -> _Floats:
    """Return R (k, k) of Y (n, k), with rows of zeros where n < k."""
    R = np.zeros((k, k))
    found = np.linalg.qr(Y, mode="r")
    R[: len(found)] = found
    return R


def _one_triangle(first: _Floats, second: _Floats) -> _Floats:
    return np.asarray(np.linalg.qr(np.concatenate([first, second]), mode="r"))
