r"""Fewer functions that say as much about a cubature rule as all of them.

With the Gram matrix in the full rule and its eigenvectors,

.. math:: G\,\mathrm{diag}(\omega)\,G^T = U \Lambda U^T, \qquad J = U_r^T G,

the residual of a rule falls into two parts at a right angle, that of J and that of the directions
that were left out. A direction with the eigenvalue :math:`\lambda_j` has an integral of at most
:math:`(|\Omega| \lambda_j)^{1/2}` (Cauchy and Schwarz): r is the smallest number with

.. math:: |\Omega| \sum_{j > r} \lambda_j \le \delta^2 s^2

for the scale s of the residual and the part delta of it that may be left out. A last row holds the
constant function, so that the volume is integrated too; it is ten times as large as all others
together, because a rule that misses the volume needs more points for the rest (measured).

Source: Hernández, Caicedo, Ferrer (2017), "Dimensional hyper-reduction of nonlinear finite
element models via empirical cubature", doi:10.1016/j.cma.2016.10.022, for the idea; the choice of r
is ours.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from rom.cubature.integrands import Integrands
from rom.parts import Parts

__all__ = ["Compressed", "Compression"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Integrals below this part of what they could be are taken as zero: the scale stays above it.
_BALANCED = 1e-6
# Size of the volume's row in that of all integrals.
_VOLUME = 10.0


@final
@dataclass(frozen=True, eq=False)
class Compressed:
    """Rows for which a rule is searched.

    Attributes
    ----------
    rows
        J and the volume row for each block of points of this process, (r + 1, n_b) each.
    target
        Their integrals, (r + 1,).
    parts
        All points, and which are here.
    """

    rows: tuple[_Floats, ...]
    target: _Floats
    parts: Parts

    def columns(self, points: _Ints) -> _Floats:
        """Return the values at any points as rows, (n, r + 1), on all processes."""
        found = np.zeros((len(points), len(self.target)))
        for row, point in enumerate(points.tolist()):
            place = self.parts.place(point)
            if place is not None:
                start = self.parts.blocks[place].start
                found[row] = self.rows[place][:, point - start]
        return self.parts.reducer.sum(found)


@final
class Compression:
    """See the module.

    Parameters
    ----------
    integrands
        The functions.
    scale
        Size of integrals that residuals are measured by; None: the norm of all integrals, at
        least 1e-6 of what it could be (stresses in equilibrium with no load have none).
    """

    def __init__(self, integrands: Integrands, scale: float | None = None) -> None:
        self._integrands = integrands
        shape = (integrands.functions, integrands.functions)
        gram = integrands.parts.total(lambda _, block: _gram(integrands, block), shape)
        eigenvalues, vectors = eigh(gram, overwrite_a=True, check_finite=False)
        self._eigenvalues: _Floats = np.maximum(eigenvalues[::-1], 0.0)
        self._vectors: _Floats = vectors[:, ::-1]
        self._given = scale

    @cached_property
    def integrals(self) -> _Floats:
        """G omega, (m,)."""
        return self._integrands.integrals()

    @cached_property
    def scale(self) -> float:
        """The size s of integrals, positive."""
        if self._given is not None:
            return self._given
        most = float(np.sqrt(self._integrands.volume * self._eigenvalues.sum()))
        return max(float(np.linalg.norm(self.integrals)), _BALANCED * most) or 1.0

    def rank(self, part: float) -> int:
        """Return r for the part delta that may be left out."""
        left_out = np.cumsum(self._eigenvalues[::-1])[::-1] * self._integrands.volume
        return int((left_out > (part * self.scale) ** 2).sum())

    def rows(self, rank: int) -> Compressed:
        """Return r rows and that of the volume."""
        own = self._integrands
        basis = np.ascontiguousarray(self._vectors[:, :rank].T)
        volume = _VOLUME * self.scale
        rows = tuple(
            np.concatenate(
                [basis @ own.at(block), np.full((1, block.stop - block.start), volume / own.volume)]
            )
            for block in own.parts.blocks
        )
        return Compressed(rows, np.r_[basis @ self.integrals, volume], own.parts)


def _gram(integrands: Integrands, block: slice) -> _Floats:
    scaled = integrands.at(block) * np.sqrt(integrands.weights[block])
    return np.asarray(scaled @ scaled.T)
