r"""One high-fidelity step from a reduced run: what goes to the full-order solver, and back.

Any solver serves that can start from a displacement and internal variables at all material points
and make one implicit step. It gets them by replaying the law along the reduced displacements,
which is exact for this path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.structures.load_vectors import centrifugal_force, pressure_force
from rom.structures.paths import MaterialPoints
from rom.structures.replay import PointState
from rom.structures.strain_operator import strain_operator
from solvers.loads import LoadCase
from solvers.structure_mesh import StructureMesh

__all__ = ["FullOrderStep", "FullState", "at_points", "check_full", "imbalance", "replayed"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class FullState:
    """A full-order structure at a time, in the numbering of the mesh.

    Attributes
    ----------
    time
        s.
    displacement
        (N, 3), mm.
    stress
        (G, 6), Mandel components, MPa.
    internal
        Internal variables, (G, s).
    temperature
        At the material points, (G,), degrees Celsius.
    """

    time: float
    displacement: _Floats
    stress: _Floats
    internal: _Floats
    temperature: _Floats


class FullOrderStep(Protocol):
    """What enrichment asks of a full-order solver."""

    def __call__(self, restart: FullState, loads: LoadCase, time: float) -> FullState:
        """Return the state at `time` after implicit steps from `restart`."""
        ...


def at_points(points: MaterialPoints, full: FullState) -> PointState:
    """Return the material points of a full state."""
    strain = points.strain(full.displacement)
    return PointState(full.time, strain, full.temperature, full.stress, full.internal)


def replayed(
    points: MaterialPoints,
    anchor: PointState,
    loads: LoadCase,
    times: Sequence[float],
    displacements: Sequence[_Floats],
) -> PointState:
    """Return the material points after a path of displacements from `anchor` on.

    Parameters
    ----------
    points
        All points of the mesh.
    anchor
        Before the first step.
    loads
        For the temperature.
    times, displacements
        After each step, (N, 3) mm; none: the anchor is returned.
    """
    last = anchor
    for reached in points.follow(loads, np.array(times), np.array(displacements), anchor):
        last = reached
    return last


def imbalance(mesh: StructureMesh, loads: LoadCase, state: FullState) -> float:
    """Return the relative residual of equilibrium of a state on all free components.

    A restart that is far from equilibrium makes a high-fidelity step that tells more about this
    than about the model.
    """
    weighted = mesh.material_weights[:, None] * state.stress
    inner = np.asarray(strain_operator(mesh).T @ weighted.reshape(-1))
    outer = np.zeros_like(inner)
    for pressure in loads.pressures:
        outer += pressure.at(state.time) * pressure_force(mesh, pressure.region)
    if loads.centrifugal is not None:
        factor = loads.centrifugal.amplitude(state.time)
        outer += factor * centrifugal_force(mesh, loads.centrifugal)
    mask, _ = loads.fixed(mesh, state.time)
    free = mask.reshape(-1) == 0
    size = max(float(np.linalg.norm(inner)), float(np.linalg.norm(outer)))
    away = float(np.linalg.norm((outer - inner)[free]))
    return away / size if size > 0 else 0.0


def check_full(mesh: StructureMesh, size: int, time: float, full: FullState) -> None:
    """Check what a full-order solver gave back.

    Raises
    ------
    UserError
        If its arrays do not fit the mesh and the law, are not finite, or are of another time.
    """
    g = mesh.n_material_points
    expected = {
        "displacement": (mesh.n_nodes, 3),
        "stress": (g, 6),
        "internal": (g, size),
        "temperature": (g,),
    }
    for name, shape in expected.items():
        received = getattr(full, name)
        if received.shape != shape or not np.isfinite(received).all():
            raise UserError(
                f"Expected finite values of shape {shape} as `{name}` of a high-fidelity step, in "
                f"the mesh's numbering; received shape {received.shape}."
            )
    if full.time != time:
        raise UserError(
            f"Expected the state at t = {time:g} s of a high-fidelity step; received one at "
            f"{full.time:g} s."
        )
