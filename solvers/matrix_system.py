"""Systems that a problem gives as whole sparse matrices, distributed by rows."""

from typing import Any, final

import numpy as np

from solvers.discretisation import Gatherer
from solvers.errors import LinearSolveError
from solvers.mesh import FloatArray
from solvers.steady_case import MatrixEquation, SteadyCase
from solvers.steady_system import SteadySystem, coo_matrix, fill

__all__ = ["MatrixSystem"]


@final
class MatrixSystem(SteadySystem):
    """Contiguous blocks of rows of a SciPy matrix that every rank computes.

    Parameters
    ----------
    case : a case of the sequence; it gives the pattern
    comm : MPI communicator
    """

    def __init__(self, case: SteadyCase, comm: Any) -> None:
        pattern = _equation(case).matrix
        size = pattern.shape[0]
        shares = np.linspace(0, size, comm.size + 1).astype(np.int64)
        self._start, self._end = shares[comm.rank : comm.rank + 2].tolist()
        self._indices, self._pointers = pattern.indices.copy(), pattern.indptr.copy()
        rows = np.repeat(np.arange(size), np.diff(self._pointers))[self._entries]
        columns = self._indices[self._entries]
        self.matrix = coo_matrix(comm, self._end - self._start, rows, columns)
        self._gather = Gatherer(comm, np.arange(self._start, self._end), size)

    def refill(self, case: SteadyCase) -> None:
        """Give the matrix the values of a case; see `SteadySystem.refill`.

        Raises
        ------
        LinearSolveError
            If the case has another pattern.
        """
        given = _equation(case).matrix
        same = np.array_equal(given.indptr, self._pointers)
        if not (same and np.array_equal(given.indices, self._indices)):
            raise LinearSolveError(
                "the pattern of the matrix changed in the middle of the sequence: expected the "
                f"{len(self._indices)} entries of the first sample, received {given.nnz} others. "
                "Keep zeros as entries.",
                "pattern",
            )
        fill(self.matrix, given.data[self._entries])

    def right(self, case: SteadyCase) -> FloatArray:
        """Return the owned part of the right-hand side; see `SteadySystem.right`."""
        return _equation(case).right[self._start : self._end].astype(np.float64)

    def gather(self, owned: FloatArray) -> FloatArray:
        """Return the solution on rank 0; see `SteadySystem.gather`."""
        return self._gather(owned)[:, None]

    @property
    def _entries(self) -> slice:
        return slice(self._pointers[self._start], self._pointers[self._end])


def _equation(case: SteadyCase) -> MatrixEquation:
    assert isinstance(case.equation, MatrixEquation), "the first case of the sequence had one"
    return case.equation
