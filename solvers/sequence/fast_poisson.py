r"""A fast Poisson solver as the rescaled reference operator on a uniform grid of cells.

The five-point (seven-point) matrix of :math:`-\Delta` with cell-centred unknowns and zero boundary
values is diagonal in the discrete sine basis of type II: per axis with n cells of width h

.. math::
   v_k(i) = \sin\frac{k (2 i + 1) \pi}{2 n}, \qquad
   \lambda_k = \frac{4}{h^2} \sin^2 \frac{k \pi}{2 n}, \qquad k = 1..n, \; i = 0..n-1

so that its inverse costs two fast transforms. With the diagonal scaling of `LaggedMethod` it
preconditions diffusion with a smooth variable coefficient (Concus and Golub, 1973,
10.1137/0710092).

What is left, :math:`-\Delta + \Delta \sqrt K / \sqrt K` beside :math:`-\Delta`, differs most for
smooth functions. Where the contrast makes that felt, a coarse grid takes them out (`CoarseGrid`):

.. math:: M^{-1} r = z + Q (r - A z), \qquad z = S L^{-1} S r,

the method A-DEF2 of Tang, Nabben, Vuik and Erlangga (2009, 10.1007/s10915-009-9272-6), which starts
from a residual without coarse part (the combination with a fast Poisson solver is ours).
"""

import time
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from solvers.errors import LinearSolveError
from solvers.sequence.coarse_grid import CoarseGrid
from solvers.sequence.grid_matrix import GridMatrix
from solvers.sequence.krylov_run import KrylovRun
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.report import Work
from solvers.sequence.system import System
from solvers.sequence.traits import Grid

__all__ = ["FastPoissonMethod", "poisson_eigenvalues"]

# Iterations without a coarse grid beyond which one pays: it makes an iteration a third dearer.
_FEW = 10


def poisson_eigenvalues(grid: Grid) -> NDArray[np.float64]:
    """Return the eigenvalues of the finite-volume Laplacian, shape `grid.shape`, 1/length^2."""
    total = np.zeros(grid.shape)
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        one = 4.0 / h**2 * np.sin(np.arange(1, n + 1) * np.pi / (2 * n)) ** 2
        total += one.reshape([-1 if a == axis else 1 for a in range(len(grid.shape))])
    return total


@final
class _Context:
    """PETSc's Python preconditioner ``x -> S L^{-1} S x``, and the coarse grid if there is one."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        # Single precision halves the time of the transforms. It perturbs the preconditioner by
        # 1e-7, relatively, not the solution.
        self._inverse = (1.0 / poisson_eigenvalues(grid)).astype(np.float32)
        self.scale: NDArray[np.float64] = np.ones(grid.shape)
        self.coarse: CoarseGrid | None = None
        self.matrix: Any = None
        self._image: Any = None

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        """Apply to `x`, result in `y`; called by PETSc."""
        values = x.getArray(readonly=True).reshape(self._grid.shape) * self.scale
        waves = fft.dstn(values.astype(np.float32), type=2, norm="ortho", overwrite_x=True)
        waves *= self._inverse
        result = fft.idstn(waves, type=2, norm="ortho", overwrite_x=True)
        np.multiply(result, self.scale, out=y.getArray().reshape(self._grid.shape))
        if self.coarse is not None:
            self.correct(x, y)

    def correct(self, b: Any, x: Any) -> None:
        """Add ``Q (b - A x)`` to `x`."""
        assert self.coarse is not None, "called with a coarse grid only"
        if self._image is None:
            self._image = x.duplicate()
        self.matrix.mult(x, self._image)
        shape = self._grid.shape
        left = (b.getArray(readonly=True) - self._image.getArray(readonly=True)).reshape(shape)
        left *= self.scale
        found = self.coarse.correct(left)
        found *= self.scale
        x.getArray().reshape(shape)[...] += found

    def destroy(self, _pc: Any) -> None:
        """Free what belongs to PETSc; called by it."""
        if self._image is not None:
            self._image.destroy()


@final
class FastPoissonMethod(Method):
    """Conjugate gradients with the rescaled fast Poisson solver; one rank.

    Parameters
    ----------
    system : matrix and traits
    grid : its grid
    """

    def __init__(self, system: System, grid: Grid) -> None:
        self._run = KrylovRun(system.matrix.comm, "cg")
        self._context = _Context(grid)
        self._reference = _diagonal(grid)
        outer = self._run.ksp.getPC()
        outer.setType("python")
        outer.setPythonContext(self._context)
        # The coarse grid waits for a solve that needs it; no other pattern can have one.
        self._entries = GridMatrix.of(system.matrix, grid.shape)
        self._coarse: CoarseGrid | None = None
        self._version = -1

    def prepare(self, system: System) -> Work:
        """Rescale for the present values."""
        if self._version == system.version:
            return Work()
        started = time.perf_counter()
        if not system.diagonal().min()[1] > 0:
            raise LinearSolveError("a diagonal entry is not positive", "indefinite")
        diagonal = system.diagonal().getArray(readonly=True).reshape(self._reference.shape)
        self._context.scale = np.sqrt(self._reference / diagonal)
        self._context.matrix = system.matrix
        self._run.ksp.setOperators(system.matrix)
        self._version = system.version
        if self._coarse is not None:
            self._refill(system)
        return Work(setup_seconds=time.perf_counter() - started)

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Iterate; see `Method.solve`."""
        if self._context.coarse is not None:
            self._context.correct(b, x)
        outcome = self._run.solve(system, b, x, target)
        if self._context.coarse is not None:
            outcome.work.operator += outcome.work.preconditioner + 1
        elif outcome.work.iterations > _FEW and self._entries is not None:
            self._coarse = CoarseGrid(self._reference.shape)
        return outcome

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self._run.destroy()

    def _refill(self, system: System) -> None:
        """Give the coarse grid the values of S A S."""
        assert self._entries is not None, "looked at before"
        assert self._coarse is not None, "made before"
        scale = self._context.scale
        _, *couplings = self._entries.values(system.matrix)
        for axis, one in enumerate(couplings):
            ends, along = np.moveaxis(scale, axis, 0), np.moveaxis(one, axis, 0)
            along *= ends[:-1]
            along *= ends[1:]
        try:
            self._coarse.compute(self._reference, couplings)
        except np.linalg.LinAlgError as error:
            raise LinearSolveError(f"its coarse matrix: {error}", "indefinite") from error
        self._context.coarse = self._coarse


def _diagonal(grid: Grid) -> NDArray[np.float64]:
    """Return the diagonal of the Laplacian: 2 / h^2 per axis, 3 / h^2 in the outer cells."""
    total = np.zeros(grid.shape)
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        one = np.full(n, 2.0 / h**2)
        one[0] += 1.0 / h**2
        one[-1] += 1.0 / h**2
        total += one.reshape([-1 if a == axis else 1 for a in range(len(grid.shape))])
    return total
