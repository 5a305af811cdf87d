r"""A window of Lanczos vectors that conjugate gradients leave behind, renewed when full.

CG's preconditioned residuals, scaled by :math:`1/\sqrt{\gamma_j}`, are Lanczos vectors Z with
:math:`Z^T M Z = I`. Those of the deflated system have a tridiagonal :math:`T = Z^T A Z`, whose
entries CG knows. When the window is full, the lowest Ritz vectors of T and of T without its last
row take its place: the search for eigenvectors goes on nearly as if nothing had been thrown away,
and costs CG neither a product nor a reduction. Source: Stathopoulos and Orginos (2010),
doi:10.1137/080725532, arXiv:0707.0131, algorithm eigCG. Held here besides are the images A Z, which
CG computes anyway, so that the new space needs no products.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from solvers.krylov.blocks import Block, Reducer, Vector, combine
from solvers.krylov.linear_operator import Operator
from solvers.krylov.refresh import Carried
from solvers.krylov.ritz import lowest_ritz

__all__ = ["LanczosWindow"]

type Matrix = NDArray[np.float64]


@final
class LanczosWindow:
    """Collects Lanczos vectors and gives the Ritz vectors of them and a recycle space together.

    Parameters
    ----------
    operator : lends the memory
    length : most vectors held, at least `LanczosWindow.shortest(size)`
    size : Ritz vectors wanted
    recycled : size of the recycle space that CG deflates with
    """

    def __init__(self, operator: Operator, length: int, size: int, recycled: int) -> None:
        self._Z: Block = operator.workspace("window", length)
        self._AZ: Block = operator.workspace("images", length)
        self._T = np.zeros((length, length))
        self._mu = np.zeros((recycled, length))
        self._last = np.zeros(length)
        self._size = size
        # eigCG keeps as many again from the step before; a quarter does as well and costs less.
        self._before = max(2, size // 4)
        self.count = 0

    @staticmethod
    def shortest(size: int) -> int:
        """Return the least length for `size` Ritz vectors: a few steps between restarts."""
        return size + max(2, size // 4) + 5

    def add(
        self, z: Vector, image: Vector, gamma: float, delta: float, coupling: float, mu: Vector
    ) -> None:
        r"""Take the vectors of one CG step.

        Parameters
        ----------
        z, image : preconditioned residual and A z, shape (n_local,)
        gamma : r^T z
        delta : energy of the deflated z
        coupling : off-diagonal entry of T with the step before, :math:`-\sqrt{\beta}/\alpha`
        mu : components of z in the recycle space, shape (k,)
        """
        if self.count == len(self._Z):
            self._restart()
        c, scale = self.count, 1.0 / np.sqrt(gamma)
        np.multiply(z, scale, out=self._Z[c])
        np.multiply(image, scale, out=self._AZ[c])
        self._mu[:, c] = mu * scale
        self._T[:c, c] = self._T[c, :c] = coupling * self._last[:c]
        self._T[c, c] = delta / gamma
        self._last[: c + 1] = 0.0
        self._last[c] = 1.0
        self.count = c + 1

    def _restart(self) -> None:
        """Replace a full window by the lowest Ritz vectors of its last two sizes."""
        T, k = self._T, self._size
        kept = k + self._before
        both = np.zeros((self.count, kept))
        both[:, :k] = np.linalg.eigh(T)[1][:, :k]
        both[:-1, k:] = np.linalg.eigh(T[:-1, :-1])[1][:, : self._before]
        basis, _ = np.linalg.qr(both)
        values, inside = np.linalg.eigh(basis.T @ T @ basis)
        weights = basis @ inside
        self._Z[:kept], self._AZ[:kept] = combine(weights, self._Z), combine(weights, self._AZ)
        self._mu[:, :kept] = self._mu @ weights
        self._T[:] = 0.0
        self._T[:kept, :kept] = np.diag(values)
        self._last[:kept] = weights[-1]
        self.count = kept

    def ritz(self, held: Carried, reducer: Reducer) -> tuple[Block, Block, Vector]:
        r"""Return the lowest Ritz vectors of recycle space and window together.

        The Gram matrices follow from what CG knows:
        :math:`[U\;Z]^T A [U\;Z] = [[I, \mu],[\mu^T, T + \mu^T\mu]]` and, as the residuals are
        orthogonal to U, :math:`[U\;Z]^T M [U\;Z] = diag(U^T M U, I)`.

        Parameters
        ----------
        held : the recycle space, with energy-orthonormal U
        reducer : makes rank 0's choice everybody's

        Returns
        -------
        tuple
            U and C = A U as rows (r, n_local), with unit energies, and the Ritz values (r,).
        """
        c, k = self.count, held.size
        T, mu = self._T[:c, :c], self._mu[:, :c]
        stiffness = np.block([[np.eye(k), mu], [mu.T, T + mu.T @ mu]])
        mass = np.eye(k + c)
        mass[:k, :k] = held.mass
        values, weights = lowest_ritz(stiffness, mass, self._size)
        kept = values > 0.0
        values = values[kept]
        (scaled,) = reducer.same(weights[:, kept] / np.sqrt(values))
        U = combine(scaled[k:], self._Z[:c]) + combine(scaled[:k], held.U)
        C = combine(scaled[k:], self._AZ[:c]) + combine(scaled[:k], held.C)
        return U, C, values
