"""A reference mesh on the ranks of a communicator, with canonical numbering.

DOLFINx renumbers and distributes what it is given. `Discretisation` keeps, for every degree of
freedom that a rank owns, its number in the order of the `ReferenceMesh`, so that a field
gathered for storage is the same array on any number of ranks.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from solvers.backend import basix, dolfinx, ufl
from solvers.mesh import FloatArray, IntArray, ReferenceMesh

__all__ = [
    "Discretisation",
    "Gatherer",
    "canonical_numbers",
    "distribute",
    "distributed_mesh",
    "gatherer",
]


@final
class Gatherer:
    """Collect the owned values of one scalar space on rank 0 in canonical order.

    Parameters
    ----------
    comm : communicator of the mesh
    numbers : (n_owned,) canonical numbers of the degrees of freedom owned by this rank
    size : number of degrees of freedom on all ranks
    """

    def __init__(self, comm: Any, numbers: IntArray, size: int) -> None:
        self.comm = comm
        self.size = size
        counts = comm.gather(len(numbers), root=0)
        collected = np.empty(size if comm.rank == 0 else 0, dtype=np.int64)
        comm.Gatherv(numbers, [collected, counts] if comm.rank == 0 else None, root=0)
        self._counts = counts
        self._numbers = collected

    def __call__(self, owned: FloatArray) -> FloatArray:
        """Return (size,) values in canonical order on rank 0, an empty array elsewhere."""
        received = np.empty_like(self._numbers, dtype=np.float64)
        target = [received, self._counts] if self.comm.rank == 0 else None
        self.comm.Gatherv(np.ascontiguousarray(owned), target, root=0)
        ordered = np.empty_like(received)
        ordered[self._numbers] = received
        return ordered


@final
@dataclass(frozen=True)
class Discretisation:
    """Scalar Taylor-Hood spaces on a distributed mesh.

    Attributes
    ----------
    reference : the mesh all ranks started from
    mesh, facets : DOLFINx mesh and the tags of its boundary facets
    quadratic, linear : scalar P2 and P1 function spaces
    vertices : (n_geometry,) canonical vertex of each local geometry node
    nodes, corners : canonical number of each local (owned or ghost) dof of `quadratic`, `linear`
    gather_quadratic, gather_linear : collectors on rank 0
    """

    reference: ReferenceMesh
    mesh: Any
    facets: Any
    quadratic: Any
    linear: Any
    vertices: IntArray
    nodes: IntArray
    corners: IntArray
    gather_quadratic: Gatherer
    gather_linear: Gatherer

    def deform(self, points: FloatArray) -> None:
        """Move the mesh's vertices to `points` (n_vertices, gdim), given in canonical order."""
        self.mesh.geometry.x[:, : self.reference.gdim] = points[self.vertices]

    def positions(self, space: Any) -> FloatArray:
        """Return the (n_local, gdim) current positions of the degrees of freedom of `space`.

        They are those of `ReferenceMesh.node_positions` to the last bit, on any number of ranks:
        an initial velocity that jumps at a line of nodes must not see their rounding errors.
        """
        geometry = self.mesh.geometry
        corners = geometry.x[geometry.dofmaps[0]][..., : self.reference.gdim]
        nodes = [corners]
        if space.element.basix_element.degree == 2:
            first, second = _edges(self.mesh).T
            nodes.append(0.5 * (corners[:, first] + corners[:, second]))
        index_map = space.dofmap.index_map
        positions = np.empty((index_map.size_local + index_map.num_ghosts, self.reference.gdim))
        positions[space.dofmap.list] = np.concatenate(nodes, axis=1)
        return positions


