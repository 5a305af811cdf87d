"""The response of the full-order model: its displacements, and the law along them."""

from collections.abc import Iterator

from rom.structures.paths import MaterialPoints
from rom.structures.published_parts import PLASTICITY, StructureParts
from rom.structures.replay import PointState
from rom.structures.response import PointFrame, StructureResponse
from rom.structures.trajectory import Trajectory

__all__ = ["full_frames", "full_response"]


def full_response(parts: StructureParts, trajectory: Trajectory) -> StructureResponse:
    """Return fields and quantities of a displacement history.

    Parameters
    ----------
    parts
        Of the model that it is compared with: mesh, law, and what is told.
    trajectory
        The history.

    Raises
    ------
    UserError
        If it does not fit the mesh.
    LocalIntegrationError
        If the law has no answer along it.
    """
    return parts.maker()(trajectory.times, full_frames(parts, trajectory))


def full_frames(parts: StructureParts, trajectory: Trajectory) -> Iterator[PointFrame]:
    """Give displacement, stress and plasticity at all times of a history."""
    model = parts.model
    trajectory.require_fits(model.mesh)
    points = MaterialPoints(model.mesh, model.law)
    times, path, loads = trajectory.times, trajectory.displacement, trajectory.loads
    start = points.virgin(loads, float(times[0]), path[0])
    yield _frame(parts, start, trajectory, 0)
    states = points.follow(loads, times[1:], path[1:], start)
    for number, state in enumerate(states, start=1):
        yield _frame(parts, state, trajectory, number)


def _frame(
    parts: StructureParts, state: PointState, trajectory: Trajectory, number: int
) -> PointFrame:
    flowed = state.internal[:, parts.model.column(PLASTICITY)][:, 0] if parts.flows else None
    return PointFrame(trajectory.displacement[number], state.stress, flowed)
