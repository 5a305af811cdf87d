"""Displacement histories of which a process holds the nodes of its own cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.parts import Parts, gathered, raise_together
from rom.reduction import Reducer
from rom.structures.trajectory import Trajectory
from solvers.loads import LoadCase
from solvers.structure_mesh import StructureMesh

__all__ = ["Histories", "TrajectoryPart", "own_nodes"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Prescribed displacements are met up to this part of the largest displacement.
_MET = 1e-5


@final
@dataclass(frozen=True, eq=False)
class TrajectoryPart:
    """The part of a `Trajectory` at some nodes.

    Attributes
    ----------
    times
        (T + 1,), ascending, s; the same on all processes.
    nodes
        Numbers of the nodes in the mesh, ascending, (m,); at least those of `own_nodes`.
    displacement
        (T + 1, m, 3), mm.
    loads
        That acted; the same on all processes.
    """

    times: _Floats
    nodes: _Ints
    displacement: _Floats
    loads: LoadCase

    def __post_init__(self) -> None:
        Trajectory(self.times, self.displacement, self.loads)  # the same is asked of a part
        if self.displacement.shape[1:] != (len(self.nodes), 3) or not _ascending(self.nodes):
            raise UserError(
                "Expected ascending numbers of nodes and displacements (T, m, 3) of these m nodes; "
                f"received {len(self.nodes)} numbers and the shape {self.displacement.shape}."
            )

    def require_fits(self, mesh: StructureMesh, size: float) -> None:
        """Check that the part belongs to a mesh, and meets the prescribed displacements.

        Parameters
        ----------
        mesh
            The whole mesh.
        size
            Largest displacement of all nodes, mm.

        Raises
        ------
        UserError
            If it does not.
        """
        if len(self.nodes) and not 0 <= self.nodes[0] <= self.nodes[-1] < mesh.n_nodes:
            raise UserError(
                f"Expected numbers of nodes from 0 to {mesh.n_nodes - 1}; received "
                f"{self.nodes[0]} to {self.nodes[-1]}. Give the mesh that the solver used."
            )
        self.loads.require_fits(mesh)
        for time, frame in zip(self.times[1:], self.displacement[1:], strict=True):
            mask, values = (field[self.nodes] for field in self.loads.fixed(mesh, float(time)))
            away = np.abs(np.where(mask > 0, frame - values, 0.0)).max(initial=0.0)
            if away > _MET * size:
                raise UserError(
                    f"Expected displacements that meet the prescribed ones; at t = {time:g} s they "
                    f"are {away:.3g} mm away. Check the numbers of the nodes, and that these loads "
                    "are those of the run."
                )


def own_nodes(mesh: StructureMesh, reducer: Reducer | None = None) -> _Ints:
    """Return the nodes, ascending, whose displacements a process needs: those of its cells."""
    return np.unique(mesh.cells[Parts(mesh.n_cells, reducer).here]).astype(np.int64)


@final
class Histories:
    """The displacements of the nodes of each block of cells, over all runs.

    Parameters
    ----------
    mesh
        The whole mesh.
    trajectories
        Whole ones, or parts that hold the nodes of this process; of the same runs everywhere.
    reducer
        The processes; by default this one alone.

    Raises
    ------
    UserError
        On all processes, if a history does not fit on one.
    """

    def __init__(
        self,
        mesh: StructureMesh,
        trajectories: Sequence[Trajectory | TrajectoryPart],
        reducer: Reducer | None = None,
    ) -> None:
        self.mesh, self.cells = mesh, Parts(mesh.n_cells, reducer)
        parts = _parts(mesh, trajectories, self.cells)
        self.runs = [(part.loads, part.times) for part in parts]
        self.nodes = tuple(np.unique(mesh.cells[block]) for block in self.cells.blocks)
        self._parts = parts

    @property
    def n_frames(self) -> int:
        """Number K of times of all runs together."""
        return sum(len(times) for _, times in self.runs)

    def rows(self, block: int) -> _Floats:
        """Return the displacements (K, 3 m) of the m nodes of a block here, see `nodes`."""
        frames = [
            part.displacement[:, np.searchsorted(part.nodes, self.nodes[block])]
            for part in self._parts
        ]
        return np.concatenate(frames).reshape(self.n_frames, -1)

    def places(self, block: int) -> _Ints:
        """Return where in `nodes` those of the cells of a block here are, (cells, k)."""
        return np.searchsorted(self.nodes[block], self.mesh.cells[self.cells.blocks[block]])

    def whole(self, own: Sequence[_Floats], columns: int) -> _Floats:
        """Return the rows (3 N, r) of all nodes from those (3 m, r) of the blocks here.

        Nodes that blocks share are taken from the first of these.
        """
        owner = np.full(self.mesh.n_nodes, -1)
        for number, block in reversed(list(enumerate(self.cells.all_blocks))):
            owner[self.mesh.cells[block]] = number
        rows = np.zeros((self.mesh.n_nodes, 3, columns))
        for place, (nodes, values) in enumerate(zip(self.nodes, own, strict=True)):
            mine = owner[nodes] == self.cells.number(place)
            rows[nodes[mine]] = values.reshape(len(nodes), 3, columns)[mine]
        return self.cells.reducer.sum(rows).reshape(3 * len(owner), columns)


def _parts(
    mesh: StructureMesh, trajectories: Sequence[Trajectory | TrajectoryPart], cells: Parts
) -> list[TrajectoryPart]:
    """Return the parts of all runs; what is wrong on one process is refused on all."""
    reducer, needed = cells.reducer, own_nodes(mesh, cells.reducer)
    frames = sum(len(trajectory.times) for trajectory in trajectories)
    counts = gathered(reducer, np.array([len(trajectories), frames]))
    if (counts != counts[0]).any():
        raise UserError(
            "Expected the same runs and times on all processes; received (runs, times) "
            f"{counts.astype(int).tolist()}."
        )
    largest = [np.abs(trajectory.displacement).max(initial=0.0) for trajectory in trajectories]
    sizes = gathered(reducer, np.array(largest))
    error: UserError | None = None
    found: list[TrajectoryPart] = []
    try:
        for trajectory, size in zip(trajectories, sizes.max(axis=0), strict=True):
            found.append(_part(mesh, trajectory, needed, float(size)))
    except UserError as refused:
        error = refused
    raise_together(reducer, error, UserError)
    return found


def _part(
    mesh: StructureMesh, trajectory: Trajectory | TrajectoryPart, needed: _Ints, size: float
) -> TrajectoryPart:
    if isinstance(trajectory, Trajectory):
        trajectory.require_fits(mesh)
        numbers = np.arange(mesh.n_nodes)
        return TrajectoryPart(
            trajectory.times, numbers, trajectory.displacement, trajectory.loads
        )  # fmt: skip
    missing = np.setdiff1d(needed, trajectory.nodes)
    if len(missing):
        raise UserError(
            f"Expected the displacements of the {len(needed)} nodes of this process's cells, see "
            f"`own_nodes`; {len(missing)} are missing, the first is {missing[0]}."
        )
    trajectory.require_fits(mesh, size)
    return trajectory


def _ascending(numbers: _Ints) -> bool:
    return bool((np.diff(numbers) > 0).all())
