"""What every block of snapshots goes through: a check, and one of the two methods."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.pod_gram import gram_factors
from rom.pod_qr import qr_factors
from rom.products import InnerProduct
from rom.truncation import Factors, Truncation

__all__ = ["Method", "check_rows", "decompose", "gram_resolves"]

type _Floats = NDArray[np.float64]
type Method = Literal["auto", "gram", "qr"]

# Below, the method of snapshots has no digits left.
_LEAST = 1e-7


def check_rows(rows: _Floats, product: InnerProduct) -> None:
    """Check snapshots of shape (k, n), on all processes alike.

    Raises
    ------
    UserError
        If they do not fit the product, or a value is not finite.
    """
    # All processes learn what is wrong on one of them: else the others would wait for it.
    misfit = rows.ndim != 2 or rows.shape[1] != product.n
    faults = np.array([float(misfit), float((~np.isfinite(rows)).sum())])
    misfits, infinite = product.reducer.sum(faults)
    if misfits:
        raise UserError(
            f"Expected snapshots as rows, shape (k, n), of fields of {product.n} values, for which "
            f"the inner product was made; received shape {rows.shape} here, and {misfits:.0f} "
            "processes do not fit. Make the product from the same fields as the snapshots."
        )
    if infinite:
        raise UserError(
            f"Expected finite snapshots; {infinite:.0f} values are NaN or infinite. Leave these "
            "snapshots out, or compute them again."
        )


def decompose(
    columns: _Floats, product: InnerProduct, truncation: Truncation, method: Method = "auto"
) -> Factors:
    """Return the truncated decomposition of columns of shape (n, k); they are not changed.

    Parameters
    ----------
    columns
        Snapshots.
    product
        Inner product of the modes.
    truncation
        How many modes are kept.
    method
        ``gram``: the method of snapshots. ``qr``: by QR factorisation, several times the cost.
        ``auto``: the method of snapshots if what may be left out is at least 1e-7 of the whole
        and ten times its rounding, sqrt(10 k u) for k snapshots and the unit roundoff u (2e-6
        for 1000 snapshots); or, where only a number of modes is asked for, if the last of them
        is as large as that.

    Raises
    ------
    UserError
        If the method is unknown.
    """
    if method not in get_args(Method.__value__):
        raise UserError(f"Expected the method auto, gram or qr; received {method!r}.")
    if not columns.shape[1]:
        return Factors(np.empty_like(columns), np.empty(0))
    if method == "qr" or (method == "auto" and truncation.exact):
        return qr_factors(columns, product, truncation)
    factors = gram_factors(columns, product, truncation)
    if method == "gram" or gram_resolves(
        factors.singular_values, factors.modes.shape[1], truncation
    ):
        return factors
    return qr_factors(columns, product, truncation)


def gram_resolves(sigma: _Floats, r: int, truncation: Truncation) -> bool:
    """Tell whether the method of snapshots had the digits to keep r modes of these values."""
    total = float(np.sqrt((sigma**2).sum()))
    least = max(_LEAST, float(np.sqrt(10 * len(sigma) * np.finfo(np.float64).eps))) * total
    allowed = max(truncation.tolerance * total, truncation.budget**0.5, truncation.floor)
    if allowed >= least:
        return True
    return r == truncation.rank and bool(sigma[r - 1] >= least)
