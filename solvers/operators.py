"""PETSc matrices from element matrices, refilled without another symbolic phase."""

from typing import Any, final

import numpy as np

from solvers.backend import PETSc
from solvers.mesh import FloatArray, IntArray

__all__ = ["MatrixPattern", "ghosted_vector", "global_rows"]


@final
class MatrixPattern:
    """The sparsity pattern of a bilinear form between two scalar spaces on the same cells.

    Every matrix made by one pattern has the same non-zero structure, so that sums are sums of
    value arrays. Entries that belong to another rank are sent there in a fixed order: a refill
    gives the same bits each time.

    Parameters
    ----------
    test, trial : DOLFINx function spaces, rows and columns
    """

    def __init__(self, test: Any, trial: Any) -> None:
        self._comm = test.mesh.comm
        rows, columns = global_rows(test), global_rows(trial)
        shape = (len(rows), rows.shape[1], columns.shape[1])
        self._rows = np.broadcast_to(rows[:, :, None], shape).ravel().astype(PETSc.IntType)
        self._columns = np.broadcast_to(columns[:, None, :], shape).ravel().astype(PETSc.IntType)
        sizes = [space.dofmap.index_map for space in (test, trial)]
        self._sizes = tuple((m.size_local, m.size_global) for m in sizes)

    def matrix(self, elements: FloatArray) -> Any:
        """Return a new matrix, the sum of `elements` (n_cells, n_test, n_trial)."""
        matrix: Any = PETSc.Mat().create(self._comm)  # petsc4py's stubs refuse arrays
        matrix.setSizes(self._sizes)
        matrix.setType(PETSc.Mat.Type.AIJ)
        # PETSc sorts the index arrays in place, so it gets copies.
        matrix.setPreallocationCOO(self._rows.copy(), self._columns.copy())
        matrix.setValuesCOO(elements.ravel(), PETSc.InsertMode.INSERT_VALUES)
        return matrix


def global_rows(space: Any) -> IntArray:
    """Return the (n_cells, n) global degrees of freedom of the cells that this rank owns."""
    cells = space.mesh.topology.index_map(space.mesh.topology.dim).size_local
    local = space.dofmap.list[:cells]
    return np.asarray(space.dofmap.index_map.local_to_global(local.ravel()).reshape(local.shape))


def ghosted_vector(space: Any) -> Any:
    """Return a zero vector on `space` whose local form also holds the ghosts."""
    index_map = space.dofmap.index_map
    ghosts = index_map.ghosts.astype(PETSc.IntType)
    size = (index_map.size_local, index_map.size_global)
    return PETSc.Vec().createGhost(ghosts, size=size, comm=space.mesh.comm)
