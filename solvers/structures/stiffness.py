"""The tangent matrix of a structure: one PETSc matrix that is refilled, and what solves with it."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from solvers.errors import LinearSolveError
from solvers.mesh import FloatArray, IntArray
from solvers.sequence.report import LinearReport
from solvers.sequence.solver import SequenceSolver
from solvers.sequence.traits import Traits
from solvers.settings import LinearSettings
from solvers.steady_system import coo_matrix, fill
from solvers.structures.distribution import Distribution
from solvers.structures.linear_choice import LinearChoice, factored, memoryless

__all__ = ["Stiffness"]

# Reasons that hold for factorisations too.
_HOPELESS = frozenset({"indefinite", "not-finite", "pattern"})


@final
class Stiffness:
    """The tangent matrix of the free components; rows of held ones are those of a diagonal.

    Making one is collective.

    Parameters
    ----------
    distribution : nodes of this rank
    held : (n, 3) bool, components that are prescribed
    elastic : (m, 3k, 3k) elastic matrices of this rank's cells, N/mm
    settings : of the linear systems; None for `memoryless`
    traits : what holds for all tangents

    Attributes
    ----------
    choice : how systems are solved
    rescued : systems that had to be factored, since their iteration did not arrive
    """

    def __init__(
        self,
        distribution: Distribution,
        held: NDArray[np.bool_],
        elastic: FloatArray,
        settings: LinearSettings | None,
        traits: Traits,
    ) -> None:
        self._distribution, self._held = distribution, held
        rows, columns, diagonal = _places(distribution, held)
        # Any positive number does; one like the others keeps the matrix well scaled.
        mean = np.einsum("cii->c", elastic).mean() / elastic.shape[1]
        self._diagonal = np.full(len(diagonal), distribution.comm.bcast(float(mean)))
        self._matrix = coo_matrix(
            distribution.comm,
            distribution.n_rows,
            np.concatenate([rows, diagonal]),
            np.concatenate([columns, diagonal]),
        )
        self._fill(elastic)
        given = None if settings is None else LinearChoice(settings)
        self.choice = memoryless(self._matrix, traits) if given is None else given
        self._solver = self.choice.solver(self._matrix, traits)
        self._traits = traits
        self._spare: SequenceSolver | None = None
        self.rescued = 0
        self._right, self._solution = (self._matrix.createVecRight() for _ in range(2))

    def refill(self, of_cells: FloatArray) -> None:
        """Take the matrices (m, 3k, 3k) of this rank's cells, N/mm; collective."""
        self._fill(of_cells)
        self._solver.refilled()
        if self._spare is not None:
            self._spare.refilled()

    def solve(self, forces: FloatArray) -> tuple[FloatArray, LinearReport]:
        """Return the displacements (n, 3) of forces (n, 3) on the free components; collective.

        Held components do not move.

        Raises
        ------
        LinearSolveError
            If the system is not solved to the tolerance.
        """
        free = np.where(self._held, 0.0, forces)
        self._right.setArray(self._distribution.rows(free))
        self._solution.zeroEntries()
        try:
            report = self._solver.solve(self._right, self._solution)
        except LinearSolveError as error:
            if error.reason in _HOPELESS or self.choice.settings.method in ("auto", "direct"):
                raise
            report = self._rescue()
        return self._distribution.nodal(self._solution.array_r), report

    def _rescue(self) -> LinearReport:
        """Factor the present matrix: smaller increments do not help an iteration."""
        if self._spare is None:
            self._spare = factored(self._matrix, self._traits).solver(self._matrix, self._traits)
        self.rescued += 1
        return self._spare.solve(self._right, self._solution)

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        for solver in (self._solver, self._spare):
            if solver is not None:
                solver.destroy()
        for owned in (self._matrix, self._right, self._solution):
            owned.destroy()

    def _fill(self, of_cells: FloatArray) -> None:
        fill(self._matrix, np.concatenate([of_cells.ravel(), self._diagonal]))


def _places(
    distribution: Distribution, held: NDArray[np.bool_]
) -> tuple[IntArray, IntArray, IntArray]:
    """Return rows and columns of the entries of cells, -1 where held, and the held owned rows."""
    every = 3 * distribution.numbers[:, None] + np.arange(3)
    free = np.where(held, -1, every)
    dofs = free[distribution.connectivity].reshape(len(distribution.cells), -1)
    shape = (*dofs.shape, dofs.shape[1])
    rows = np.broadcast_to(dofs[:, :, None], shape).ravel()
    columns = np.broadcast_to(dofs[:, None, :], shape).ravel()
    return rows, columns, every[held & distribution.share.owned[:, None]]
