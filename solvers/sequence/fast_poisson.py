r"""A fast Poisson solver as the rescaled reference operator on a uniform grid of cells.

The five-point (seven-point) matrix of :math:`-\Delta` with cell-centred unknowns and zero boundary
values is diagonal in the discrete sine basis of type II: per axis with n cells of width h

.. math::
   v_k(i) = \sin\frac{k (2 i + 1) \pi}{2 n}, \qquad
   \lambda_k = \frac{4}{h^2} \sin^2 \frac{k \pi}{2 n}, \qquad k = 1..n, \; i = 0..n-1

so that its inverse costs two fast transforms. With the diagonal scaling of `LaggedMethod` it
preconditions diffusion with a smooth variable coefficient (Concus and Golub, 1973,
10.1137/0710092).

What is left is a potential, :math:`K^{-1/2} (-\nabla\cdot K \nabla) K^{-1/2} = -\Delta + q` with
:math:`q = \Delta \sqrt K / \sqrt K`, which differs most from nothing where -Laplacian is small.
Where the contrast makes that felt, the lowest modes get their exact block (`SineModes`; ours), with
q found from one product of the matrix: the transform is there already, so that it costs nothing in
an iteration.
"""

import time
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from solvers.errors import LinearSolveError
from solvers.sequence.grid_matrix import find_grid
from solvers.sequence.krylov_run import KrylovRun
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.report import Work
from solvers.sequence.sine_modes import SineModes
from solvers.sequence.sine_transform import SineTransform
from solvers.sequence.system import System
from solvers.sequence.traits import Grid

__all__ = ["FastPoissonMethod", "poisson_eigenvalues"]

# Iterations beyond which the potential is worth its product and its small inverse.
_FEW = 7


def poisson_eigenvalues(grid: Grid) -> NDArray[np.float64]:
    """Return the eigenvalues of the finite-volume Laplacian, shape `grid.shape`, 1/length^2."""
    total = np.zeros(grid.shape)
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        one = 4.0 / h**2 * np.sin(np.arange(1, n + 1) * np.pi / (2 * n)) ** 2
        total += one.reshape([-1 if a == axis else 1 for a in range(len(grid.shape))])
    return total


@final
class _Context:
    """PETSc's Python preconditioner ``x -> S L^{-1} S x``, or with the exact block for low modes.

    Parameters
    ----------
    grid : the matrix's grid

    Attributes
    ----------
    eigenvalues : of the Laplacian, shape of the grid
    scale : S, shape of the grid
    low, block : the modes with a block of their own, and the inverse of that; None without
    """

    def __init__(self, grid: Grid) -> None:
        self._shape = grid.shape
        self._transform = SineTransform(grid.shape)
        self.eigenvalues = poisson_eigenvalues(grid)
        # Single precision halves the time of the transforms. It perturbs the preconditioner by
        # 1e-7, relatively, not the solution.
        self._inverse = (1.0 / self.eigenvalues).astype(np.float32)
        self.scale: NDArray[np.float64] = np.ones(grid.shape)
        self._inward = self._outward = self.scale
        self.low: tuple[slice, ...] = ()
        self.block: NDArray[np.float32] | None = None

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        """Apply to `x`, result in `y`; called by PETSc."""
        values = np.empty(self._shape, dtype=np.float32)
        given = x.getArray(readonly=True).reshape(self._shape)
        np.multiply(given, self._inward, out=values, casting="same_kind")
        waves = self._transform.forward(values)
        lowest = None
        if self.block is not None:
            lowest = linalg.blas.ssymv(1.0, self.block, waves[self.low].ravel())
        waves *= self._inverse
        if lowest is not None:
            waves[self.low].flat = lowest
        result = self._transform.backward(waves)
        np.multiply(result, self._outward, out=y.getArray().reshape(self._shape))

    def expect(self, norm: float) -> None:
        """Prepare for vectors up to this norm: single precision must hold them."""
        self._inward, self._outward = self.scale / norm, self.scale * norm


@final
class FastPoissonMethod(Method):
    """Conjugate gradients with the rescaled fast Poisson solver; one rank.

    Parameters
    ----------
    system : matrix and traits; its grid is given or found
    """

    def __init__(self, system: System) -> None:
        self._run = KrylovRun(system.matrix.comm, "cg")
        self._ready: _Context | None = None
        self._modes: SineModes | None = None  # until a solve needs them
        self._version = -1

    def prepare(self, system: System) -> Work:
        """Rescale for the present values."""
        if self._version == system.version:
            return Work()
        started = time.perf_counter()
        if not system.diagonal().min()[1] > 0:
            raise LinearSolveError("a diagonal entry is not positive", "indefinite")
        first = self._ready is None
        if first:
            self._begin(system)
        diagonal = system.diagonal().getArray(readonly=True).reshape(self._reference.shape)
        self._context.scale = np.sqrt(self._reference / diagonal)
        self._run.ksp.setOperators(system.matrix)
        self._version = system.version
        work = Work(setups=int(first))
        if self._modes is not None:
            self._look_at_potential(system, self._modes)
            work.operator = 1
        work.setup_seconds = time.perf_counter() - started
        return work

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Iterate; see `Method.solve`."""
        self._context.expect(target.norm)
        outcome = self._run.solve(system, b, x, target)
        if self._modes is None and outcome.work.iterations > _FEW:
            self._modes = SineModes(self._context.eigenvalues)
        return outcome

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self._run.destroy()

    @property
    def _context(self) -> _Context:
        assert self._ready is not None, "prepared before"
        return self._ready

    def _begin(self, system: System) -> None:
        """Make what depends on the grid, whose spacing shows in the first values."""
        grid = system.traits.grid or find_grid(system.matrix)
        if grid is None:
            raise LinearSolveError("the pattern is no longer that of a grid", "pattern")
        self._ready = _Context(grid)
        # Diagonal and row sums of the Laplacian: the outer values are half a cell away.
        self._reference = _by_axis(grid, 2.0, 1.0)
        self._row_sums = _by_axis(grid, 0.0, 2.0)
        outer = self._run.ksp.getPC()
        outer.setType("python")
        outer.setPythonContext(self._ready)

    def _look_at_potential(self, system: System, modes: SineModes) -> None:
        """Give the lowest modes the block of -Laplacian + q, if that is positive definite."""
        scale = self._context.scale
        ones: Any = system.matrix.createVecRight()
        ones.setArray(scale.ravel())
        image = ones.duplicate()
        system.matrix.mult(ones, image)
        potential = image.getArray(readonly=True).reshape(scale.shape) * scale - self._row_sums
        ones.destroy()
        image.destroy()
        self._context.low = modes.low
        self._context.block = modes.inverse(potential)


def _by_axis(grid: Grid, inner: float, outer: float) -> NDArray[np.float64]:
    """Return a sum over axes: `inner` / h^2 for each cell, `outer` / h^2 more at each end."""
    total = np.zeros(grid.shape)
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        one = np.full(n, inner / h**2)
        one[0] += outer / h**2
        one[-1] += outer / h**2
        total += one.reshape([-1 if a == axis else 1 for a in range(len(grid.shape))])
    return total
