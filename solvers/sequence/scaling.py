r"""The mean of the matrices of a sequence after scaling each to a unit diagonal.

.. math:: R = \frac1m \sum_{i \le m} D_i^{-1/2} A_i D_i^{-1/2}, \qquad D_i = \operatorname{diag} A_i

For a diffusion operator with a smooth coefficient, :math:`K^{-1/2} (-\nabla\cdot K \nabla)
K^{-1/2} = -\Delta + \Delta\sqrt K / \sqrt K`: after scaling all matrices of a study are the same
operator up to a potential, whatever their contrast (Concus and Golub, 1973, 10.1137/0710092). The
potentials of different samples have different signs, so that the mean is close to the operator
without any (the mean over a sequence is ours).
"""

from typing import Any, final

from solvers.backend import PETSc
from solvers.sequence.system import System

__all__ = ["ScaledMean"]


# Samples after which the mean is settled: more of them hardly change it.
_ENOUGH = 4


@final
class ScaledMean:
    """The mean R of the first matrices of a sequence.

    Attributes
    ----------
    count : matrices in the mean
    """

    def __init__(self) -> None:
        self._sum: Any = None
        self._version = -1
        self.count = 0

    @property
    def settled(self) -> bool:
        """Whether it has all the matrices that it takes."""
        return self.count >= _ENOUGH

    def add(self, system: System) -> None:
        """Add the present values of the matrix, unless they are in it or it is settled."""
        if self.settled or self._version == system.version:
            return
        self._version = system.version
        scale = system.diagonal().copy()
        scale.sqrtabs()
        scale.reciprocal()
        scaled = system.matrix.copy()
        scaled.diagonalScale(scale, scale)
        scale.destroy()
        self.count += 1
        if self._sum is None:
            self._sum = scaled
            return
        self._sum.axpy(1.0, scaled, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        scaled.destroy()

    def matrix(self, system: System) -> Any:
        """Return the mean as a new matrix; the caller destroys it."""
        mean = self._sum.copy()
        mean.scale(1.0 / self.count)
        mean.setOption(PETSc.Mat.Option.SYMMETRIC, system.traits.symmetric)
        return mean

    def destroy(self) -> None:
        """Free the sum."""
        if self._sum is not None:
            self._sum.destroy()
