r"""Bases of proper orthogonal decomposition, in the inner product of the problem.

A basis has modes :math:`\Phi`, shape (n, r), with :math:`\Phi^T M \Phi = I`, and a centre c. A
field u becomes coefficients and comes back as

.. math:: a = \Phi^T M (u - c), \qquad \tilde u = c + \Phi a,

the best approximation of u in c + span(Phi) in the norm of M. The same M makes the modes, the
coefficients and the errors: one for the modes and another for the coefficients gives wrong fields.

Snapshots are rows, shape (k, n): a snapshot is one contiguous vector.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.decomposition import Method, check_rows, decompose
from rom.products import Euclidean, InnerProduct
from rom.truncation import Truncation

__all__ = ["Basis", "RestrictedBasis", "pod", "require_variation"]

type _Floats = NDArray[np.float64]

# Snapshots that differ by less than this part of their size are one constant and rounding.
_CONSTANT = 1e-13


@final
@dataclass(frozen=True, eq=False)
class RestrictedBasis:
    """Some rows of a basis: fields at probes, in a region or of one kind, at the cost of these.

    Attributes
    ----------
    modes
        Shape (q, r); not orthonormal.
    centre
        Shape (q,), or None.
    """

    modes: _Floats
    centre: _Floats | None

    def lift(self, coefficients: _Floats) -> _Floats:
        """Return the values at the rows, (k, q), for coefficients (k, r)."""
        values = coefficients @ self.modes.T
        return values if self.centre is None else values + self.centre


@final
@dataclass(frozen=True, eq=False)
class Basis:
    """Modes, orthonormal in a product, and a centre; see the module.

    Attributes
    ----------
    modes
        Shape (n, r).
    singular_values
        All that were computed, descending, shape (m,), m >= r, in the unit of the product's norm.
    centre
        The mean snapshot, shape (n,); None for a basis that is not centred.
    product
        The inner product.
    n_snapshots
        Number of snapshots that it was made from.
    """

    modes: _Floats
    singular_values: _Floats
    centre: _Floats | None
    product: InnerProduct
    n_snapshots: int

    def __post_init__(self) -> None:
        self.product.check(len(self.modes))

    @property
    def rank(self) -> int:
        """Number r of modes."""
        return int(self.modes.shape[1])

    @property
    def discarded(self) -> float:
        """Relative size of what was left out: root of its share of all squared singular values."""
        squares = self.singular_values**2
        return float(np.sqrt(squares[self.rank :].sum() / squares.sum()))

    def coefficients(self, fields: _Floats) -> _Floats:
        """Return the coefficients (k, r) of fields (k, n)."""
        return self.product.gram(self._centred(fields), self.modes)

    def lift(self, coefficients: _Floats) -> _Floats:
        """Return the fields (k, n) for coefficients (k, r)."""
        return RestrictedBasis(self.modes, self.centre).lift(coefficients)

    def rows(self, places: NDArray[np.int64] | slice) -> RestrictedBasis:
        """Return the rows at some places of a field, whose `lift` costs only these."""
        centre = None if self.centre is None else np.ascontiguousarray(self.centre[places])
        return RestrictedBasis(np.ascontiguousarray(self.modes[places]), centre)

    def truncated(self, rank: int) -> Self:
        """Return the basis of the first `rank` modes.

        Raises
        ------
        UserError
            If there are not so many, or `rank` is less than 1.
        """
        if not 1 <= rank <= self.rank:
            raise UserError(f"Expected 1 to {self.rank} modes; received {rank}.")
        return replace(self, modes=np.ascontiguousarray(self.modes[:, :rank]))

    def projection_error(self, fields: _Floats, *, relative: bool = True) -> _Floats:
        r"""Return how well fields (k, n) are represented, shape (k,).

        .. math:: \|u - \tilde u\| / \|u\|

        in the norm of the product; a zero field has the error 0 if it is represented exactly, else
        infinity. Without `relative`, the numerator alone.
        """
        centred = self._centred(fields)
        left = centred - self.modes @ self.product.gram(self.modes, centred)
        errors = self.product.norms(left)
        if not relative:
            return errors
        sizes = self.product.norms(fields.T)
        exact = np.where(errors > 0, np.inf, 0.0)
        return np.divide(errors, sizes, out=exact, where=sizes > 0)

    def _centred(self, fields: _Floats) -> _Floats:
        """Return the fields without the centre, as columns."""
        return (fields if self.centre is None else fields - self.centre).T


def pod(
    snapshots: _Floats | Iterable[_Floats],
    product: InnerProduct | None = None,
    *,
    rank: int | None = None,
    tolerance: float | None = None,
    centre: bool = True,
    method: Method = "auto",
) -> Basis:
    r"""Return the basis of r modes that represents all snapshots best.

    It minimises the sum of :math:`\|u_i - \tilde u_i\|^2` over all bases of r modes; the minimum
    is the sum of the squared singular values left out.

    Parameters
    ----------
    snapshots
        Rows of shape (k, n), or blocks of rows, one behind the other. They are not changed.
        Without a limit of memory; `rom.hierarchical` has one.
    product
        The inner product; by default the Euclidean one. With a product over several processes,
        each gives its part of all snapshots and gets its part of the modes.
    rank
        At most so many modes; fewer if the snapshots have no more.
    tolerance
        Relative: the squares left out are at most tolerance^2 of all. With `rank`, both hold.
        Without either, all modes that are more than rounding.
    centre
        Whether the mean snapshot is taken off first.
    method
        See `rom.decomposition.decompose`.

    Returns
    -------
    Basis
        Its modes have a sign that does not depend on the order of the snapshots.

    Raises
    ------
    UserError
        If there are too few snapshots for the rank, they are constant or zero, not finite, or of
        another size than the product, or an argument is out of its range.

    Notes
    -----
    Source: Sirovich (1987), doi:10.1090/qam/910462. For the product: Volkwein (2013), "Proper
    orthogonal decomposition: theory and reduced-order modelling".
    """
    rows = _stacked(snapshots)
    product = product or Euclidean(rows.shape[1])
    _check(rows, product, rank, centre=centre)
    mean = rows.mean(axis=0) if centre else None
    columns = (rows if mean is None else rows - mean).T
    size = 0.0 if mean is None else float(product.norms(mean[:, None])[0]) * len(rows) ** 0.5
    rounding = float(np.finfo(np.float64).eps) * size
    truncation = Truncation(rank, tolerance or 0.0, floor=rounding)
    factors = decompose(columns, product, truncation, method)
    sigma = factors.singular_values
    if not factors.modes.shape[1]:
        sigma = np.zeros(1)  # rounding only
    require_variation(float((sigma**2).sum()), size**2, len(rows), centred=centre)
    return Basis(factors.modes, sigma, mean, product, len(rows))


def require_variation(energy: float, constant: float, n_snapshots: int, *, centred: bool) -> None:
    """Check that snapshots have a direction.

    Parameters
    ----------
    energy
        Sum of their squared norms, without the mean if they are centred.
    constant
        Sum of the squared norms of that mean, once for each.
    n_snapshots, centred
        For the message.

    Raises
    ------
    UserError
        If they are all the same or zero, up to rounding.
    """
    if energy <= _CONSTANT**2 * constant:
        what = "all are the same" if centred else "all are zero"
        raise UserError(
            f"Expected snapshots that differ; received {n_snapshots}, and {what} up to rounding. A "
            "basis needs solutions for different parameters or times: check which fields are used."
        )


def _stacked(snapshots: _Floats | Iterable[_Floats]) -> _Floats:
    if not isinstance(snapshots, np.ndarray):
        blocks = [np.atleast_2d(np.asarray(block, np.float64)) for block in snapshots]
        if len({block.shape[1:] for block in blocks}) > 1:
            raise UserError(
                "Expected blocks of snapshots of one size; received the shapes "
                f"{[block.shape for block in blocks]}. Use one mesh and the same fields."
            )
        snapshots = np.concatenate(blocks) if blocks else np.empty((0, 0))
    rows = np.asarray(snapshots, np.float64)
    if rows.ndim != 2 or not rows.size:
        raise UserError(
            f"Expected snapshots as rows, shape (k, n); received shape {rows.shape}. "
            "Join times and samples into one axis."
        )
    return rows


def _check(rows: _Floats, product: InnerProduct, rank: int | None, *, centre: bool) -> None:
    least = (rank or 1) + centre
    if len(rows) < least:
        raise UserError(
            f"Expected at least {least} snapshots for {rank or 'some'} modes"
            f"{' beside the mean' if centre else ''}; received {len(rows)}. Compute more, or ask "
            "for fewer modes."
        )
    check_rows(rows, product)
