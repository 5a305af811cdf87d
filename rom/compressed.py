r"""What remains of a set of snapshots: scaled modes, a mean, and what was left out so far.

Two sets A and B with the means m_A, m_B become one without their snapshots. With the snapshots as
columns there is a matrix V with orthonormal columns for which

.. math::
   [X_A, X_B] - m 1^T = [Y_A, Y_B, \sqrt{n_A n_B / n} \, (m_A - m_B)] \, V^T,

where the Y are modes times singular values of the centred sets. When small singular values are
dropped, the rows of what is dropped are orthogonal to those of all that is kept, now and later:
hence what is dropped in all steps adds up as squares, and the sum bounds the squared error of the
final basis over all snapshots.

Sources: Himpele, Leibner, Rave (2018), "Hierarchical approximate proper orthogonal decomposition",
doi:10.1137/16M1085413; the mean after Ross, Lim, Lin, Yang (2008),
doi:10.1007/s11263-007-0075-7.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.decomposition import Method, check_rows, decompose
from rom.products import InnerProduct
from rom.truncation import Factors, Truncation

__all__ = ["CompressedSet", "Compression"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class CompressedSet:
    """See the module.

    Attributes
    ----------
    scaled
        Modes times singular values, shape (n, r).
    mean
        Mean of the snapshots, shape (n,); None if they are not centred.
    n_snapshots
        How many there were.
    energy
        Sum of the squared norms of the (centred) snapshots.
    discarded
        Sum of the squares left out.
    largest
        Columns of the largest block that was decomposed.
    """

    scaled: _Floats
    mean: _Floats | None
    n_snapshots: int
    energy: float
    discarded: float
    largest: int


@final
@dataclass(frozen=True)
class Compression:
    r"""Compresses snapshots, sets of them and at last the whole, within a tolerance.

    With the tolerance eps, the share omega of the root and the energy E of a set, at most the
    part f of :math:`(1 - \omega^2) \epsilon^2 E` may be gone when a set has been compressed, what
    was left out in its parts included; at the root all of :math:`\epsilon^2 E`. The root then
    leaves out no less than :math:`\omega^2 \epsilon^2 E`, so that it has at most the modes that
    POD of all snapshots has for the tolerance :math:`\omega \epsilon`.

    Attributes
    ----------
    product
        The inner product.
    tolerance
        eps, in (0, 1).
    share
        omega, in (0, 1).
    centre
        Whether the mean is taken off.
    method
        As in `rom.decomposition.decompose`.

    Raises
    ------
    UserError
        If tolerance or share is out of its range.
    """

    product: InnerProduct
    tolerance: float
    share: float = 0.95
    centre: bool = True
    method: Method = "auto"

    def __post_init__(self) -> None:
        if not (0 < self.tolerance < 1 and 0 < self.share < 1):
            raise UserError(
                "Expected a tolerance and a share of the root between 0 and 1; received "
                f"{self.tolerance} and {self.share}. Try 1e-4 and 0.95."
            )

    def leaf(self, rows: _Floats, part: float) -> CompressedSet:
        """Compress snapshots of shape (k, n); they are not changed.

        Parameters
        ----------
        rows
            The snapshots.
        part
            The part f, in (0, 1].
        """
        check_rows(rows, self.product)
        mean = rows.mean(axis=0) if self.centre else None
        columns = (rows if mean is None else rows - mean).T
        tolerance = (part * (1 - self.share**2)) ** 0.5 * self.tolerance
        truncation = Truncation(tolerance=tolerance, floor=self._rounding(mean, len(rows)))
        factors = decompose(columns, self.product, truncation, self.method)
        energy = float((factors.singular_values**2).sum())
        return CompressedSet(
            factors.scaled, mean, len(rows), energy, factors.left_out, columns.shape[1]
        )

    def merged(self, left: CompressedSet, right: CompressedSet, part: float) -> CompressedSet:
        """Compress two sets together, to the part f of what may be gone."""
        n = left.n_snapshots + right.n_snapshots
        blocks, mean, between = [left.scaled, right.scaled], None, 0.0
        if left.mean is not None and right.mean is not None:
            step = left.mean - right.mean
            mean = right.mean + step * (left.n_snapshots / n)
            shift = step[:, None] * (left.n_snapshots * right.n_snapshots / n) ** 0.5
            between = float(self.product.norms(shift)[0]) ** 2
            blocks.append(shift)
        columns = np.concatenate(blocks, axis=1)
        energy = left.energy + right.energy + between
        gone = left.discarded + right.discarded
        allowed = part * (1 - self.share**2) * self.tolerance**2 * energy
        truncation = Truncation(budget=max(0.0, allowed - gone), floor=self._rounding(mean, n))
        factors = decompose(columns, self.product, truncation, self.method)
        largest = max(left.largest, right.largest, columns.shape[1])
        return CompressedSet(factors.scaled, mean, n, energy, gone + factors.left_out, largest)

    def root(self, whole: CompressedSet, rank: int | None = None) -> tuple[Factors, float]:
        """Return modes and singular values of everything, and the sum of all squares left out.

        Parameters
        ----------
        whole
            The set that holds everything.
        rank
            At most so many modes, whatever the tolerance says.
        """
        truncation = Truncation(
            rank,
            budget=max(0.0, self.tolerance**2 * whole.energy - whole.discarded),
            floor=self._rounding(whole.mean, whole.n_snapshots),
        )
        factors = decompose(whole.scaled, self.product, truncation, self.method)
        return factors, whole.discarded + factors.left_out

    def _rounding(self, mean: _Floats | None, n_snapshots: int) -> float:
        """Return the size of singular values that are rounding of the mean."""
        if mean is None:
            return 0.0
        size = self.product.norms(mean[:, None])[0] * n_snapshots**0.5
        return float(np.finfo(np.float64).eps * size)
