"""Linear elements on a distributed mesh, with canonical numbers of vertices and cells."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from solvers.backend import dolfinx
from solvers.discretisation import Gatherer, canonical_numbers, distributed_mesh, gatherer
from solvers.mesh import FloatArray, IntArray, ReferenceMesh

__all__ = ["LinearSpace", "distribute_linear"]


@final
@dataclass(frozen=True)
class LinearSpace:
    """A scalar P1 space on the ranks of a communicator.

    Attributes
    ----------
    reference : the mesh all ranks started from
    space : DOLFINx function space
    dofs : (n_cells, m) local degrees of freedom of the cells that this rank owns
    cells : (n_cells,) their canonical numbers
    vertices : (n_local,) canonical vertex of each local (owned or ghost) degree of freedom
    gather : collector of owned values on rank 0
    """

    reference: ReferenceMesh
    space: Any
    dofs: IntArray
    cells: IntArray
    vertices: IntArray
    gather: Gatherer

    @property
    def comm(self) -> Any:
        """The communicator of the mesh."""
        return self.space.mesh.comm

    @property
    def n_owned(self) -> int:
        """Number of degrees of freedom that this rank owns."""
        return int(self.space.dofmap.index_map.size_local)

    @property
    def corners(self) -> FloatArray:
        """(n_cells, m, gdim) positions of the corners, metres; the same bits on every rank."""
        return self.reference.points[self.vertices[self.dofs]]

    def on_part(self, name: str) -> IntArray:
        """Return the local degrees of freedom on a boundary part, ghosts included."""
        facets = self.reference.facets[self.reference.tags == self.reference.names[name]]
        return np.flatnonzero(np.isin(self.vertices, facets))

    def facets(self, name: str) -> IntArray:
        """Return the (n, gdim) local degrees of freedom of the facets of a part.

        A boundary facet is known to the rank that owns its only cell.
        """
        reference, gdim = self.reference, self.reference.gdim
        wanted = reference.facets[reference.tags == reference.names[name]]
        near = np.isin(self.vertices, wanted)[self.dofs]
        close = self.dofs[near.sum(axis=1) >= gdim]
        sides = np.concatenate([np.delete(close, i, axis=1) for i in range(gdim + 1)])
        key = reference.n_vertices ** np.arange(gdim)[::-1]
        found = np.sort(self.vertices[sides], axis=1) @ key
        return sides[np.isin(found, np.sort(wanted, axis=1) @ key)]

    def global_numbers(self, local: IntArray) -> IntArray:
        """Return the global numbers of local degrees of freedom, of the same shape."""
        flat = local.ravel().astype(np.int32)
        index_map = self.space.dofmap.index_map
        return np.asarray(index_map.local_to_global(flat), np.int64).reshape(local.shape)


def distribute_linear(reference: ReferenceMesh, comm: Any) -> LinearSpace:
    """Distribute `reference` over `comm` and build the scalar P1 space on it; collective."""
    mesh = distributed_mesh(reference, comm)
    space = dolfinx.fem.functionspace(mesh, ("Lagrange", 1))
    vertices = canonical_numbers(space, reference)
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    return LinearSpace(
        reference=reference,
        space=space,
        dofs=np.asarray(space.dofmap.list[:owned], dtype=np.int64),
        # All cells came from rank 0, so that their input numbers are the canonical ones.
        cells=np.asarray(mesh.topology.original_cell_index[:owned], dtype=np.int64),
        vertices=vertices,
        gather=gatherer(space, vertices, reference.n_vertices),
    )
