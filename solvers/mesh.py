"""Reference meshes: simplices with named boundary parts, in one canonical order.

Pure NumPy/SciPy. A `ReferenceMesh` is made once per study, stored beside the data and read by
every MPI job, so that node numbers never depend on the number of ranks or on a mesh generator's
mood. Quadratic nodes are numbered vertices first, then edge midpoints: node ``i < n_vertices``
of a velocity snapshot is vertex ``i`` of a pressure snapshot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

__all__ = ["FloatArray", "IntArray", "ReferenceMesh", "cell_quality", "reorder_for_locality"]

type FloatArray = npt.NDArray[np.float64]
type IntArray = npt.NDArray[np.int64]


@final
@dataclass(frozen=True)
class ReferenceMesh:
    """A mesh of triangles (or tetrahedra) with tagged boundary facets.

    Attributes
    ----------
    points : (n_vertices, gdim) float64, metres
    cells : (n_cells, gdim + 1) int64
        Vertices of each simplex, ascending within a cell.
    facets : (n_facets, gdim) int64
        Vertices of each tagged boundary facet, ascending.
    tags : (n_facets,) int64
    names : mapping from a boundary part's name to its tag
    """

    points: FloatArray
    cells: IntArray
    facets: IntArray
    tags: IntArray
    names: Mapping[str, int]

    @property
    def gdim(self) -> int:
        """Dimension of the space."""
        return int(self.points.shape[1])

    @property
    def n_vertices(self) -> int:
        """Number of vertices (linear nodes)."""
        return int(self.points.shape[0])

    @property
    def n_nodes(self) -> int:
        """Number of quadratic nodes: vertices and edge midpoints."""
        return self.n_vertices + len(self.edge_keys)

    @cached_property
    def edge_keys(self) -> IntArray:
        """(n_edges,) ascending keys ``low * n_vertices + high`` of the edges."""
        pairs = [self.cells[:, [a, b]] for a, b in combinations(range(self.gdim + 1), 2)]
        return np.unique(self._key(np.concatenate(pairs)))

    def edge_nodes(self, pairs: IntArray) -> IntArray:
        """Return the node numbers (n,) of the midpoints of edges given as (n, 2) vertices."""
        return self.n_vertices + np.searchsorted(self.edge_keys, self._key(pairs))

    def node_positions(self, points: FloatArray) -> FloatArray:
        """Return (n_nodes, gdim) positions of the quadratic nodes for vertices at `points`."""
        low, high = np.divmod(self.edge_keys, self.n_vertices)
        return np.concatenate([points, 0.5 * (points[low] + points[high])])

    @cached_property
    def triangles(self) -> IntArray:
        """(4 n_cells, 3) linear triangles through the quadratic nodes, for plotting (2D)."""
        a, b, c = self.cells.T
        ab, bc, ca = (self.edge_nodes(np.stack(p, 1)) for p in ((a, b), (b, c), (c, a)))
        split = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        return np.stack([np.stack(t, 1) for t in split], 1).reshape(-1, 3)

    def facet_nodes(self, name: str) -> IntArray:
        """Return the ascending quadratic nodes on the boundary part `name` (2D)."""
        facets = self.facets[self.tags == self.names[name]]
        return np.unique(np.concatenate([facets.ravel(), self.edge_nodes(facets)]))

    def nearest_vertex(self, position: Sequence[float]) -> int:
        """Return the vertex nearest to `position` (gdim,), metres; the first among equals."""
        return int(np.argmin(((self.points - np.array(position)) ** 2).sum(axis=1)))

    def arrays(self) -> dict[str, Any]:
        """Return the mesh as plain arrays, for `numpy.savez`."""
        names = np.array(list(self.names), dtype=np.str_)
        numbers = np.array(list(self.names.values()), dtype=np.int64)
        return {
            "points": self.points,
            "cells": self.cells,
            "facets": self.facets,
            "tags": self.tags,
            "name": names,
            "number": numbers,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "ReferenceMesh":
        """Rebuild a mesh from what `arrays` returned."""
        names = dict(zip(arrays["name"].tolist(), arrays["number"].tolist(), strict=True))
        points, cells, facets, tags = (arrays[k] for k in ("points", "cells", "facets", "tags"))
        return cls(points, cells, facets, tags, names)

    def _key(self, pairs: IntArray) -> IntArray:
        ordered: IntArray = np.sort(pairs, axis=1).astype(np.int64)
        return np.asarray(ordered[:, 0] * self.n_vertices + ordered[:, 1])


def reorder_for_locality(mesh: ReferenceMesh) -> ReferenceMesh:
    """Renumber vertices by reverse Cuthill-McKee and sort the cells accordingly.

    Neighbours get close numbers: factors fill in less, caches miss less, and snapshots compress
    better than in a mesh generator's order (Cuthill and McKee, 1969, 10.1145/800195.805928).
    """
    pairs = np.concatenate(
        [mesh.cells[:, [a, b]] for a, b in combinations(range(mesh.gdim + 1), 2)]
    )
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(mesh.n_vertices,) * 2)
    new_to_old = reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)
    old_to_new = np.empty_like(new_to_old, dtype=np.int64)
    old_to_new[new_to_old] = np.arange(mesh.n_vertices)
    cells = np.sort(old_to_new[mesh.cells], axis=1)
    facets = np.sort(old_to_new[mesh.facets], axis=1)
    by_vertex = np.lexsort(cells.T[::-1])
    by_facet = np.lexsort(facets.T[::-1])
    return replace(
        mesh,
        points=np.ascontiguousarray(mesh.points[new_to_old]),
        cells=cells[by_vertex],
        facets=facets[by_facet],
        tags=mesh.tags[by_facet],
    )


def cell_quality(points: FloatArray, cells: IntArray) -> FloatArray:
    r"""Return the mean-ratio quality (n_cells,) of triangles, one for an equilateral one.

    .. math:: q = 4 \sqrt 3 \, A / (l_1^2 + l_2^2 + l_3^2)

    with the signed area :math:`A`: zero for a degenerate and negative for an inverted triangle,
    when the vertices are listed counter-clockwise (Field, 2000,
    10.1002/(SICI)1097-0207(20000210)47:4<887::AID-NME804>3.0.CO;2-H).
    """
    a, b, c = (points[cells[:, i]] for i in range(3))
    u, v, w = b - a, c - a, c - b
    area = 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    squares = (u**2).sum(1) + (v**2).sum(1) + (w**2).sum(1)
    return np.asarray(4 * np.sqrt(3) * area / squares)
