"""A matrix and its preconditioner as maps between local NumPy arrays, with counters."""

from typing import Any, final

import numpy as np

from solvers.backend import PETSc
from solvers.krylov.blocks import Block, Vector

__all__ = ["Operator"]

_SPARSE = ("aij", "sbaij", "baij")


@final
class Operator:
    r"""Maps :math:`z \mapsto A z` and :math:`r \mapsto M^{-1} r` between local arrays.

    PETSc vectors are laid over the arrays; nothing is copied.

    Parameters
    ----------
    matrix : PETSc matrix, square, real
    preconditioner : PETSc PC, set up; it may be nonlinear or vary (flexible)

    A null space attached to the matrix is taken out of what the preconditioner returns.

    Attributes
    ----------
    products : products with the matrix so far, those of blocks included
    preconditioned : applications of the preconditioner so far
    """

    def __init__(self, matrix: Any, preconditioner: Any) -> None:
        self.products = 0
        self.preconditioned = 0
        self.matrix = matrix
        self.comm = matrix.comm.tompi4py()
        self.n_local = int(matrix.getLocalSize()[0])
        self._preconditioner = preconditioner
        self._workspaces: dict[str, Block] = {}
        self._in, self._out = matrix.createVecs()
        null_space = matrix.getNullSpace()
        self._null_space = null_space if null_space.handle else None

    def apply(self, source: Vector, target: Vector) -> None:
        """Write ``A source`` to `target`; both contiguous, shape (n_local,)."""
        self.products += 1
        self._in.placeArray(source)
        self._out.placeArray(target)
        try:
            self.matrix.mult(self._in, self._out)
        finally:
            self._in.resetArray()
            self._out.resetArray()

    def precondition(self, source: Vector, target: Vector) -> None:
        """Write the preconditioned `source` to `target`; both contiguous, shape (n_local,)."""
        self.preconditioned += 1
        self._out.placeArray(source)
        self._in.placeArray(target)
        try:
            self._preconditioner.apply(self._out, self._in)
            if self._null_space is not None:
                self._null_space.remove(self._in)
        finally:
            self._out.resetArray()
            self._in.resetArray()

    def residual(self, b: Vector, x: Vector, target: Vector) -> None:
        """Write ``b - A x`` to `target`."""
        self.apply(x, target)
        np.subtract(b, target, out=target)

    def apply_block(self, block: Block) -> Block:
        """Return ``A`` times each row of `block`, shape (k, n_local).

        Stored sparse matrices read their entries once for the whole block; other kinds (shell
        matrices) are applied vector by vector.
        """
        if not len(block) or not self.matrix.getType().endswith(_SPARSE):
            images = np.empty_like(block)
            for source, target in zip(block, images, strict=True):
                self.apply(source, target)
            return images
        self.products += len(block)
        rows = self.matrix.getSizes()[1]
        columns: Any = block.reshape(-1)
        dense = PETSc.Mat().createDense(
            (rows, (None, len(block))), array=columns, comm=self.matrix.comm
        )
        dense.assemble()
        result = self.matrix.matMult(dense)
        images = result.getDenseArray().T.copy()
        result.destroy()
        dense.destroy()
        return images

    def uses(self, matrix: Any, preconditioner: Any) -> bool:
        """Return whether these are the PETSc objects of this operator."""
        pairs = ((matrix, self.matrix), (preconditioner, self._preconditioner))
        return all(one.handle == other.handle for one, other in pairs)

    def workspace(self, name: str, rows: int) -> Block:
        """Return an uninitialised block (rows, n_local), the same memory at each solve.

        Fresh memory would cost as much as several steps: the system clears it page by page.
        """
        block = self._workspaces.get(name)
        if block is None or len(block) < rows:
            block = self._workspaces[name] = np.empty((rows, self.n_local))
        return block[:rows]

    def norm(self) -> float | None:
        """Return the infinity norm of the matrix, or nothing where PETSc cannot tell."""
        try:
            return float(self.matrix.norm(PETSc.NormType.NORM_INFINITY))
        except PETSc.Error:
            return None

    def destroy(self) -> None:
        """Free the work vectors."""
        self._in.destroy()
        self._out.destroy()
