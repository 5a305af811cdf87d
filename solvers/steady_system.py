"""The interface of what turns steady cases into PETSc systems of one pattern."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from solvers.backend import PETSc
from solvers.mesh import FloatArray, IntArray
from solvers.steady_case import SteadyCase

__all__ = ["SteadySystem", "coo_matrix", "fill"]


class SteadySystem(ABC):
    """One matrix that is refilled for case after case, and right-hand sides.

    Attributes
    ----------
    matrix : PETSc matrix; its pattern never changes
    """

    matrix: Any

    @abstractmethod
    def refill(self, case: SteadyCase) -> None:
        """Give the matrix the values of a case; collective."""

    @abstractmethod
    def right(self, case: SteadyCase) -> FloatArray:
        """Return the owned part of the right-hand side of a case; collective."""

    @abstractmethod
    def gather(self, owned: FloatArray) -> FloatArray:
        """Return the solution (n_vertices, n_unknowns) in canonical order on rank 0; collective.

        Other ranks get an array without entries.
        """

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        self.matrix.destroy()


def coo_matrix(comm: Any, n_owned: int, rows: IntArray, columns: IntArray) -> Any:
    """Return a square PETSc matrix whose entries are sums of values at (rows, columns).

    Entries that belong to another rank are sent there in a fixed order: a refill gives the same
    bits each time.
    """
    matrix: Any = PETSc.Mat().create(comm)
    matrix.setSizes(((n_owned, PETSc.DETERMINE), (n_owned, PETSc.DETERMINE)))
    matrix.setType(PETSc.Mat.Type.AIJ)
    matrix.setPreallocationCOO(rows.astype(PETSc.IntType), columns.astype(PETSc.IntType))
    return matrix


def fill(matrix: Any, values: FloatArray) -> None:
    """Give a matrix of `coo_matrix` new values, in the order of its rows and columns."""
    flat = np.ascontiguousarray(values, dtype=np.float64).ravel()
    matrix.setValuesCOO(flat, PETSc.InsertMode.INSERT_VALUES)
