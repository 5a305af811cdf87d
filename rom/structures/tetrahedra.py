r"""Tetrahedra that fill the cells of a structure's mesh, for pictures and probes.

A hexahedron is cut by pulling: all tetrahedra meet at its node with the smallest number, and each
face is halved by the diagonal through the smallest number of the face. Neighbours therefore agree
on the diagonal of the face between them, and the facets of tetrahedra that belong to one
tetrahedron alone are the surface of the mesh.
"""

import numpy as np
from numpy.typing import NDArray

from solvers.structure_mesh import StructureMesh

__all__ = ["tetrahedra"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Corners of the faces of a hexahedron in VTK's order.
_FACES = (
    (0, 1, 2, 3),
    (4, 5, 6, 7),
    (0, 1, 5, 4),
    (1, 2, 6, 5),
    (2, 3, 7, 6),
    (3, 0, 4, 7),
)


def tetrahedra(mesh: StructureMesh) -> _Ints:
    """Return tetrahedra (m, 4) with positive volumes over the nodes of a mesh.

    Six for each hexahedron; tetrahedra themselves, those of quadratic ones by their corners.
    """
    cells = _cut(mesh.cells) if mesh.kind == "hexahedron" else mesh.cells[:, :4].copy()
    corners = mesh.points[cells]
    turned = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0.0
    cells[turned] = cells[turned][:, [0, 2, 1, 3]]
    return cells


def _cut(cells: _Ints) -> _Ints:
    """Return the tetrahedra (6 m, 4) of hexahedra (m, 8), cell by cell."""
    found = np.empty((len(cells), 6, 4), np.int64)
    smallest = cells.argmin(axis=1)
    for apex in range(8):
        here = np.flatnonzero(smallest == apex)
        opposite = [face for face in _FACES if apex not in face]
        found[here, :, 0] = cells[here, apex, None]
        for number, face in enumerate(opposite):
            around = _from_smallest(cells[here][:, face])
            found[here, 2 * number, 1:] = around[:, [0, 1, 2]]
            found[here, 2 * number + 1, 1:] = around[:, [0, 2, 3]]
    return found.reshape(-1, 4)


def _from_smallest(faces: _Ints) -> _Ints:
    """Return quadrilaterals (k, 4) as cycles that begin with their smallest number."""
    turns = (faces.argmin(axis=1)[:, None] + np.arange(4)) % 4
    return np.take_along_axis(faces, turns, axis=1)
