"""The choice of a linear solver whose solutions depend on their system alone, bit by bit.

Methods that learn, or that keep factors of earlier matrices, remember what came before; distributed
factorisations add numbers as they arrive. Two ways are left: conjugate gradients with an incomplete
factor, and a complete factor in one piece. Which one is cheaper depends on the shape of the
structure more than on its size (thin walls take ten times the iterations of a block), so that one
system is solved with the elastic matrix to find out. Iterations are counted, not timed: the choice
is the same in every run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from solvers.errors import LinearSolveError
from solvers.linear import DIRECT
from solvers.sequence.solver import SequenceSolver
from solvers.sequence.traits import Traits
from solvers.settings import LinearSettings

__all__ = ["LinearChoice", "factored", "memoryless"]

# Newton's method takes as many iterations with this tolerance as with 1e-8 (measured on cubes).
_LOOSE = 1e-4
_TIGHT = 1e-8
# Unknowns for which a factorisation of a block costs as much as one iteration, both measured on
# cubes of 6^3 to 10^3 hexahedra; it grows with their square, an iteration with their number.
_PER_ITERATION = 16.5


@final
@dataclass(frozen=True)
class LinearChoice:
    """How the systems of a sequence are solved.

    Attributes
    ----------
    settings : method and tolerance
    options : PETSc options that take the method's place, or None
    """

    settings: LinearSettings
    options: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """Name of the method, for reports."""
        return self.settings.method if self.options is None else "direct-redundant"

    def solver(self, matrix: Any, traits: Traits) -> SequenceSolver:
        """Return the solver of a sequence; it remembers no solutions."""
        return SequenceSolver(
            matrix,
            name="structure",
            settings=self.settings,
            traits=traits,
            guess="given",
            options=self.options,
        )


def memoryless(matrix: Any, traits: Traits) -> LinearChoice:
    """Return the cheaper of the two ways, tried on a matrix; collective.

    Parameters
    ----------
    matrix : the elastic matrix; it keeps its values
    traits : what holds for all matrices
    """
    settings = LinearSettings(method="icc" if traits.definite else "ilu-bcgs", rtol=_LOOSE)
    iterative = LinearChoice(settings)
    iterations = _iterations(iterative, matrix, traits)
    if iterations is not None and iterations * _PER_ITERATION <= matrix.getSize()[0]:
        return iterative
    return factored(matrix, traits)


def factored(matrix: Any, traits: Traits) -> LinearChoice:
    """Return a factorisation in one piece; on several ranks each one computes all of it."""
    settings = LinearSettings(method="direct", rtol=_TIGHT)
    if matrix.comm.size == 1:
        return LinearChoice(settings)
    kind = "cholesky" if traits.definite else "lu"
    return LinearChoice(settings, {**DIRECT, "redundant_pc_type": kind})


def _iterations(choice: LinearChoice, matrix: Any, traits: Traits) -> int | None:
    """Return the iterations for a uniform load, None if they do not arrive."""
    load, displacement = matrix.createVecRight(), matrix.createVecRight()
    load.set(1.0)
    solver = choice.solver(matrix, traits)
    try:
        return solver.solve(load, displacement).work.iterations
    except LinearSolveError:
        return None
    finally:
        solver.destroy()
        load.destroy()
        displacement.destroy()
