r"""Initial guesses from previous solutions.

Among the combinations of the last solutions :math:`X = [x_1 .. x_m]` the one with the smallest
residual is taken,

.. math:: x_0 = X c, \qquad c = \arg\min_c \| b - A X c \|

(Fischer, 1998, 10.1016/S0045-7825(98)00012-7, projects in the energy norm and for one fixed
matrix). It costs m products with a matrix that has changed, so it is used only while the
iterations that it saves are worth more: with a reduction :math:`\rho` of the first residual, a
share :math:`\ln \rho / \ln \epsilon` of them.
"""

import math
from typing import Any, final

import numpy as np

from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["SolutionHistory"]

# Solves without a guess after one that did not pay.
_PAUSE = 25
# A guess that saves more than this part of the iterations hides how many there would be.
_TELLING = 0.9


@final
class SolutionHistory:
    """The last solutions of a sequence, and whether they are of use.

    Parameters
    ----------
    size : solutions kept

    Attributes
    ----------
    share : part of the iterations that the last guess is expected to save
    """

    def __init__(self, size: int = 3) -> None:
        self._size = size
        self._solutions: list[Any] = []
        self._wait = 0
        self.share = 0.0

    def guess(self, system: System, b: Any, x: Any, rtol: float, iterations: float) -> Work:
        """Set `x` to the best combination, or to zero where that does not pay; collective.

        Parameters
        ----------
        b, x : right-hand side; receives the guess
        rtol : relative tolerance aimed at
        iterations : iterations, in products with the matrix, that a solve from zero takes
        """
        work, self.share = Work(), 0.0
        x.zeroEntries()
        if not self._solutions or self._wait > 0 or iterations < 2 * self._size:
            self._wait = max(self._wait - 1, 0)
            return work
        images = [b.duplicate() for _ in self._solutions]
        for solution, image in zip(self._solutions, images, strict=True):
            system.matrix.mult(solution, image)
        work.operator += len(images)
        coefficients, left = _least_squares(images, b)
        for solution, factor in zip(self._solutions, coefficients, strict=True):
            x.axpy(float(factor), solution)
        for image in images:
            image.destroy()
        self.share = min(math.log(max(left, 1e-300)) / math.log(rtol), 1.0)
        if iterations * self.share < 1.5 * len(self._solutions):
            self._wait = _PAUSE
        return work

    def from_zero(self, iterations: float, before: float) -> float:
        """Return the iterations that the last solve would have taken without its guess.

        Parameters
        ----------
        iterations : what it took
        before : the last such number, for guesses that leave nothing to judge by
        """
        if self.share > _TELLING:
            return max(iterations, before)
        return iterations / (1.0 - self.share)

    def keep(self, x: Any) -> None:
        """Remember a solution; the oldest one makes room."""
        vector = x.duplicate() if len(self._solutions) < self._size else self._solutions.pop(0)
        x.copy(vector)
        self._solutions.append(vector)

    def clear(self) -> None:
        """Forget all of them."""
        for vector in self._solutions:
            vector.destroy()
        self._solutions.clear()


def _least_squares(images: list[Any], b: Any) -> tuple[np.ndarray, float]:
    """Return coefficients, and the norm of the residual relative to that of b."""
    gram = np.array([[u.dot(v) for v in images] for u in images])
    right = np.array([u.dot(b) for u in images])
    coefficients = np.linalg.lstsq(gram, right, rcond=1e-10)[0]
    norm = float(b.norm()) ** 2
    left = norm - 2 * coefficients @ right + coefficients @ gram @ coefficients
    return coefficients, math.sqrt(max(left, 0.0) / norm) if norm > 0 else 1.0
