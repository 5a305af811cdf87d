r"""How much two solutions differ in shape, from the products of the snapshots alone.

For single snapshots the sine of the angle between them,

.. math::
   \delta^2(u, v) = 1 - \frac{\langle u, v \rangle^2}{\|u\|^2 \|v\|^2}
                  = \frac{\|u - \Pi_v u\|^2}{\|u\|^2} ,

so that the sum of :math:`\delta^2` to the medoids is the sum of the squared relative projection
errors on bases of one mode each. Levels of one pattern do not differ. For trajectories the same
with the principal angles :math:`\theta_i` between the spans of their first modes.

All come from :math:`C_{ij} = \langle u_i, u_j \rangle`, which distributed POD has: no field is
needed. Snapshots are not centred here: the angle is that of the solutions. As C has the digits of
squares, :math:`\delta` below :math:`10^{-7}` is rounding.

Source: Daniel, Ketata, Casenave, Ryckelynck (2021), arXiv:2103.13683, for the use of angles;
Bjorck and Golub (1973), doi:10.2307/2005662, for the principal angles.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = [
    "Measure",
    "euclidean_dissimilarity",
    "sine_dissimilarity",
    "subspace_dissimilarity",
    "subspace_distance",
]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]
type Measure = Literal["chordal", "grassmann", "largest-angle"]

# Part of the largest squared singular value below which a mode of a trajectory is rounding.
_ROUNDING = 1e-12


def sine_dissimilarity(gram: _Floats) -> _Floats:
    """Return the sine of the angle between snapshots, (k, k), from their products (k, k).

    In [0, 1]. A zero snapshot has the dissimilarity 1 to all that are not zero.

    Raises
    ------
    UserError
        If the products are not a square of finite numbers.
    """
    gram = _checked(gram)
    squares = np.diag(gram)
    sizes = np.sqrt(np.maximum(squares, 0.0))
    inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    cosines = gram * inverse[:, None] * inverse
    sines = np.sqrt(np.maximum(1.0 - cosines**2, 0.0))
    sines[np.ix_(sizes == 0, sizes == 0)] = 0.0
    np.fill_diagonal(sines, 0.0)
    return np.asarray((sines + sines.T) / 2)


def euclidean_dissimilarity(gram: _Floats) -> _Floats:
    """Return the distance between snapshots in the norm of the product, (k, k); see the sine's.

    For comparison: it splits the levels of one pattern.

    Raises
    ------
    UserError
        As in `sine_dissimilarity`.
    """
    gram = _checked(gram)
    squares = np.diag(gram)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * gram, 0.0))
    np.fill_diagonal(distances, 0.0)
    return np.asarray((distances + distances.T) / 2)


def subspace_distance(cosines: _Floats, measure: Measure = "chordal") -> _Floats:
    r"""Return the distance of subspaces from the cosines of their principal angles (..., r).

    ============= ============================================================
    chordal       :math:`\sqrt{\sum_i \sin^2\theta_i / r}`, in [0, 1]
    grassmann     :math:`\sqrt{\sum_i \theta_i^2}`, rad
    largest-angle :math:`\max_i \theta_i`, rad: it has the smallest cosine
    ============= ============================================================
    """
    cosines = np.clip(cosines, 0.0, 1.0)
    if measure == "chordal":
        return np.asarray(np.sqrt(np.mean(1.0 - cosines**2, axis=-1)))
    angles = np.arccos(cosines)
    if measure == "grassmann":
        return np.asarray(np.sqrt((angles**2).sum(axis=-1)))
    return np.asarray(angles.max(axis=-1))


def subspace_dissimilarity(
    gram: _Floats, units: Sequence[_Ints], rank: int, measure: Measure = "chordal"
) -> _Floats:
    """Return the distances (m, m) of the spans of m trajectories.

    Parameters
    ----------
    gram
        Products of all snapshots, (k, k).
    units
        Places of the snapshots of each trajectory.
    rank
        Most modes of a trajectory, >= 1. Two that have different numbers of modes are compared
        in the smaller number of angles.
    measure
        See `subspace_distance`. With one snapshot each and ``chordal`` it is the sine.

    Raises
    ------
    UserError
        If the products are not a square of finite numbers, or the rank is less than 1.
    """
    gram = _checked(gram)
    if rank < 1:
        raise UserError(f"Expected at least 1 mode of a trajectory; received {rank}.")
    modes = [_modes(gram[np.ix_(unit, unit)], rank) for unit in units]
    result = np.zeros((len(units), len(units)))
    for i, one in enumerate(modes):
        for j in range(i):
            overlap = one.T @ gram[np.ix_(units[i], units[j])] @ modes[j]
            result[i, j] = result[j, i] = _distance(overlap, measure)
    return result


def _modes(gram: _Floats, rank: int) -> _Floats:
    """Return A, (T, r), for which the snapshots times A are the first modes."""
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
    kept = values > max(_ROUNDING * values[0], 0.0)
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))


def _distance(overlap: _Floats, measure: Measure) -> float:
    if overlap.size == 0:  # at least one of them is zero
        cosines = np.array([1.0 if overlap.shape == (0, 0) else 0.0])
    else:
        cosines = np.linalg.svd(overlap, compute_uv=False)
    return float(subspace_distance(cosines, measure))


def _checked(gram: _Floats) -> _Floats:
    gram = np.asarray(gram, np.float64)
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or not np.isfinite(gram).all():
        raise UserError(
            f"Expected the products of k snapshots, shape (k, k), finite; received shape "
            f"{gram.shape}. Use `InnerProduct.gram` of the snapshots as columns."
        )
    return gram
