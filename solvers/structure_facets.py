"""Facets of the elements of structures: which cell owns them and where its outside is."""

import numpy as np

from infra.errors import UserError
from solvers.mesh import IntArray
from solvers.structure_quadrature import CellKind

__all__ = ["boundary_facets", "local_facets", "locate_facets", "outward_facets"]

_HEXAHEDRON = (
    (0, 4, 7, 3),
    (1, 2, 6, 5),
    (0, 1, 5, 4),
    (3, 7, 6, 2),
    (0, 3, 2, 1),
    (4, 5, 6, 7),
)
_TETRAHEDRON = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))
_TETRAHEDRON10 = ((0, 2, 1, 6, 5, 4), (0, 1, 3, 4, 8, 7), (0, 3, 2, 7, 9, 6), (1, 2, 3, 5, 9, 8))


def local_facets(kind: CellKind) -> IntArray:
    """Return the nodes (f, q) of each facet of an element, seen from outside anticlockwise.

    Corners come first; those of the quadratic tetrahedron are followed by the midpoint after
    each corner.
    """
    table = {
        "hexahedron": _HEXAHEDRON,
        "tetrahedron": _TETRAHEDRON,
        "tetrahedron10": _TETRAHEDRON10,
    }
    return np.array(table[kind], dtype=np.int64)


def boundary_facets(kind: CellKind, cells: IntArray) -> tuple[IntArray, IntArray]:
    """Return the facets that belong to one cell only.

    Parameters
    ----------
    kind, cells : of a mesh, see `solvers.structure_mesh.StructureMesh`

    Returns
    -------
    facets : (F, q) nodes, outside anticlockwise
    owners : (F,) cells
    """
    all_facets = cells[:, local_facets(kind)]
    flat = all_facets.reshape(-1, all_facets.shape[2])
    keys = np.sort(flat[:, : _corners(kind)], axis=1)
    _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
    single = np.sort(first[counts == 1])
    return flat[single], (single // all_facets.shape[1]).astype(np.int64)


def locate_facets(
    kind: CellKind, cells: IntArray, facets: IntArray, name: str
) -> tuple[IntArray, IntArray]:
    """Find the cell of each facet.

    Parameters
    ----------
    kind, cells : of the mesh
    facets : (F, q) nodes in any order of the corners
    name : of the set, for the message

    Returns
    -------
    owners : (F,) cells
    places : (F,) rows of `local_facets`

    Raises
    ------
    UserError
        If a facet is no facet of exactly one cell, or is given twice.
    """
    corners = _corners(kind)
    wanted = np.sort(facets[:, :corners], axis=1)
    table = local_facets(kind)[:, :corners]
    used = np.zeros(int(max(cells.max(initial=0), wanted.max(initial=0))) + 1, dtype=bool)
    used[wanted] = True
    cell, place = np.nonzero(used[cells[:, table]].all(axis=2))
    keys = np.sort(cells[cell[:, None], table[place]], axis=1)
    _, group = np.unique(np.vstack([wanted, keys]), axis=0, return_inverse=True)
    group = group.reshape(-1)
    mine, theirs = group[: len(wanted)], group[len(wanted) :]
    found = np.bincount(theirs, minlength=int(group.max(initial=-1)) + 1)
    wrong = np.flatnonzero((found[mine] != 1) | (np.bincount(mine)[mine] != 1))
    if len(wrong):
        raise UserError(
            f"facets {name!r}: expected facets of the boundary, each once, received "
            f"{len(wrong)} others (first: nodes {facets[wrong[0]].tolist()}); a facet of the "
            "boundary holds the corners of one side of exactly one cell"
        )
    row = np.zeros(len(found), dtype=np.int64)
    row[theirs] = np.arange(len(theirs))
    return cell[row[mine]].astype(np.int64), place[row[mine]].astype(np.int64)


def outward_facets(kind: CellKind, cells: IntArray, facets: IntArray, name: str) -> IntArray:
    """Return the same facets (F, q) with their nodes anticlockwise seen from outside."""
    owners, places = locate_facets(kind, cells, facets, name)
    return np.asarray(cells[owners[:, None], local_facets(kind)[places]])


def _corners(kind: CellKind) -> int:
    return 4 if kind == "hexahedron" else 3