def distribute(reference: ReferenceMesh, comm: Any) -> Discretisation:
    """Distribute `reference` over `comm` and build the Taylor-Hood spaces on it."""
    mesh = distributed_mesh(reference, comm)
    vertices = np.asarray(mesh.geometry.input_global_indices, dtype=np.int64)
    quadratic = dolfinx.fem.functionspace(mesh, ("Lagrange", 2))
    linear = dolfinx.fem.functionspace(mesh, ("Lagrange", 1))
    nodes, corners = (canonical_numbers(space, reference) for space in (quadratic, linear))
    return Discretisation(
        reference=reference,
        mesh=mesh,
        facets=_tag_facets(mesh, reference, vertices),
        quadratic=quadratic,
        linear=linear,
        vertices=vertices,
        nodes=nodes,
        corners=corners,
        gather_quadratic=gatherer(quadratic, nodes, reference.n_nodes),
        gather_linear=gatherer(linear, corners, reference.n_vertices),
    )


def distributed_mesh(reference: ReferenceMesh, comm: Any) -> Any:
    """Return a DOLFINx mesh of `reference`, its cells distributed over `comm`; collective."""
    gdim = reference.gdim
    cell = {2: "triangle", 3: "tetrahedron"}[gdim]
    element = basix.ufl.element("Lagrange", cell, 1, shape=(gdim,))
    share = slice(None) if comm.rank == 0 else slice(0, 0)
    partitioner = dolfinx.mesh.create_cell_partitioner(
        dolfinx.graph.partitioner_scotch(), dolfinx.mesh.GhostMode.none, 2
    )
    return dolfinx.mesh.create_mesh(
        comm,
        reference.cells[share],
        ufl.Mesh(element),
        reference.points[share],
        partitioner=partitioner,
    )


def gatherer(space: Any, numbers: IntArray, size: int) -> Gatherer:
    """Return the collector of the owned part of a space."""
    owned = space.dofmap.index_map.size_local
    return Gatherer(space.mesh.comm, numbers[:owned].copy(), size)


def canonical_numbers(space: Any, reference: ReferenceMesh) -> IntArray:
    """Return the canonical numbers of the local (owned or ghost) degrees of freedom."""
    mesh = space.mesh
    vertices = np.asarray(mesh.geometry.input_global_indices, dtype=np.int64)
    corners = vertices[mesh.geometry.dofmaps[0]]
    nodes = [corners]
    if space.element.basix_element.degree == 2:
        pairs = corners[:, _edges(mesh)].reshape(-1, 2)
        # The width is given, for a rank may have no cells.
        nodes.append(reference.edge_nodes(pairs).reshape(len(corners), len(_edges(mesh))))
    index_map = space.dofmap.index_map
    numbers = np.zeros(index_map.size_local + index_map.num_ghosts, dtype=np.int64)
    numbers[space.dofmap.list] = np.concatenate(nodes, axis=1)
    return numbers


def _edges(mesh: Any) -> IntArray:
    """Return the (n_edges, 2) corners of the edges of a cell, in the order of its dofs."""
    cell_type = getattr(basix.CellType, mesh.topology.cell_name())
    return np.array(basix.topology(cell_type)[1])


def _tag_facets(mesh: Any, reference: ReferenceMesh, vertices: IntArray) -> Any:
    """Find the tagged facets among the boundary facets that this rank knows."""
    dim = mesh.topology.dim
    mesh.topology.create_connectivity(dim - 1, dim)
    mesh.topology.create_connectivity(dim - 1, 0)
    mesh.topology.create_connectivity(dim, dim - 1)
    exterior = dolfinx.mesh.exterior_facet_indices(mesh.topology)
    geometry = dolfinx.mesh.entities_to_geometry(mesh, dim - 1, exterior).reshape(-1, dim)
    base = reference.n_vertices ** np.arange(dim)[::-1]
    known = np.sort(reference.facets, axis=1) @ base
    order = np.argsort(known)
    keys = np.sort(vertices[geometry], axis=1) @ base
    found = np.searchsorted(known, keys, sorter=order).clip(max=len(known) - 1)
    hit = known[order[found]] == keys
    tags = reference.tags[order[found]][hit].astype(np.int32)
    entities = np.asarray(exterior, dtype=np.int32)[hit]
    ascending = np.argsort(entities)
    return dolfinx.mesh.meshtags(mesh, dim - 1, entities[ascending], tags[ascending])
