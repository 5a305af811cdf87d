"""How much the coefficient behind a matrix jumps from one unknown to the next."""

from typing import Any

import numpy as np

from solvers.backend import MPI
from solvers.sequence.system import System

__all__ = ["is_rough"]

# Neighbours whose diagonal entries differ by more than this factor: refinement of a mesh by halves
# gives less in two dimensions.
_JUMP = 8.0
# Part of the couplings that must jump: single ones are boundaries and sources.
_PART = 2e-3


def is_rough(system: System) -> bool:
    r"""Return whether the coefficient jumps, seen from the diagonal; collective.

    An operator :math:`-\nabla\cdot K\nabla` with a smooth :math:`K` is, after scaling to a unit
    diagonal, the Laplacian with a potential (see `solvers.sequence.scaling`); where
    :math:`K` jumps it is not, and methods that build on that fail. Rough is a matrix of which
    more than 0.2 % of the couplings join unknowns whose diagonal entries differ by more than a
    factor of 8. One without values is not rough.
    """
    matrix = system.matrix
    if not matrix.isAssembled():
        return False
    jumps, couplings = _count(matrix)
    if system.comm.size > 1:
        jumps = system.comm.allreduce(jumps, MPI.SUM)
        couplings = system.comm.allreduce(couplings, MPI.SUM)
    return bool(jumps > _PART * couplings)


def _count(matrix: Any) -> tuple[int, int]:
    """Return how many couplings among this rank's unknowns jump, and how many there are."""
    start, end = matrix.getOwnershipRange()
    starts, columns, values = matrix.getValuesCSR()
    rows = np.repeat(np.arange(end - start), np.diff(starts))
    columns = columns - start
    diagonal = np.zeros(end - start)
    own = columns == rows
    diagonal[rows[own]] = values[own]
    inside = (columns >= 0) & (columns < end - start) & ~own & (values != 0.0)
    here, there = diagonal[rows[inside]], diagonal[columns[inside]]
    jumps = (here > _JUMP * there) & (there > 0.0)
    # A jump is seen from its larger side only, a coupling from both.
    return 2 * int(np.count_nonzero(jumps)), int(np.count_nonzero(inside))
