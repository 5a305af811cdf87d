r"""Building a reduced structure from displacement histories, mesh, law and loads.

1. POD of the displacements, without their prescribed part, in L2;
2. the law along the *projected* displacements: the reduced model will see these strains, and its
   stresses, not those of the solver, are what the cubature must integrate;
3. empirical cubature of the work of these stresses on the strains of the modes;
4. bases of the fields that are to be reconstructed, and points enough for them.

With several processes each reads the displacements of the nodes of its own cells, and integrates
the law at its own points; histories, stresses and integrands stay there. Small matrices are sent,
and at the end the modes: every process gets the whole model. It has the same bits for any number
of processes (`rom.parts`).

Sources: Casenave, Akkari, Bordeu, Rey, Ryckelynck (2020), "A nonintrusive distributed reduced-order
modeling framework for nonlinear structural mechanics", doi:10.1002/nme.6187, for the idea of
reading displacements only; the details are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from infra.errors import UserError
from rom.cubature.rule import CubatureRule
from rom.parts import Parts
from rom.reduction import Reducer
from rom.structures.assembly import Bases, assemble, most_modes
from rom.structures.displacement_basis import displacement_basis
from rom.structures.dual import DualModes, dual_modes
from rom.structures.lifting import lift_plan
from rom.structures.model import ReducedStructure
from rom.structures.projected import ProjectedPaths
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from rom.structures.trajectory_part import Histories, TrajectoryPart
from rom.truncation import Truncation
from solvers.laws.law import Law
from solvers.structure_mesh import StructureMesh

__all__ = ["OfflineReport", "build_structure", "wanted_fields"]


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
    trajectories: Sequence[Trajectory | TrajectoryPart],
    settings: StructureSettings | None = None,
    reducer: Reducer | None = None,
) -> tuple[ReducedStructure, OfflineReport]:
    """Return the reduced structure of some runs.

    Parameters
    ----------
    mesh, law
        The same as the solver's.
    trajectories
        Displacement histories with their loads; at least one. With several processes, parts that
        hold the nodes of `rom.structures.trajectory_part.own_nodes` are enough.
    settings
        Tolerances.
    reducer
        The processes that share the work, for example
        ``rom.reduction.Communicator(MPI.COMM_WORLD)``; by default this one alone.

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
    names = wanted_fields(law, settings)
    histories = Histories(mesh, trajectories, reducer)
    basis = displacement_basis(histories, lift_plan(histories.runs), settings)
    points = Parts(mesh.n_material_points, reducer)
    paths = ProjectedPaths(mesh, law, histories.runs, basis, points)
    power, fields = _dual_modes(paths, names, settings)
    bases = Bases(basis.lifting, basis.modes, basis.singular_values, power, fields)
    model, rule = assemble(mesh, law, bases, settings.cubature_tolerance, reducer=reducer)
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


def _dual_modes(
    paths: ProjectedPaths, names: Sequence[str], settings: StructureSettings
) -> tuple[DualModes, tuple[DualModes, ...]]:
    """Return the modes of the stresses that are integrated, and of the fields by name."""
    frames = paths.frames(tuple(dict.fromkeys(["stress", *names])))
    volumes, k = paths.mesh.material_weights, paths.n_frames

    def modes(name: str, truncation: Truncation) -> DualModes:
        shape = k, paths.components(name)
        return dual_modes(name, frames[name], shape, volumes, truncation, paths.points)

    power = modes("stress", Truncation(None, settings.stress_tolerance))
    fitted = Truncation(min(most_modes(len(volumes)), k), settings.dual_tolerance)
    return power, tuple(modes(name, fitted) for name in names)
