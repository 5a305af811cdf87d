"""A structure's mesh on the ranks of a communicator, numbered as the mesh is on each of them.

DOLFINx distributes nodes and keeps them consistent; it renumbers them. Here every rank holds its
cells and nodes in the ascending order of the mesh's own numbers, so that one rank holds the arrays
of the mesh as they are.
"""

from typing import Any, final

import numpy as np

from solvers.backend import MPI, basix, dolfinx, ufl
from solvers.mesh import FloatArray, IntArray
from solvers.structure_mesh import StructureMesh
from solvers.structures.partition import bisect
from solvers.structures.state import Share, StructureState

__all__ = ["Distribution"]

_CELLS = {
    "hexahedron": ("hexahedron", 1),
    "tetrahedron": ("tetrahedron", 1),
    "tetrahedron10": ("tetrahedron", 2),
}
# Place in VTK's order of each node in that of DOLFINx.
_TO_VTK = {
    "hexahedron": (0, 1, 3, 2, 4, 5, 7, 6),
    "tetrahedron": (0, 1, 2, 3),
    "tetrahedron10": (0, 1, 2, 3, 9, 8, 5, 7, 6, 4),
}


@final
class Distribution:
    """The cells and nodes of this rank, and sums over ranks; making one is collective.

    Parameters
    ----------
    mesh : the whole mesh, on all ranks
    comm : MPI communicator

    Attributes
    ----------
    comm : as given
    cells : (m,) numbers of this rank's cells, ascending
    connectivity : (m, k) places of their nodes in the nodal arrays of this rank
    share : numbers of this rank's nodes and material points
    numbers : (n,) rows of its nodes in matrices, in blocks of three

    Raises
    ------
    UserError
        If there are more ranks than cells.
    """

    def __init__(self, mesh: StructureMesh, comm: Any) -> None:
        self.comm = comm
        self._whole = (mesh.n_nodes, mesh.n_material_points)
        distributed = _distributed(mesh, comm)
        geometry, topology = distributed.geometry, distributed.topology
        count = topology.index_map(3).size_local
        self.cells = np.sort(np.asarray(topology.original_cell_index[:count], dtype=np.int64))
        index_map = geometry.index_map()
        inputs = np.asarray(geometry.input_global_indices, dtype=np.int64)
        # DOLFINx's place of each node in the ascending order of the mesh's numbers.
        self._places = np.argsort(inputs, kind="stable")
        nodes = inputs[self._places]
        self.connectivity = np.searchsorted(nodes, mesh.cells[self.cells])
        per_cell = np.arange(mesh.points_per_cell)
        points = mesh.points_per_cell * self.cells[:, None] + per_cell
        self._n_owned = int(index_map.size_local)
        self.share = Share(nodes, self._places < self._n_owned, points.ravel())
        self.numbers = np.asarray(
            index_map.local_to_global(self._places.astype(np.int32)), dtype=np.int64
        )
        self._vector: Any = dolfinx.la.vector(index_map, bs=3)

    @property
    def n_nodes(self) -> int:
        """Nodes in the arrays of this rank."""
        return len(self.share.nodes)

    @property
    def n_rows(self) -> int:
        """Rows of matrices and vectors that this rank owns."""
        return 3 * self._n_owned

    def added(self, values: FloatArray) -> FloatArray:
        """Return the sums (n, 3) over the ranks of each one's share of nodal values; collective."""
        if self.comm.size == 1:
            return values
        array = self._vector.array.reshape(-1, 3)
        array[self._places] = values
        self._vector.scatter_reverse(dolfinx.la.InsertMode.add)
        self._vector.scatter_forward()
        return np.asarray(array[self._places])

    def rows(self, values: FloatArray) -> FloatArray:
        """Return nodal values (n, 3) as the rows (n_rows,) that this rank owns."""
        rows = np.empty((self._n_owned, 3))
        rows[self._places[self.share.owned]] = values[self.share.owned]
        return rows.ravel()

    def nodal(self, rows: FloatArray) -> FloatArray:
        """Return owned rows (n_rows,) as nodal values (n, 3); collective."""
        array = self._vector.array
        array[: self.n_rows] = rows
        self._vector.scatter_forward()
        return np.asarray(array.reshape(-1, 3)[self._places])

    def dot(self, one: FloatArray, other: FloatArray) -> float:
        """Return the scalar product of nodal values (n, 3), each node counted once; collective."""
        owned = self.share.owned
        return float(self.comm.allreduce(float(np.vdot(one[owned], other[owned]))))

    def norm(self, values: FloatArray) -> float:
        """Return the Euclidean norm of nodal values (n, 3); collective."""
        return float(np.sqrt(self.dot(values, values)))

    def any(self, happened: bool) -> bool:
        """Return whether something happened on some rank; collective."""
        return bool(self.comm.allreduce(bool(happened), MPI.LOR))

    def collected(self, state: StructureState) -> StructureState | None:
        """Return the whole state on rank 0, None on the others; collective."""
        if self.comm.size == 1:
            return state
        share = self.share
        own = share.owned
        parts = self.comm.gather(
            (share.nodes[own], share.points, state.displacement[own], state.internal,
             state.stress, state.temperature),
        )  # fmt: skip
        if parts is None:
            return None
        n_nodes, n_points = self._whole
        nodes, points = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        return StructureState(
            state.time,
            _placed(nodes, [part[2] for part in parts], n_nodes),
            _placed(points, [part[3] for part in parts], n_points),
            _placed(points, [part[4] for part in parts], n_points),
            _placed(points, [part[5] for part in parts], n_points),
        )


def _placed(numbers: IntArray, parts: list[FloatArray], size: int) -> FloatArray:
    """Return the values of all ranks in the order of the mesh."""
    values = np.concatenate(parts)
    placed = np.empty((size, *values.shape[1:]))
    placed[numbers] = values
    return placed


def _distributed(mesh: StructureMesh, comm: Any) -> Any:
    """Return a DOLFINx mesh whose cells and nodes all came from rank 0, in their order."""
    parts = bisect(mesh.points[mesh.cells].mean(axis=1), comm.size)
    share = slice(None) if comm.rank == 0 else slice(0, 0)
    cell, degree = _CELLS[mesh.kind]
    element = basix.ufl.element("Lagrange", cell, degree, shape=(3,))
    order = np.array(_TO_VTK[mesh.kind])

    def partitioner(*_: Any) -> Any:
        targets = parts[share].astype(np.int32)
        offsets = np.arange(len(targets) + 1, dtype=np.int32)
        # The caller is C++, which knows nothing of Python's wrapper.
        return dolfinx.graph.adjacencylist(targets, offsets)._cpp_object

    return dolfinx.mesh.create_mesh(
        comm,
        np.ascontiguousarray(mesh.cells[share][:, order]),
        ufl.Mesh(element),
        np.ascontiguousarray(mesh.points[share]),
        partitioner=None if comm.size == 1 else partitioner,
    )
