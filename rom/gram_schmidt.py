r"""QR factorisation X = Q R with :math:`Q^T M Q = I`, by classical Gram-Schmidt in blocks, twice.

A block of columns is projected on what is orthogonal to the columns before it, made orthonormal
in itself, and both once more: then Q is orthonormal to working precision however dependent the
columns of X are. Columns that depend on others up to rounding get no column of Q. Only inner
products are needed, so that rows may lie on several processes.

Sources: Barlow and Smoktunowicz (2013), "Reorthogonalized block classical Gram-Schmidt",
doi:10.1007/s00211-012-0496-2; Giraud, Langou, Rozloznik, van den Eshof (2005),
doi:10.1007/s00211-005-0615-4, for why twice is enough.
"""

import numpy as np
from numpy.typing import NDArray

from rom.products import InnerProduct

__all__ = ["product_qr"]

type _Floats = NDArray[np.float64]

_PANEL = 32
# A column that is left with less of its norm holds nothing but rounding.
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
# What the first round left with norm 1 is no new direction if the second takes so much of it off.
_LOST = 0.1


def product_qr(columns: _Floats, product: InnerProduct) -> tuple[_Floats, _Floats]:
    """Return Q and R.

    Parameters
    ----------
    columns
        Shape (n, k); not changed.
    product
        The inner product.

    Returns
    -------
    tuple
        Q, shape (n, q), and R, shape (q, k), not triangular where columns were dependent; q is
        the number of independent columns.
    """
    n, k = columns.shape
    Q, R, q = np.empty((n, k), order="F"), np.zeros((k, k)), 0
    for start in range(0, k, _PANEL):
        place = slice(start, min(start + _PANEL, k))
        panel = np.array(columns[:, place], order="F")
        least = _ROUNDING * product.norms(panel)
        above = _project(panel, Q[:, :q], product)
        first, inner = _orthonormal(panel, least, product)
        again = _project(first, Q[:, :q], product)
        second, correction = _orthonormal(first, np.full(first.shape[1], _LOST), product)
        new = second.shape[1]
        Q[:, q : q + new] = second
        R[:q, place] = above + again @ inner
        R[q : q + new, place] = correction @ inner
        q += new
    return Q[:, :q], R[:q]


def _project(panel: _Floats, Q: _Floats, product: InnerProduct) -> _Floats:
    """Take the components along Q off the panel, in place, and return them, (q, b)."""
    if not Q.shape[1]:
        return np.zeros((0, panel.shape[1]))
    along = product.gram(Q, panel)
    panel -= Q @ along
    return along


def _orthonormal(
    panel: _Floats, least: _Floats, product: InnerProduct
) -> tuple[_Floats, _Floats]:  # fmt: skip
    """Return an orthonormal basis (n, c) and the coefficients (c, b) of the panel in it.

    Columns of which no more than `least`, shape (b,), is left are taken as dependent.
    """
    n, b = panel.shape
    basis, coefficients, c = np.empty((n, b), order="F"), np.zeros((b, b)), 0
    for j in range(b):
        column = np.array(panel[:, j : j + 1])
        for _ in range(2):
            coefficients[:c, j] += _project(column, basis[:, :c], product)[:, 0]
        norm = float(product.norms(column)[0])
        if norm > least[j]:
            basis[:, c] = column[:, 0] / norm
            coefficients[c, j] = norm
            c += 1
    return basis[:, :c], coefficients[:c]
