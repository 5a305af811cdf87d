"""The cut of a plane z = constant through a mesh of tetrahedra."""

from dataclasses import dataclass
from typing import final

import numpy as np

from solvers.mesh import FloatArray, IntArray

__all__ = ["Cut", "horizontal_cut"]

# For each number of vertices below the plane: the edges that it cuts, as triangles of the cut.
# Vertices are numbered by height.
_EDGES = {
    1: (((0, 1), (0, 2), (0, 3)),),
    2: (((0, 2), (0, 3), (1, 3)), ((0, 2), (1, 3), (1, 2))),
    3: (((0, 3), (1, 3), (2, 3)),),
}


@final
@dataclass(frozen=True)
class Cut:
    """Triangles of a cut; each has three corners of its own.

    Attributes
    ----------
    points : (3 n_triangles, 2) positions in the plane, metres
    ends : (3 n_triangles, 2) vertices of the mesh's edge on which a corner lies
    weights : (3 n_triangles,) share of the edge's second vertex
    cells : (n_triangles,) cell of each triangle
    """

    points: FloatArray
    ends: IntArray
    weights: FloatArray
    cells: IntArray

    def at_corners(self, values: FloatArray) -> FloatArray:
        """Return nodal values (n_vertices,), linear in each cell, at the corners."""
        first, second = values[self.ends].T
        return np.asarray((1 - self.weights) * first + self.weights * second)

    def of_cells(self, values: FloatArray) -> FloatArray:
        """Return values (n_cells,), constant in each cell, at the corners."""
        return np.repeat(values[self.cells], 3)


def horizontal_cut(points: FloatArray, cells: IntArray, height: float) -> Cut:
    """Return the triangles in which the plane z = `height` cuts the cells.

    A vertex in the plane counts as above it.

    Parameters
    ----------
    points : (n_vertices, 3) metres
    cells : (n_cells, 4) vertices
    height : metres
    """
    rising = np.take_along_axis(cells, np.argsort(points[cells, 2], axis=1), axis=1)
    below = (points[rising, 2] < height).sum(axis=1)
    ends, owners = [], []
    for count, triangles in _EDGES.items():
        (found,) = np.nonzero(below == count)
        for corners in triangles:
            ends.append(rising[found][:, np.array(corners)])  # (n, 3 corners, 2 ends)
            owners.append(found)
    pairs = np.concatenate(ends).reshape(-1, 2)
    first, second = points[pairs[:, 0]], points[pairs[:, 1]]
    weights = (height - first[:, 2]) / (second[:, 2] - first[:, 2])
    plane = first[:, :2] + weights[:, None] * (second - first)[:, :2]
    return Cut(plane, pairs, weights, np.concatenate(owners))
