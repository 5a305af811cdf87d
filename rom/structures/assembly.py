"""From bases to a reduced structure: cubature, points for reconstruction, rows at all of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.cubature.integrands import ProductIntegrands
from rom.cubature.rule import CubatureRule, cubature
from rom.gappy import POINTS_PER_MODE, least_points, spread_points
from rom.parts import Parts
from rom.reduction import Reducer
from rom.structures.dual import DualBasis, DualModes
from rom.structures.lifting import Lifting
from rom.structures.model import ReducedStructure
from rom.structures.strain_operator import strain_operator
from solvers.laws.law import Law
from solvers.structure_mesh import StructureMesh

__all__ = ["Bases", "assemble", "most_modes"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Bases:
    """What was learnt from full-order runs.

    Attributes
    ----------
    lifting
        Prescribed displacements.
    modes, singular_values
        Of displacements, (3 N, n).
    power
        Stresses whose work on the strains of the modes is to be integrated.
    fields
        That can be reconstructed.
    """

    lifting: Lifting
    modes: _Floats
    singular_values: _Floats
    power: DualModes
    fields: tuple[DualModes, ...]


def most_modes(points: int) -> int:
    """Return how many dual modes so many points allow."""
    return max(1, int(points / POINTS_PER_MODE))


def assemble(
    mesh: StructureMesh,
    law: Law,
    bases: Bases,
    tolerance: float,
    start: CubatureRule | None = None,
    reducer: Reducer | None = None,
) -> tuple[ReducedStructure, CubatureRule]:
    """Return the reduced structure of bases, and its cubature rule.

    Parameters
    ----------
    mesh, law
        Of the full-order model.
    bases
        What was learnt.
    tolerance
        Of the cubature.
    start
        A rule from before.
    reducer
        Processes, all with the same bases, that share the points; by default this one alone.

    Raises
    ------
    CubatureError
        If the tolerance cannot be reached.
    """
    n = bases.modes.shape[1]
    here = Parts(mesh.n_material_points, reducer)
    own = np.asarray(strain_operator(mesh, here.numbers) @ bases.modes).reshape(-1, 6, n)
    stresses = bases.power.modes[here.here] * bases.power.singular_values
    integrands = ProductIntegrands(stresses, own, mesh.material_weights, reducer)
    rule = cubature(integrands, tolerance, start=start)
    places = np.concatenate([rule.points, _others(bases.fields, rule.points, reducer)])
    operator = strain_operator(mesh, places)
    lift_strains = [(operator @ field).reshape(-1, 6) for field in bases.lifting.fields]
    model = ReducedStructure(
        mesh=mesh,
        law=law,
        lifting=bases.lifting,
        modes=bases.modes,
        singular_values=bases.singular_values,
        places=places,
        weights=rule.weights,
        strains=np.asarray(operator @ bases.modes).reshape(-1, 6, n),
        lift_strains=np.array(lift_strains).reshape(-1, len(places), 6),
        power=bases.power,
        duals={field.name: DualBasis(field, places) for field in bases.fields},
    )
    return model, rule


def _others(fields: Sequence[DualModes], taken: _Ints, reducer: Reducer | None) -> _Ints:
    """Return the points that reconstruction needs beside those that are taken."""
    found = taken
    for field in fields:
        new = spread_points(field.modes, found, least_points(field.rank), reducer)
        found = np.concatenate([found, new])
    return found[len(taken) :]
