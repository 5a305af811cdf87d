r"""Flexible Arnoldi process beside a recycle space, with one global reduction per step.

The basis :math:`W = [C\; v_0 \dots v_j]` grows by delayed re-orthogonalisation: the candidate
:math:`\tilde w` of one step is multiplied by the preconditioner and the matrix before it has been
re-orthogonalised; one reduction then gives :math:`s = W^T \tilde w`, :math:`h = W^T w`,
:math:`\tilde w^T w` and both norms for :math:`w = A M^{-1} \tilde w`. The norm of the corrected
candidate follows from Pythagoras. The relation

.. math:: A\,[U\; Z] = W G, \qquad G = \begin{bmatrix} I & B \\ 0 & H \end{bmatrix}

holds whatever Z is, so the preconditioner may vary. Source: Bielich, Langou, Thomas, Świrydowicz,
Yamazaki and Boman (2022), doi:10.1016/j.parco.2022.102940.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from solvers.krylov.blocks import Block, Reducer, Vector, subtract
from solvers.krylov.linear_operator import Operator
from solvers.krylov.result import KrylovStop, Reason

__all__ = ["Arnoldi"]

# Below this share of the vector's square norm Pythagoras has lost all digits.
_CANCELLED = 1e-13
# A candidate that is orthogonal to this share of its square norm is left as it is: correcting it
# would read the whole basis for nothing.
_CLEAN = 1e-28


@final
class Arnoldi:
    """Workspace and state of one cycle after another.

    Parameters
    ----------
    operator : matrix and preconditioner
    reducer : counts the reductions
    dimension : largest dimension m of [U Z]

    Attributes
    ----------
    basis : W, shape (m + 1, n_local); row `top` is the candidate
    directions : [U Z], shape (m, n_local); row j counts with the factor `scale[j]`
    relation : G, shape (m + 1, m)
    start : coordinates of the starting residual in W, known after the first step, shape (m + 1,)
    recycled, top : k, and the index of the candidate
    exhausted : the Krylov space stopped growing
    """

    def __init__(self, operator: Operator, reducer: Reducer, dimension: int) -> None:
        self._operator = operator
        self._reducer = reducer
        self.basis: Block = operator.workspace("basis", dimension + 1)
        self.directions: Block = operator.workspace("directions", dimension)
        self._buffer = np.empty(2 * dimension + 8)
        self.relation = np.zeros((dimension + 1, dimension))
        self.scale = np.ones(dimension)
        self.start = np.zeros(dimension + 1)
        self._null = np.zeros(dimension + 1)
        self.recycled = self.top = 0
        self.exhausted = False

    def begin(self, recycled: int) -> Vector:
        """Start a cycle with `recycled` vectors already in place; return where the residual goes.

        The residual has to be orthogonal to the images, up to rounding.
        """
        self.recycled = self.top = recycled
        self.relation[:] = 0.0
        self.relation[:recycled, :recycled] = np.eye(recycled)
        self.scale[:] = 1.0
        self.start[:] = 0.0
        self._null[:] = 0.0
        self._null[recycled] = 1.0
        self.exhausted = False
        return self.basis[recycled]

    def step(self) -> float:
        """Grow the space by one vector; return the norm of the smallest residual in it.

        Raises
        ------
        KrylovStop
            If NaN or infinity appears.
        """
        p, W = self.top, self.basis
        self._operator.precondition(W[p], self.directions[p])
        self._operator.apply(self.directions[p], W[p + 1])
        both = self._buffer[: 2 * p + 3]
        np.dot(W[: p + 1], W[p], out=both[: p + 1])
        np.dot(W[: p + 2], W[p + 1], out=both[p + 1 :])
        self._reducer.sum(both)
        rho = self._settle(both[:p], both[p])
        if self.exhausted:
            return self._smallest(p)
        column = both[p + 1 : 2 * p + 2]
        column[p] = (column[p] - both[:p] @ column[:p]) / rho
        square = both[-1] - column @ column
        subtract(W[p + 1], column, W[: p + 1], 1.0 / rho)
        self.scale[p] = 1.0 / rho
        self.relation[: p + 1, p] = column / rho
        # Provisional: the next step measures the candidate.
        self.relation[p + 1, p] = np.sqrt(max(float(square), 0.0)) / rho
        self.exhausted = bool(square <= _CANCELLED * both[-1])
        self.top = p + 1
        self._correct_null(p + 1)
        return self._smallest(p + 1)

    def finish(self, images: Block) -> NDArray[np.float64]:
        """End the cycle: settle the last candidate.

        Parameters
        ----------
        images : block T of the recycle space, shape (k, n_local)

        Returns
        -------
        ndarray
            ``W^T T``, shape (top + 1, k), from the same reduction.
        """
        p, W = self.top, self.basis
        own, cross = self._reducer.sums(W[: p + 1] @ W[p], W[: p + 1] @ images.T)
        rho = self._settle(own[:p], own[p])
        cross[p] = (cross[p] - own[:p] @ cross[:p]) / rho if self.relation[p, p - 1] else 0.0
        return cross

    def _settle(self, part: Vector, square: float) -> float:
        """Re-orthogonalise and normalise the candidate; return its norm before."""
        if not np.isfinite(square) or not np.isfinite(part).all():
            raise KrylovStop(Reason.NOT_FINITE)
        p, W = self.top, self.basis
        clean = bool(part @ part <= _CLEAN * square)
        if clean:
            part[:] = 0.0
        left = float(square - part @ part)
        rho = float(np.sqrt(max(left, 0.0)))
        if p == self.recycled:
            self.start[:p], self.start[p] = part, rho
        else:
            self.relation[:p, p - 1] += part
            self.relation[p, p - 1] = rho
            self._correct_null(p)
        if left <= _CANCELLED * square or rho == 0.0:
            self._vanish(p)
            return 1.0
        subtract(W[p], part[:0] if clean else part, W[: 0 if clean else p], 1.0 / rho)
        return rho

    def _vanish(self, p: int) -> None:
        """Take a candidate that is nothing but rounding as zero."""
        self.basis[p] = 0.0
        self.exhausted = True
        if p > self.recycled:
            self.relation[p, p - 1] = 0.0

    def _correct_null(self, p: int) -> None:
        """Entry `p` of the left null vector of H, by which the smallest residual is known."""
        k = self.recycled
        last = self.relation[p, p - 1]
        dot = self._null[k:p] @ self.relation[k:p, p - 1]
        self._null[p] = -dot / last if last > 0 else np.inf

    def _smallest(self, p: int) -> float:
        r"""Return :math:`\rho_0 / \|u\|`, where :math:`u^T \bar H = 0` and :math:`u_0 = 1`."""
        k = self.recycled
        return float(self.start[k] / np.linalg.norm(self._null[k : p + 1]))
