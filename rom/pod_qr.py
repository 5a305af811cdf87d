r"""Proper orthogonal decomposition by QR factorisation: all digits, for small tolerances.

.. math:: X = Q R, \quad Q^T M Q = I, \qquad R = U \Sigma V^T, \qquad \Phi = Q U .

Nothing is squared: singular values are right to rounding of the largest one, about
:math:`10^{-15} \sigma_1`, where the method of snapshots (`rom.pod_gram`) ends at
:math:`10^{-8} \sigma_1`; it costs several times as much. Diagonal products on one process use
Householder QR on blocks of rows (`rom.tsqr`), all others Gram-Schmidt (`rom.gram_schmidt`).

Source: Chan (1982), "An improved algorithm for computing the singular value decomposition",
doi:10.1145/355984.355990, for the QR factorisation before the decomposition.
"""

import numpy as np
from numpy.typing import NDArray

from rom.gram_schmidt import product_qr
from rom.products import InnerProduct
from rom.truncation import Factors, Truncation, mode_signs
from rom.tsqr import tall_skinny_qr

__all__ = ["qr_factors"]

type _Floats = NDArray[np.float64]


def qr_factors(columns: _Floats, product: InnerProduct, truncation: Truncation) -> Factors:
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
        With at most min(n, k) singular values.
    """
    weights = product.weights if product.reducer.size == 1 else None
    if weights is None:
        Q, R = product_qr(columns, product)
    else:
        roots = np.sqrt(weights)[:, None]
        Q, R = tall_skinny_qr(roots * columns)
        Q = Q / roots
    U, singular_values, Vt = np.linalg.svd(R, full_matrices=False)
    noise = len(Vt) * np.finfo(np.float64).eps * singular_values.max(initial=0.0)
    r = truncation.above(float(noise)).count(singular_values)
    return Factors(Q @ (U[:, :r] * mode_signs(Vt[:r].T)), singular_values)
