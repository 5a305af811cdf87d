"""Which points of a mesh stay on the next coarser level.

The kept points are a maximal independent set of the mesh graph: no two are neighbours, every
other point has a kept neighbour. Corners come first, then the rest of the boundary, then the
interior, so that the coarse meshes keep the domain's shape. Such a set holds
about 1/4 of the points of a triangulation and 1/8 of those of a mesh of tetrahedra.
"""

from itertools import combinations

import numpy as np

from surrogates.networks.graph import FloatArray, IntArray, MeshGraph

__all__ = ["boundary_classes", "independent_nodes"]

# Second eigenvalue of the mean of n n^T over a node's facets: sin^2 of half the angle (26 deg)
# between two facets. A circle of 14 or more points has no corner.
_SHARP = 0.05


def boundary_classes(points: FloatArray, cells: IntArray) -> IntArray:
    """Return how strongly the boundary pins each point.

    Parameters
    ----------
    points : (n, gdim)
    cells : (m, gdim + 1)

    Returns
    -------
    IntArray
        (n,): 0 inside, 1 on a smooth part of the boundary, 2 on a corner in 2D or on a ridge in
        3D, 3 on a corner in 3D: the number of directions that the normals there span.
    """
    gdim = points.shape[1]
    facets = _boundary_facets(cells)
    normals = _normals(points[facets])
    spread = np.zeros((len(points), gdim, gdim))
    outer = np.repeat((normals[:, :, None] * normals[:, None, :])[:, None], gdim, axis=1)
    np.add.at(spread, facets, outer)
    trace = np.trace(spread, axis1=1, axis2=2)
    relative = np.linalg.eigvalsh(spread) / np.where(trace > 0, trace, 1.0)[:, None]
    return (relative > _SHARP).sum(axis=1)


def independent_nodes(graph: MeshGraph, classes: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the ascending nodes of a maximal independent set, greedily in order of class.

    Within a class, nodes with many neighbours come first (they cover more), in random order among
    equals. The order belongs to the places, not to the numbers of the nodes: another numbering
    of the same mesh keeps the same points.

    Parameters
    ----------
    graph : of the mesh
    classes : (n,) the higher, the earlier
    rng : of the order within a class
    """
    places = np.lexsort(graph.points.T)
    order = places[rng.permutation(graph.n_nodes)]
    order = order[np.lexsort((-np.diff(graph.starts)[order], -classes[order]))]
    covered = np.zeros(graph.n_nodes, np.bool_)
    kept = []
    starts, senders = graph.starts, graph.senders
    for node in order.tolist():
        if not covered[node]:
            kept.append(node)
            covered[senders[starts[node] : starts[node + 1]]] = True
    return np.sort(np.array(kept, np.int64))


def _boundary_facets(cells: IntArray) -> IntArray:
    """Return the facets (k, gdim) that belong to one cell only."""
    gdim = cells.shape[1] - 1
    every = [cells[:, list(part)] for part in combinations(range(gdim + 1), gdim)]
    facets, counts = np.unique(np.sort(np.concatenate(every), axis=1), axis=0, return_counts=True)
    once: IntArray = facets[counts == 1]
    return once


def _normals(corners: FloatArray) -> FloatArray:
    """Return a unit normal (k, gdim), of either sign, of each facet (k, gdim, gdim)."""
    gdim = corners.shape[2]
    if gdim == 1:
        return np.ones((len(corners), 1))
    # The right singular vector that no edge of the facet has a part of.
    _, _, right = np.linalg.svd(corners[:, 1:] - corners[:, :1], full_matrices=True)
    normals: FloatArray = right[:, -1]
    return normals
