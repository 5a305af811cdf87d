r"""Local bases: one basis for each cluster, and a smooth hand-over between them.

A field at the unit coordinates x becomes the coefficients on all bases, behind each other; only
those with a weight are used for the way back,

.. math:: \tilde u(x) = \sum_k w_k(x) \, (c_k + \Phi_k a_k),

with the weights of `rom.local.hand_over`. A regression learns the coefficients of basis k from the
points of its support alone (`supports`): far from it they mean nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.basis import Basis, RestrictedBasis
from rom.local.classifier import Classifier
from rom.local.hand_over import weights_of
from rom.products import InnerProduct

__all__ = ["LocalBases", "RestrictedLocalBases"]

type _Floats = NDArray[np.float64]

# Step of the differences of the weights, in unit coordinates.
_STEP = 1e-6


@final
@dataclass(frozen=True, eq=False)
class RestrictedLocalBases:
    """Some rows of local bases, as `RestrictedBasis` of one basis.

    Attributes
    ----------
    bases
        The rows of each.
    classifier, zone
        As in `LocalBases`.
    """

    bases: tuple[RestrictedBasis, ...]
    classifier: Classifier
    zone: float

    def lift(self, coefficients: _Floats, x: _Floats) -> _Floats:
        """Return the values at the rows, (q, s), for coefficients (q, R) at x (q, d)."""
        ranks = [basis.modes.shape[1] for basis in self.bases]
        if coefficients.shape != (len(x), sum(ranks)):
            raise UserError(
                f"Expected coefficients on all bases, shape ({len(x)}, {sum(ranks)}), for "
                f"{len(x)} points; received shape {coefficients.shape}."
            )
        parts = np.split(coefficients, np.cumsum(ranks)[:-1], axis=1)
        weights = weights_of(self.classifier.scores(x), self.zone)
        return _blended(
            weights,
            len(self.bases[0].modes),
            lambda k, used: self.bases[k].lift(parts[k][used]),
        )


@final
@dataclass(frozen=True, eq=False)
class LocalBases:
    """Bases of K clusters; see the module.

    Attributes
    ----------
    bases
        One for each cluster, in one product.
    classifier
        Fitted; from unit coordinates to scores of the clusters.
    zone
        Width of the hand-over in the unit of the scores, >= 0; 0 switches at the border.

    Raises
    ------
    UserError
        If the numbers of bases and clusters differ, or the bases are of different fields.
    """

    bases: tuple[Basis, ...]
    classifier: Classifier
    zone: float

    def __post_init__(self) -> None:
        sizes = {len(basis.modes) for basis in self.bases}
        if len(self.bases) != self.classifier.n_clusters or len(sizes) != 1:
            raise UserError(
                f"Expected one basis for each of {self.classifier.n_clusters} clusters, of the "
                f"same fields; received {len(self.bases)} bases of {sorted(sizes)} values."
            )

    @property
    def n_clusters(self) -> int:
        """The number K of clusters."""
        return len(self.bases)

    @property
    def product(self) -> InnerProduct:
        """The inner product of all bases."""
        return self.bases[0].product

    @property
    def rank(self) -> int:
        """Largest number of modes of a basis."""
        return max(basis.rank for basis in self.bases)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where the coefficients of each basis stand."""
        ends = np.cumsum([basis.rank for basis in self.bases]).tolist()
        return tuple(slice(e - b.rank, e) for e, b in zip(ends, self.bases, strict=True))

    def weights(self, x: _Floats) -> _Floats:
        """Return the weights (q, K) of the bases at unit coordinates (q, d)."""
        return weights_of(self.classifier.scores(x), self.zone)

    def weight_slopes(self, x: _Floats) -> _Floats:
        """Return the derivatives (q, K, d) of the weights by the coordinates, by differences."""
        slopes = [
            (self.weights(x + step) - self.weights(x - step)) / (2 * _STEP)
            for step in _STEP * np.eye(x.shape[1])
        ]
        return np.stack(slopes, axis=-1)

    def supports(self, x: _Floats) -> NDArray[np.bool_]:
        """Return which bases are used, (q, K), at unit coordinates (q, d)."""
        return self.weights(x) > 0

    def coefficients(self, fields: _Floats) -> _Floats:
        """Return the coefficients (q, R) of fields (q, n) on all bases, behind each other."""
        return np.concatenate([basis.coefficients(fields) for basis in self.bases], axis=1)

    def lift(self, coefficients: _Floats, x: _Floats) -> _Floats:
        """Return the fields (q, n) for coefficients (q, R) at unit coordinates (q, d)."""
        return self.rows(slice(None)).lift(coefficients, x)

    def rows(self, places: NDArray[np.int64] | slice) -> RestrictedLocalBases:
        """Return the rows at some places of a field, whose `lift` costs only these."""
        parts = tuple(basis.rows(places) for basis in self.bases)
        return RestrictedLocalBases(parts, self.classifier, self.zone)

    def transfer(self, coefficients: _Floats, source: int, target: int) -> _Floats:
        r"""Return the coefficients (q, r') of the same fields on another basis.

        .. math:: a' = \Phi'^T M (c + \Phi a - c')

        A model that steps in time calls it where it changes the basis: its state goes with it. It
        costs r r' operations; what is orthogonal to the other basis is lost.

        Parameters
        ----------
        coefficients
            On the source alone, (q, r).
        source, target
            Numbers of the clusters.
        """
        overlaps, shifts = self._overlaps
        here, there = self.slices[source], self.slices[target]
        shift = shifts[there, source] - shifts[there, target]
        return np.asarray(coefficients @ overlaps[here, there] + shift)

    @cached_property
    def _overlaps(self) -> tuple[_Floats, _Floats]:
        """Products of all modes with each other, (R, R), and with all centres, (R, K)."""
        modes = np.concatenate([basis.modes for basis in self.bases], axis=1)
        zero = np.zeros(len(modes))
        centres = [zero if basis.centre is None else basis.centre for basis in self.bases]
        return self.product.gram(modes), self.product.gram(modes, np.stack(centres, axis=1))

    def truncated(self, rank: int) -> Self:
        """Return the bases with at most `rank` modes each."""
        bases = tuple(basis.truncated(min(rank, basis.rank)) for basis in self.bases)
        return replace(self, bases=bases)

    def switched(self) -> Self:
        """Return the same bases without the hand-over: one basis everywhere."""
        return replace(self, zone=0.0)

    def projection_error(
        self, fields: _Floats, x: _Floats, *, relative: bool = True
    ) -> _Floats:  # fmt: skip
        """Return how well fields (q, n) at x (q, d) are represented, (q,), as `Basis` does."""
        near = _blended(
            self.weights(x),
            fields.shape[1],
            lambda k, used: self.bases[k].lift(self.bases[k].coefficients(fields[used])),
        )
        errors = self.product.norms((fields - near).T)
        if not relative:
            return errors
        sizes = self.product.norms(fields.T)
        exact = np.where(errors > 0, np.inf, 0.0)
        return np.divide(errors, sizes, out=exact, where=sizes > 0)


def _blended(
    weights: _Floats, n: int, part: Callable[[int, NDArray[np.int64]], _Floats]
) -> _Floats:
    """Return the weighted sum (q, n) of parts, each computed only where it has a weight."""
    result = np.zeros((len(weights), n))
    for k, column in enumerate(weights.T):
        used = np.flatnonzero(column)
        if len(used):
            result[used] += column[used, None] * part(k, used)
    return result
