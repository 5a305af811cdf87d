"""Structured meshes of squares and cubes, reordered for locality or in the order of a grid."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from solvers.grids import boundary_edges, rectangle, structured
from solvers.mesh import FloatArray, IntArray, ReferenceMesh, reorder_for_locality

__all__ = ["box_mesh", "cell_centres", "grid_mesh", "unit_points"]

_SIDES = (("left", "right"), ("bottom", "top"), ("front", "back"))


def unit_points(n: int) -> FloatArray:
    """Return n + 1 equally spaced points on [0, 1]; the ends are exact."""
    return np.linspace(0.0, 1.0, n + 1)


def cell_centres(n: int) -> FloatArray:
    """Return the centres of n equal cells of [0, 1]."""
    return (np.arange(n) + 0.5) / n


def box_mesh(dimension: int, cells: int) -> ReferenceMesh:
    """Return the unit square or cube with `cells` cells along each side.

    The parts are ``left``, ``right``, ``bottom``, ``top`` and in space ``front`` and ``back``, at
    the ends of the axes x, y, z.
    """
    points = unit_points(cells)
    if dimension == 2:
        return rectangle(points, points)
    return reorder_for_locality(_with_sides(*_tetrahedra([points] * 3)))


def grid_mesh(axes: Sequence[FloatArray]) -> ReferenceMesh:
    """Return a mesh through the points of a tensor grid, in the grid's own order.

    Vertex numbers are row-major with x fastest: values of shape (..., n_y, n_x) are vertex
    values once they are flattened.

    Parameters
    ----------
    axes : ascending coordinates along x, y and in space z
    """
    if len(axes) == 2:
        points, cells = structured(axes[0], axes[1])
        return _with_sides(points, np.sort(cells, axis=1))
    return _with_sides(*_tetrahedra(axes))


def _tetrahedra(axes: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    """Split each cuboid into the six tetrahedra of Kuhn, which share its main diagonal."""
    shape = tuple(len(a) for a in axes)
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    strides = np.array([1, shape[0], shape[0] * shape[1]])
    numbers = np.arange(len(points)).reshape(shape[::-1])
    corners = numbers[:-1, :-1, :-1].ravel()
    paths = [np.cumsum([0, *strides[list(order)]]) for order in permutations(range(3))]
    cells = (corners[:, None, None] + np.array(paths)[None]).reshape(-1, 4)
    return points, cells.astype(np.int64)


def _with_sides(points: FloatArray, cells: IntArray) -> ReferenceMesh:
    """Tag the boundary facets by the side of the box on which all their vertices lie."""
    facets = _boundary(points, cells)
    tags = np.zeros(len(facets), dtype=np.int64)
    names: dict[str, int] = {}
    for axis, (low, high) in enumerate(_SIDES[: points.shape[1]]):
        for name, end in ((low, points[:, axis].min()), (high, points[:, axis].max())):
            names[name] = len(names) + 1
            tags[(points[facets, axis] == end).all(axis=1)] = names[name]
    return _ordered(ReferenceMesh(points, cells, facets, tags, names))


def _boundary(points: FloatArray, cells: IntArray) -> IntArray:
    """Return the facets that belong to one cell only, ascending."""
    if cells.shape[1] == 3:
        return boundary_edges(cells, len(points))
    faces = np.concatenate([np.delete(cells, i, axis=1) for i in range(cells.shape[1])])
    faces = np.sort(faces, axis=1).astype(np.int64)
    # One number for each face: an order of magnitude faster than to compare rows.
    keys = faces @ (len(points) ** np.arange(faces.shape[1])[::-1])
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return faces[first[counts == 1]]


def _ordered(mesh: ReferenceMesh) -> ReferenceMesh:
    """Sort cells and facets; the vertices keep their numbers."""
    cells = np.sort(mesh.cells, axis=1)
    cells = cells[np.lexsort(cells.T[::-1])]
    by_facet = np.lexsort(mesh.facets.T[::-1])
    names: Mapping[str, int] = mesh.names
    return ReferenceMesh(mesh.points, cells, mesh.facets[by_facet], mesh.tags[by_facet], names)
