"""Modes of displacements whose nodes are shared out over processes."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.part_pod import pod_of_parts
from rom.structures.lifting import Lifting, LiftPlan
from rom.structures.mass import mass_roots
from rom.structures.settings import StructureSettings
from rom.structures.trajectory_part import Histories
from rom.truncation import Truncation

__all__ = ["DisplacementBasis", "displacement_basis"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class DisplacementBasis:
    """What displacements are made of; whole, and the same on all processes.

    Attributes
    ----------
    lifting
        Prescribed displacements.
    modes
        Orthonormal in L2, (3 N, n).
    singular_values
        Descending.
    amounts, coefficients
        Of the lifts and of the modes at the K times of all runs, (K, moved), mm, and (K, n).
    """

    lifting: Lifting
    modes: _Floats
    singular_values: _Floats
    amounts: _Floats
    coefficients: _Floats


def displacement_basis(
    histories: Histories, plan: LiftPlan, settings: StructureSettings
) -> DisplacementBasis:
    """Return the POD in L2 of the displacements without their prescribed part.

    Parameters
    ----------
    histories
        Of all runs.
    plan
        Of the prescribed displacements.
    settings
        Tolerance and largest number of modes.

    Raises
    ------
    UserError
        If nothing moves but what is prescribed.
    """
    lifts, columns = [], []
    for block in range(len(histories.nodes)):
        rows = histories.rows(block)
        lifts.append(plan.fields(rows))
        columns.append((rows - plan.amounts @ lifts[-1]).T)
    cells = histories.cells
    factors = [mass_roots(histories.mesh, block) for block in cells.blocks]

    def roots(block: int, u: _Floats) -> _Floats:
        of_cells = u.reshape(len(histories.nodes[block]), -1)[histories.places(block)]
        return np.asarray((factors[block] @ of_cells).reshape(-1, u.shape[1]))

    truncation = Truncation(settings.rank, settings.displacement_tolerance)
    basis = pod_of_parts(columns, roots, histories.n_frames, truncation, cells)
    fields = histories.whole([lift.T for lift in lifts], len(plan.moved)).T
    return DisplacementBasis(
        lifting=plan.lifting(fields),
        modes=histories.whole(basis.modes, basis.rank),
        singular_values=basis.singular_values,
        amounts=plan.amounts,
        coefficients=basis.coefficients,
    )
