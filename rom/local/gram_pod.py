r"""Projection errors of POD bases from the products of the snapshots alone.

With the products C of all snapshots, the basis of some of them and the error of any other follow
without a field: if the training snapshots without their mean are X J, their modes are
:math:`\Phi = X A`, and for a snapshot u with the products b to the training snapshots

.. math:: \|u - \tilde u\|^2 = \|u - c\|^2 - |A^T (b - \bar C)|^2 .

So cross-validation over many partitions costs only small matrices. Errors below
:math:`10^{-7} \|u\|` are rounding: enough to choose, not to certify.
"""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["GramBasis"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Part of the sum of all squares below which an eigenvalue is rounding.
_ROUNDING = 1e-14


@final
@dataclass(frozen=True, eq=False)
class GramBasis:
    """A basis that is known by its coefficients.

    Attributes
    ----------
    places
        The training snapshots, shape (m,).
    coefficients
        A, shape (m, r): the modes are the training snapshots times A.
    centred
        Whether the mean of the training snapshots is its centre.
    """

    places: _Ints
    coefficients: _Floats
    centred: bool

    @classmethod
    def of(cls, gram: _Floats, places: _Ints, rank: int, *, centred: bool) -> Self:
        """Return the POD basis of at most `rank` modes of some snapshots.

        Parameters
        ----------
        gram
            Products of all snapshots, (k, k).
        places
            The training snapshots.
        rank, centred
            As in `rom.basis.pod`.
        """
        part = gram[np.ix_(places, places)]
        rounding = _ROUNDING * float(np.trace(part))
        if centred:
            part = part - part.mean(axis=0) - part.mean(axis=1)[:, None] + part.mean()
        values, vectors = np.linalg.eigh(part)
        values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
        kept = values > max(rounding, 0.0)
        return cls(places, vectors[:, kept] / np.sqrt(values[kept]), centred)

    @property
    def rank(self) -> int:
        """Number r of modes; 0 where the training snapshots are copies of one, if centred."""
        return int(self.coefficients.shape[1])

    def squared_errors(self, gram: _Floats, others: _Ints) -> _Floats:
        """Return the squared projection errors of other snapshots, (q,), absolute."""
        products = gram[np.ix_(self.places, others)]
        squares = np.diag(gram)[others]
        if self.centred:
            mean = gram[np.ix_(self.places, self.places)].mean(axis=1)
            squares = squares - 2 * products.mean(axis=0) + mean.mean()
            products = products - mean[:, None]
        found = self.coefficients.T @ products
        return np.asarray(np.maximum(squares - (found**2).sum(axis=0), 0.0))
