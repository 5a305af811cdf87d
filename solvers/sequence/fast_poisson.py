r"""A fast Poisson solver as the rescaled reference operator on a uniform grid of cells.

The five-point (seven-point) matrix of :math:`-\Delta` with cell-centred unknowns and zero boundary
values is diagonal in the discrete sine basis of type II: per axis with n cells of width h

.. math::
   v_k(i) = \sin\frac{k (2 i + 1) \pi}{2 n}, \qquad
   \lambda_k = \frac{4}{h^2} \sin^2 \frac{k \pi}{2 n}, \qquad k = 1..n, \; i = 0..n-1

so that its inverse costs two fast transforms. With the diagonal scaling of `LaggedMethod` it
preconditions diffusion with a smooth variable coefficient (Concus and Golub, 1973,
10.1137/0710092).
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from solvers.errors import LinearSolveError
from solvers.sequence.krylov_run import KrylovRun
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.report import Work
from solvers.sequence.system import System
from solvers.sequence.traits import Grid

__all__ = ["FastPoissonMethod", "poisson_eigenvalues"]


def poisson_eigenvalues(grid: Grid) -> NDArray[np.float64]:
    """Return the eigenvalues of the finite-volume Laplacian, shape `grid.shape`, 1/length^2."""
    total = np.zeros(grid.shape)
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        one = 4.0 / h**2 * np.sin(np.arange(1, n + 1) * np.pi / (2 * n)) ** 2
        total += one.reshape([-1 if a == axis else 1 for a in range(len(grid.shape))])
    return total


@final
class _Context:
    """PETSc's Python preconditioner ``x -> S L^{-1} S x``."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        # Single precision halves the time of the transforms. It perturbs the preconditioner by
        # 1e-7, relatively, not the solution.
        self._inverse = (1.0 / poisson_eigenvalues(grid)).astype(np.float32)
        self.scale: NDArray[np.float64] = np.ones(grid.shape)

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        """Apply to `x`, result in `y`; called by PETSc."""
        values = x.getArray(readonly=True).reshape(self._grid.shape) * self.scale
        waves = fft.dstn(values.astype(np.float32), type=2, norm="ortho", overwrite_x=True)
        waves *= self._inverse
        result = fft.idstn(waves, type=2, norm="ortho", overwrite_x=True)
        np.multiply(result, self.scale, out=y.getArray().reshape(self._grid.shape))


@final
class FastPoissonMethod(Method):
    """Conjugate gradients with the rescaled fast Poisson solver; one rank, `traits.grid` set."""

    def __init__(self, system: System) -> None:
        assert system.traits.grid is not None, "offered for grids only"
        self._run = KrylovRun(system.matrix.comm, "cg")
        self._context = _Context(system.traits.grid)
        self._reference = _diagonal(system.traits.grid)
        outer = self._run.ksp.getPC()
        outer.setType("python")
        outer.setPythonContext(self._context)
        self._version = -1

    def prepare(self, system: System) -> Work:
        """Rescale for the present values."""
        if self._version != system.version:
            if not system.diagonal().min()[1] > 0:
                raise LinearSolveError("a diagonal entry is not positive", "indefinite")
            diagonal = system.diagonal().getArray(readonly=True).reshape(self._reference.shape)
            self._context.scale = np.sqrt(self._reference / np.abs(diagonal))
            self._run.ksp.setOperators(system.matrix)
            self._version = system.version
        return Work()

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Iterate; see `Method.solve`."""
        return self._run.solve(system, b, x, target)

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self._run.destroy()


def _diagonal(grid: Grid) -> NDArray[np.float64]:
    """Return the diagonal of the Laplacian: 2 / h^2 per axis, 3 / h^2 in the outer cells."""
    total = np.zeros(grid.shape)
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        one = np.full(n, 2.0 / h**2)
        one[0] += 1.0 / h**2
        one[-1] += 1.0 / h**2
        total += one.reshape([-1 if a == axis else 1 for a in range(len(grid.shape))])
    return total
