"""A ladder of ever coarser meshes over one fine mesh, with linear prolongations between them.

NumPy and SciPy only. The points of a level are a part of the points of the level before; its
cells are a Delaunay triangulation of them, without the cells whose centre lies outside of the
fine mesh (holes, bays) and without nearly flat ones.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.sparse import csr_array, dia_array
from scipy.spatial import Delaunay, QhullError

from surrogates.networks.coarsening import boundary_classes, independent_nodes
from surrogates.networks.graph import FloatArray, IntArray, MeshGraph, mesh_graph
from surrogates.networks.prolongation import cell_shape, locate, p1_interpolation

__all__ = ["MeshLevel", "mesh_hierarchy", "row_normalised"]

# Flatter cells of a Delaunay triangulation are left out; only hulls have them.
_FLAT = 1e-3


@final
@dataclass(frozen=True)
class MeshLevel:
    """One level of the ladder.

    Attributes
    ----------
    graph : MeshGraph
        Points and edges.
    cells : (m, gdim + 1) int64
    kept : (n,) int64
        Numbers of the points on the next finer level; on the finest, their own numbers.
    prolongation : csr_array
        (n_finer, n) float64: values on the next finer level from values here; rows sum to one.
        On the finest level the identity.
    """

    graph: MeshGraph
    cells: IntArray
    kept: IntArray
    prolongation: csr_array

    @property
    def restriction(self) -> csr_array:
        """(n, n_finer): the transposed prolongation with rows that sum to one."""
        return row_normalised(self.prolongation.T.tocsr())


def mesh_hierarchy(
    points: FloatArray,
    cells: IntArray,
    rng: np.random.Generator,
    *,
    levels: int | None = None,
    coarsest: int = 12,
) -> tuple[MeshLevel, ...]:
    """Coarsen a mesh again and again.

    Parameters
    ----------
    points : (n, gdim), metres
    cells : (m, gdim + 1)
    rng : of the choice of points; the same seed gives the same ladder for any numbering
    levels : at most this many, the finest counted; None for as many as there are
    coarsest : a level with as few points as this is the last

    Returns
    -------
    tuple of MeshLevel
        Finest first; at least one.
    """
    every = np.arange(len(points))
    identity = csr_array(dia_array((np.ones((1, len(points))), [0]), shape=(len(points),) * 2))
    ladder = [MeshLevel(mesh_graph(points, cells), cells, every, identity)]
    classes = boundary_classes(points, cells)
    while (levels is None or len(ladder) < levels) and ladder[-1].graph.n_nodes > coarsest:
        kept = independent_nodes(ladder[-1].graph, classes, rng)
        level = _coarser(ladder[-1], kept, ladder[0])
        if level is None:
            break
        classes = classes[kept]
        ladder.append(level)
    return tuple(ladder)


def row_normalised(matrix: csr_array) -> csr_array:
    """Return the matrix with rows divided by their sums; empty rows stay empty.

    Parameters
    ----------
    matrix : (k, n), no row with a sum of zero but empty ones
    """
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    scale = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums != 0)
    return csr_array(dia_array((scale[None], [0]), shape=(len(sums),) * 2) @ matrix)


def _coarser(finer: MeshLevel, kept: IntArray, finest: MeshLevel) -> MeshLevel | None:
    """Return the level of the kept points; None if they do not span a mesh."""
    if len(kept) == finer.graph.n_nodes:
        return None
    points = finer.graph.points[kept]
    cells = _cells(points, finest)
    if not len(cells):
        return None
    return MeshLevel(
        mesh_graph(points, cells), cells, kept, _prolongation(points, cells, kept, finer)
    )


def _cells(points: FloatArray, finest: MeshLevel) -> IntArray:
    """Return the cells (m, gdim + 1) of a triangulation of points within the finest mesh."""
    gdim = points.shape[1]
    if gdim == 1:
        order = np.argsort(points[:, 0])
        cells = np.stack([order[:-1], order[1:]], axis=1)
    else:
        try:
            cells = Delaunay(points).simplices.astype(np.int64)
        except (QhullError, ValueError):
            return np.empty((0, gdim + 1), np.int64)
    cells = cells[cell_shape(points, cells) > _FLAT]
    within, _ = locate(finest.graph.points, finest.cells, points[cells].mean(axis=1))
    return cells[within >= 0]


def _prolongation(
    points: FloatArray, cells: IntArray, kept: IntArray, finer: MeshLevel
) -> csr_array:
    """Interpolate linearly; a kept point takes its own value even if it has lost all its cells."""
    others = np.setdiff1d(np.arange(finer.graph.n_nodes), kept)
    moved = p1_interpolation(points, cells, finer.graph.points[others]).tocoo()
    rows = np.concatenate([kept, others[moved.row]])
    columns = np.concatenate([np.arange(len(kept)), moved.col])
    values = np.concatenate([np.ones(len(kept)), moved.data])
    return csr_array((values, (rows, columns)), shape=(finer.graph.n_nodes, len(kept)))
