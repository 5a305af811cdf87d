"""Carry a recycle space over to a matrix: products, staleness gate, rank, normalisation."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from solvers.krylov.blocks import Block, Reducer, combine
from solvers.krylov.linear_operator import Operator
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import KrylovStop, Reason
from solvers.krylov.staleness import Gate, whiten

__all__ = ["Carried", "carry", "energy_normal", "orthonormal"]

# After this many solves with one matrix its images are computed anew: rounding adds up.
_RENEW = 50


@final
@dataclass(frozen=True)
class Carried:
    """Blocks of a recycle space for the matrix at hand, vectors as rows (k, n_local).

    Parameters
    ----------
    U, C, T : as in RecycleSpace, with C = A U for this matrix
    stale : mean sine of the principal angles between old and new image
    products : products with the matrix that this took
    age : solves since the images were computed by products
    mass : U^T T, shape (k, k); needed for CG's Ritz problem only
    """

    U: Block
    C: Block
    T: Block
    stale: float
    products: int
    age: int
    mass: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Number of vectors k."""
        return len(self.U)

    def combined(self, weights: NDArray[np.float64]) -> "Carried":
        """Return the vectors combined by `weights` (k, r)."""
        if weights.shape[1] == len(weights) and np.array_equal(weights, np.eye(len(weights))):
            return self
        U, C, T = (combine(weights, block) for block in (self.U, self.C, self.T))
        return replace(self, U=U, C=C, T=T, mass=weights.T @ self.mass @ weights)


def carry(
    operator: Operator, reducer: Reducer, space: RecycleSpace, same: bool, gate: Gate
) -> tuple[Carried, NDArray[np.float64], NDArray[np.float64]]:
    """Return a space for the operator's matrix, with weights that normalise its image.

    Parameters
    ----------
    operator : matrix and preconditioner
    reducer : counts the one reduction
    space : what the last solve left
    same : the matrix is the one of the last solve, so that its images need no product
    gate : drops directions that turned too far

    Returns
    -------
    tuple
        The space, not yet combined; weights X (k, r) with ``X^T C^T C X = I``; and U^T C (k, k).

    Raises
    ------
    KrylovStop
        If the matrix maps the space to NaN or infinity.
    """
    known = same and space.age < _RENEW
    U, D, T = (np.ascontiguousarray(block.T) for block in (space.U, space.C, space.T))
    C = D if known else operator.apply_block(U)
    older = [] if known else [D @ D.T, D @ C.T]
    new, energy, mass, *older = reducer.sums(C @ C.T, U @ C.T, U @ T.T, *older)
    if not np.isfinite(new).all():
        raise KrylovStop(Reason.NOT_FINITE)
    weights, stale = (whiten(new), 0.0) if known else gate(older[0], older[1], new)
    (weights,) = reducer.same(weights)
    products, age = (0, space.age + 1) if known else (len(U), 0)
    return Carried(U, C, T, stale, products, age, mass), weights, energy


def orthonormal(
    operator: Operator, reducer: Reducer, space: RecycleSpace, same: bool, gate: Gate
) -> Carried:
    """Return the space for this matrix with orthonormal images, as GCRO-DR needs it.

    Two passes of Cholesky QR, the first on a Gram matrix of revealed rank, give orthogonality to
    rounding. Source: Fukaya et al. (2014), doi:10.1109/ScalA.2014.11.
    """
    if same and space.normal == "image" and space.age < _RENEW:
        return _as_is(space)
    carried, weights, _ = carry(operator, reducer, space, same, gate)
    first = combine(weights, carried.C)
    (gram,) = reducer.sums(first @ first.T)
    polish = whiten(gram)
    both = carried.combined(weights @ polish)
    return replace(both, C=combine(polish, first))


def energy_normal(
    operator: Operator, reducer: Reducer, space: RecycleSpace, same: bool, gate: Gate
) -> Carried:
    """Return the space for this matrix with ``U^T A U = I``, as deflated CG needs it.

    Raises
    ------
    KrylovStop
        If a vector of the space has negative energy: the matrix is indefinite.
    """
    if same and space.settled and space.normal == "energy" and space.age < _RENEW:
        return _as_is(space)  # no new Ritz vectors are wanted: the mass is not needed
    carried, weights, energy = carry(operator, reducer, space, same, gate)
    reduced = weights.T @ (energy + energy.T) @ weights / 2
    if not np.isfinite(reduced).all():
        raise KrylovStop(Reason.NOT_FINITE)
    diagonal = np.linalg.eigvalsh(reduced)
    if len(diagonal) and diagonal[0] < -1e-10 * np.abs(diagonal).max():
        raise KrylovStop(Reason.INDEFINITE)
    return carried.combined(weights @ whiten(reduced))


def _as_is(space: RecycleSpace) -> Carried:
    """Return a space that the last solve left ready for this matrix."""
    U, C, T = (np.ascontiguousarray(block.T) for block in (space.U, space.C, space.T))
    return Carried(U, C, T, 0.0, 0, space.age + 1, np.zeros((len(U), len(U))))
