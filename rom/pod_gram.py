r"""Proper orthogonal decomposition by the method of snapshots.

With the snapshots as columns of X, shape (n, k), only the small matrix of their products is
decomposed,

.. math::
   C = X^T M X = V \Lambda V^T, \qquad \sigma_j = \sqrt{\lambda_j}, \qquad
   \Phi = X V \Sigma^{-1} .

It costs two passes over the fields. Squaring loses half of the digits: singular values below
about :math:`10^{-8} \sigma_1` are rounding and are cut off. The modes just above are not
orthonormal to working precision either, hence they are made so by one Cholesky factorisation, or
two where the first had much to do.

Sources: Sirovich (1987), doi:10.1090/qam/910462; Yamamoto, Nakatsukasa, Yanagisawa, Fukaya (2015),
"Roundoff error analysis of the CholeskyQR2 algorithm", ETNA 44, 306-326.
"""

import numpy as np
from numpy.typing import NDArray

from rom.products import InnerProduct
from rom.truncation import Factors, Truncation, mode_signs

__all__ = ["eigen_coefficients", "gram_factors", "orthonormaliser"]

type _Floats = NDArray[np.float64]

# Below, the Gram matrix is so well conditioned that one factorisation leaves only rounding.
_CLOSE = 0.5


def gram_factors(columns: _Floats, product: InnerProduct, truncation: Truncation) -> Factors:
    """Return the decomposition of columns of shape (n, k); they are not changed.

    Parameters
    ----------
    columns
        Snapshots.
    product
        Inner product of the modes.
    truncation
        How many modes are kept.

    Returns
    -------
    Factors
        With k singular values; those that are rounding are zero or wrong.
    """
    coefficients, singular_values = eigen_coefficients(product.gram(columns), truncation)
    modes = columns @ coefficients
    for _ in range(2):
        gram = product.gram(modes)
        modes = modes @ orthonormaliser(gram)
        if np.abs(gram - np.eye(len(gram))).max(initial=0.0) < _CLOSE / max(len(gram), 1):
            break
    return Factors(modes, singular_values)


def eigen_coefficients(gram: _Floats, truncation: Truncation) -> tuple[_Floats, _Floats]:
    """Return the matrix A for which X A are the modes, and the singular values.

    Parameters
    ----------
    gram
        X^T M X, shape (k, k).
    truncation
        How many modes are kept.

    Returns
    -------
    tuple
        A, shape (k, r), each column with its largest entry positive so that modes have a sign;
        and all k singular values.
    """
    eigenvalues, vectors = np.linalg.eigh(gram)
    singular_values = np.sqrt(np.maximum(eigenvalues[::-1], 0.0))
    # Eigenvalues are right to a few roundings of the largest one.
    noise = np.sqrt(len(gram) * np.finfo(np.float64).eps)
    r = truncation.above(noise * singular_values.max(initial=0.0)).count(singular_values)
    kept = vectors[:, ::-1][:, :r]
    return kept * (mode_signs(kept) / singular_values[:r]), singular_values


def orthonormaliser(gram: _Floats) -> _Floats:
    """Return the upper triangular R^-1 that makes modes with this Gram matrix orthonormal."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(gram)).T)
