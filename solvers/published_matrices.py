r"""Finite-volume Darcy matrices, and the matrices of SKR's published code beside them.

The correct ones discretise :math:`-\nabla\cdot(K \nabla p)` on a uniform grid of cells with zero
boundary values by harmonic means of K at faces; units of K, the volume divided out by the square of
the width being left to the caller: entries are K times a number.

Wang et al. (2024), arXiv:2401.09516, report on matrices that their published code calls Darcy and
Helmholtz. They are neither: coefficient :math:`a_j` stands in column j, so that they are close to
:math:`-\Delta (a u)`, and one of the five diagonals is shifted by two cells, which makes them
indefinite and nearly singular. `skr_darcy` and `skr_helmholtz` rebuild them from that description,
only to compare times on equal matrices. Use none of them for a study.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from infra.errors import UserError

__all__ = ["darcy_5_point", "darcy_7_point", "skr_darcy", "skr_helmholtz"]

type Field = NDArray[np.float64]


def darcy_5_point(permeability: Field) -> Any:
    """Return the finite-volume matrix on square cells.

    Parameters
    ----------
    permeability : K in the cells, shape (n_y, n_x), positive

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n, n) with n = n_y n_x, row-major; symmetric positive definite; units of K. Multiply
        by 1 / h^2 for the operator.

    Raises
    ------
    UserError
        For another number of axes, or values that are not positive and finite.
    """
    return _finite_volumes(permeability, 2)


def darcy_7_point(permeability: Field) -> Any:
    """Return the finite-volume matrix on cubic cells, see `darcy_5_point`."""
    return _finite_volumes(permeability, 3)


def skr_darcy(field: Field) -> Any:
    """Return the matrix that SKR's code calls Darcy: not a Darcy matrix, see the module.

    Parameters
    ----------
    field : a at the points of a square grid, shape (s, s)

    Returns
    -------
    scipy.sparse.csr_array
        Shape (s^2, s^2): 4 a_j on the diagonal, -a_j for the neighbours of j in column j, except
        that the neighbour one grid row further takes the coefficient two cells off.
    """
    return _shifted(field, 0.0)


def skr_helmholtz(field: Field, wave_number: float) -> Any:
    """Return the matrix that SKR's code calls Helmholtz.

    As `skr_darcy`, with ``4 a_j - (h k)^2`` on the diagonal, h = 1 / (s + 1). With k in [0, 1] no
    wave fits into the square: the term hardly matters.
    """
    h = 1.0 / (field.shape[0] + 1)
    return _shifted(field, (h * wave_number) ** 2)


def _finite_volumes(permeability: Field, axes: int) -> Any:
    K = np.asarray(permeability, dtype=np.float64)
    if K.ndim != axes or not (np.isfinite(K) & (K > 0)).all():
        raise UserError(
            f"permeability: expected a positive, finite array with {axes} axes, received shape "
            f"{K.shape} and values from {K.min()} to {K.max()}"
        )
    numbers = np.arange(K.size).reshape(K.shape)
    diagonal = np.zeros(K.shape)
    rows, columns, values = [], [], []
    for axis in range(axes):
        k, i, d = (np.moveaxis(a, axis, 0) for a in (K, numbers, diagonal))
        face = 2.0 * k[1:] * k[:-1] / (k[1:] + k[:-1])
        d[1:] += face
        d[:-1] += face
        d[0] += 2.0 * k[0]  # half a cell to the boundary
        d[-1] += 2.0 * k[-1]
        upper, lower = i[1:].ravel(), i[:-1].ravel()
        rows += [upper, lower]
        columns += [lower, upper]
        values += [-face.ravel()] * 2
    entries = (np.concatenate([*values, diagonal.ravel()]), (
        np.concatenate([*rows, numbers.ravel()]), np.concatenate([*columns, numbers.ravel()])
    ))  # fmt: skip
    matrix = sparse.csr_array(sparse.coo_array(entries, shape=(K.size, K.size)))
    matrix.sort_indices()
    return matrix


def _shifted(field: Field, mass: float) -> Any:
    a = np.asarray(field, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not np.isfinite(a).all():
        raise UserError(f"field: expected a finite square array (s, s), received shape {a.shape}")
    s, n, v = a.shape[0], a.size, a.ravel()
    j = np.arange(n)
    inner = j[j % s != 0]
    upper = j[: n - s]
    wrong = np.minimum(upper + 2, n - 1)
    rows = [j, inner, inner - 1, upper, upper + s]
    columns = [j, inner - 1, inner, upper + s, upper]
    values = [4.0 * v - mass, -v[inner - 1], -v[inner], -v[upper + s], -v[wrong]]
    place = (np.concatenate(rows), np.concatenate(columns))
    matrix = sparse.csr_array(sparse.coo_array((np.concatenate(values), place), shape=(n, n)))
    matrix.sort_indices()
    return matrix
