"""Small dense eigenproblems that choose which vectors to recycle."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

__all__ = ["harmonic_ritz", "lowest_ritz"]

type Matrix = NDArray[np.float64]

# Beyond this condition number the projected operator is taken as singular.
_CONDITION = 1e13


def harmonic_ritz(relation: Matrix, overlap: Matrix, count: int) -> Matrix:
    r"""Return weights of the harmonic Ritz vectors with the smallest values.

    With :math:`A V = W G`, :math:`W^T W = I` and :math:`Y = M V`, the harmonic Ritz pairs of
    :math:`A M^{-1}` over the range of Y solve

    .. math:: G^T G z = \theta\, G^T W^T Y z .

    With :math:`G = Q R` this is the ordinary problem :math:`R^{-1} Q^T (W^T Y) z = \theta^{-1} z`,
    whose ordered real Schur form gives an orthonormal basis of the invariant subspace; complex
    pairs stay together. Source: Parks, de Sturler, Mackey, Johnson and Maiti (2006),
    doi:10.1137/040607277, section 2; without preconditioner Y = V, as printed there.

    Parameters
    ----------
    relation : G, shape (p + 1, p)
    overlap : W^T Y, shape (p + 1, p)
    count : number of vectors wanted; one less is returned where a complex pair would be cut

    Returns
    -------
    ndarray
        Orthonormal weights, shape (p, r) with r <= count; r = 0 if G has no full rank.
    """
    p = relation.shape[1]
    Q, R = np.linalg.qr(relation)
    diagonal = np.abs(np.diag(R))
    if p == 0 or diagonal.min() * _CONDITION <= diagonal.max():
        return np.empty((p, 0))
    if p <= count:
        return np.eye(p)
    form, vectors = linalg.schur(linalg.solve_triangular(R, Q.T @ overlap), check_finite=False)
    chosen = _largest(form, count)
    if not chosen.any():
        return np.empty((p, 0))
    # "N": no condition numbers wanted.
    ordered = linalg.lapack.dtrsen(chosen, form, vectors, job=b"N")
    return np.asarray(ordered[1])[:, : int(chosen.sum())]


def _largest(form: Matrix, count: int) -> NDArray[np.int32]:
    """Mark the `count` eigenvalues of a real Schur form that are largest in modulus."""
    below = np.diag(form, -1) != 0.0
    diagonal = np.diag(form).copy()
    second = np.flatnonzero(below)
    modulus = np.abs(diagonal)
    # A 2 x 2 block has equal diagonal entries a and off-diagonal entries of opposite sign.
    size = np.hypot(
        diagonal[second], np.sqrt(np.abs(form[second, second + 1] * form[second + 1, second]))
    )
    modulus[second] = modulus[second + 1] = size
    chosen = np.zeros(len(form), dtype=np.int32)
    taken = 0
    for index in np.argsort(-modulus, kind="stable"):
        if chosen[index]:
            continue
        block = _block(below, int(index))
        if taken + len(block) <= count:
            chosen[block] = 1
            taken += len(block)
        if taken >= count:
            break
    return chosen


def _block(below: NDArray[np.bool_], index: int) -> list[int]:
    """Return the rows of the diagonal block of a Schur form to which `index` belongs."""
    if index < len(below) and below[index]:
        return [index, index + 1]
    if index > 0 and below[index - 1]:
        return [index - 1, index]
    return [index]


def lowest_ritz(stiffness: Matrix, mass: Matrix, count: int) -> tuple[NDArray[np.float64], Matrix]:
    r"""Return the smallest Ritz values and their weights, :math:`K z = \theta M z`.

    Parameters
    ----------
    stiffness : K = V^T A V, symmetric, shape (p, p)
    mass : V^T M V, symmetric positive semidefinite up to rounding, shape (p, p)
    count : number of pairs wanted

    Returns
    -------
    tuple
        Values, ascending, shape (r,), and weights (p, r), mass-orthonormal; r <= count.
    """
    values, vectors = np.linalg.eigh((mass + mass.T) / 2)
    kept = values > 1e-12 * max(values.max(initial=0.0), 1e-300)
    basis = vectors[:, kept] / np.sqrt(values[kept])
    theta, weights = np.linalg.eigh(basis.T @ (stiffness + stiffness.T) @ basis / 2)
    return theta[:count], basis @ weights[:, :count]
