"""True errors of trajectories that a model has not seen, for the calibration of its indicator."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rom.structures.indicator import StepPairs, StructureIndicator, calibrate_structure
from rom.structures.model import ReducedStructure
from rom.structures.offline import build_structure
from rom.structures.online import ReducedStepError, run
from rom.structures.paths import MaterialPoints
from rom.structures.reconstruction import reconstruct
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.laws.law import Law
from solvers.structure_mesh import StructureMesh

__all__ = [
    "calibrated",
    "field_size",
    "relative_error",
    "step_pairs",
    "true_field",
    "unseen_pairs",
]

type _Floats = NDArray[np.float64]

# Fields below this part of the largest are compared with it.
_SMALL = 0.01


def calibrated(
    mesh: StructureMesh,
    law: Law,
    trajectories: Sequence[Trajectory],
    settings: StructureSettings,
    name: str = "accumulated_plasticity",
    level: float = 0.95,
) -> StructureIndicator:
    """Return the indicator of a field, calibrated by leaving out one trajectory at a time.

    Each left-out trajectory costs the building of one model and one reduced run;
    `unseen_pairs` does one of them, where they shall run side by side.

    Raises
    ------
    UserError
        If there are less than two trajectories.
    """
    size = max((field_size(mesh, law, one, name) for one in trajectories), default=0.0)
    parts = [
        unseen_pairs(mesh, law, trajectories, left_out, settings, name, size)
        for left_out in range(len(trajectories) if len(trajectories) > 1 else 0)
    ]
    nothing = StepPairs(np.empty(0), np.empty(0), np.empty(0, np.int64))
    return calibrate_structure(name, size, StepPairs.joined(nothing, *parts), level)


def unseen_pairs(
    mesh: StructureMesh,
    law: Law,
    trajectories: Sequence[Trajectory],
    left_out: int,
    settings: StructureSettings,
    name: str,
    size: float,
) -> StepPairs:
    """Return the pairs of one trajectory by a model of all others.

    Parameters
    ----------
    mesh, law, trajectories, settings
        As in `rom.structures.offline.build_structure`.
    left_out
        Which of the trajectories.
    name
        Of the field.
    size
        Its largest norm in the training.
    """
    others = [one for i, one in enumerate(trajectories) if i != left_out]
    model, _ = build_structure(mesh, law, others, settings)
    trajectory = trajectories[left_out]
    residuals, errors = step_pairs(model, trajectory, name, size)
    return StepPairs(
        np.array(residuals), np.array(errors), np.full(len(errors), left_out, np.int64)
    )


def true_field(mesh: StructureMesh, law: Law, trajectory: Trajectory, name: str) -> _Floats:
    """Return what the law gives along a displacement history itself, (T, G, c)."""
    points = MaterialPoints(mesh, law)
    times, path, loads = trajectory.times, trajectory.displacement, trajectory.loads
    start = points.virgin(loads, float(times[0]), path[0])
    states = points.follow(loads, times[1:], path[1:], start)
    if name == "stress":
        return np.stack([state.stress for state in states])
    return np.stack([state.internal[:, law.column(name)] for state in states])


def field_size(mesh: StructureMesh, law: Law, trajectory: Trajectory, name: str) -> float:
    """Return the largest norm in L2 of a field along a history."""
    frames = true_field(mesh, law, trajectory, name)
    return max(_norm(frame, mesh.material_weights) for frame in frames)


def relative_error(found: _Floats, exact: _Floats, volumes: _Floats, size: float) -> float:
    """Return the relative error in L2 of a field (G, c); small fields count as parts of `size`."""
    below = max(_norm(exact, volumes), _SMALL * size)
    away = _norm(found - exact, volumes)
    return away / below if below > 0 else 0.0


def step_pairs(
    model: ReducedStructure, trajectory: Trajectory, name: str, size: float
) -> tuple[list[float], list[float]]:
    """Return residuals and errors of the steps of a run that a model has not seen.

    A run that stops gives the pairs up to there.
    """
    exact = true_field(model.mesh, model.law, trajectory, name)
    volumes = model.mesh.material_weights
    loads, start = model.loads(trajectory.loads), model.start(float(trajectory.times[0]))
    residuals: list[float] = []
    errors: list[float] = []
    previous: _Floats | None = None
    try:
        for (state, _), truth in zip(
            run(model, loads, start, trajectory.times[1:]), exact, strict=True
        ):
            found = reconstruct(model, state, name, previous)
            previous = found.values
            residuals.append(found.residual)
            errors.append(relative_error(found.values, truth, volumes, size))
    except ReducedStepError:
        pass
    return residuals, errors


def _norm(field: _Floats, volumes: _Floats) -> float:
    return float(np.sqrt(np.einsum("kc,kc,k->", field, field, volumes)))
