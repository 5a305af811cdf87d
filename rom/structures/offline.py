r"""Building a reduced structure from displacement histories, mesh, law and loads.

1. POD of the displacements, without their prescribed part, in L2;
2. the law along the *projected* displacements: the reduced model will see these strains, and its
   stresses, not those of the solver, are what the cubature must integrate;
3. empirical cubature of the work of these stresses on the strains of the modes;
4. bases of the fields that are to be reconstructed, and points enough for them.

Sources: Casenave, Akkari, Bordeu, Rey, Ryckelynck (2020), "A nonintrusive distributed reduced-order
modeling framework for nonlinear structural mechanics", doi:10.1002/nme.6187, for the idea of
reading displacements only; the details are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.basis import Basis, pod
from rom.cubature.rule import CubatureRule
from rom.products import SparseProduct
from rom.structures.assembly import Bases, assemble, most_modes
from rom.structures.dual import dual_modes
from rom.structures.lifting import Lifting, lifting
from rom.structures.mass import mass_matrix
from rom.structures.model import ReducedStructure
from rom.structures.paths import MaterialPoints
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.laws.law import Law
from solvers.structure_mesh import StructureMesh

__all__ = ["OfflineReport", "build_structure", "wanted_fields"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class OfflineReport:
    """What was found.

    Attributes
    ----------
    rule
        The cubature rule.
    stress_modes
        Number of stresses whose work it integrates.
    conditions
        Condition numbers of the fits of fields.
    """

    rule: CubatureRule
    stress_modes: int
    conditions: dict[str, float]


def build_structure(
    mesh: StructureMesh,
    law: Law,
    trajectories: Sequence[Trajectory],
    settings: StructureSettings | None = None,
) -> tuple[ReducedStructure, OfflineReport]:
    """Return the reduced structure of some runs.

    Parameters
    ----------
    mesh, law
        The same as the solver's.
    trajectories
        Displacement histories with their loads; at least one.
    settings
        Tolerances.

    Raises
    ------
    UserError
        If a history does not fit the mesh or its loads, or the runs are of different load types.
    CubatureError
        If the cubature does not reach its tolerance.
    LocalIntegrationError
        If the law has no answer along a history.
    """
    settings = settings or StructureSettings()
    if not trajectories:
        raise UserError("Expected at least one displacement history; received none.")
    for trajectory in trajectories:
        trajectory.require_fits(mesh)
    names = wanted_fields(law, settings)
    lift = lifting(trajectories)
    basis = _displacement_basis(mesh, trajectories, lift, settings)
    frames = _frames(mesh, law, trajectories, lift, basis, names)
    volumes = mesh.material_weights
    power = dual_modes("stress", frames["stress"], volumes, settings.stress_tolerance)
    most = most_modes(len(volumes))
    fields = tuple(
        dual_modes(name, frames[name], volumes, settings.dual_tolerance, most) for name in names
    )
    bases = Bases(lift, basis.modes, basis.singular_values, power, fields)
    model, rule = assemble(mesh, law, bases, settings.cubature_tolerance)
    conditions = {name: dual.gappy.condition for name, dual in model.duals.items()}
    return model, OfflineReport(rule, power.rank, conditions)


def wanted_fields(law: Law, settings: StructureSettings) -> tuple[str, ...]:
    """Return the names of the fields to be reconstructed.

    Raises
    ------
    UserError
        If one is neither the stress nor an internal variable of the law.
    """
    known = ("stress", *(variable.name for variable in law.variables))
    if settings.fields is None:
        return tuple(name for name in known if name in ("stress", "accumulated_plasticity"))
    unknown = [name for name in settings.fields if name not in known]
    if unknown:
        raise UserError(
            f"fields: expected names among {', '.join(known)} for the law {law.name}; received "
            f"{', '.join(unknown)}."
        )
    return settings.fields


def _displacement_basis(
    mesh: StructureMesh,
    trajectories: Sequence[Trajectory],
    lift: Lifting,
    settings: StructureSettings,
) -> Basis:
    rows = np.concatenate([_without_lift(t, lift) for t in trajectories])
    return pod(
        rows,
        SparseProduct(mass_matrix(mesh)),
        rank=settings.rank,
        tolerance=settings.displacement_tolerance,
        centre=False,
    )


def _without_lift(trajectory: Trajectory, lift: Lifting) -> _Floats:
    """Return the displacements without their prescribed part, (T + 1, 3 N)."""
    values = np.array([lift.values(trajectory.loads, float(t)) for t in trajectory.times])
    flat = trajectory.displacement.reshape(len(trajectory.times), -1)
    return np.asarray(flat - values @ lift.fields)


def _frames(
    mesh: StructureMesh,
    law: Law,
    trajectories: Sequence[Trajectory],
    lift: Lifting,
    basis: Basis,
    names: Sequence[str],
) -> dict[str, _Floats]:
    """Return the fields, (k, G, c) each, that the law gives along the projected displacements."""
    points = MaterialPoints(mesh, law)
    wanted = dict.fromkeys(["stress", *names])
    found: dict[str, list[_Floats]] = {name: [] for name in wanted}
    for trajectory in trajectories:
        own = _without_lift(trajectory, lift)
        away = own - basis.lift(basis.coefficients(own))
        path = trajectory.displacement - away.reshape(trajectory.displacement.shape)
        start = points.virgin(trajectory.loads, float(trajectory.times[0]), path[0])
        for state in points.follow(trajectory.loads, trajectory.times[1:], path[1:], start):
            for name in wanted:
                internal = state.stress if name == "stress" else state.internal[:, law.column(name)]
                found[name].append(internal)
    return {name: np.stack(frames) for name, frames in found.items()}
