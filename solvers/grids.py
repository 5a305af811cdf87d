"""Structured triangulations of rectangles, graded where boundary layers form."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from solvers.mesh import FloatArray, IntArray, ReferenceMesh, reorder_for_locality

__all__ = ["boundary_edges", "graded", "rectangle", "structured", "tagged"]


def graded(n: int, strength: float) -> FloatArray:
    """Return n + 1 ascending points on [0, 1], denser at both ends for `strength` > 0.

    The hyperbolic tangent stretching of Vinokur (1983, 10.1016/0021-9991(83)90065-7).
    """
    s = np.linspace(-1.0, 1.0, n + 1)
    if strength == 0.0:
        return 0.5 * (s + 1.0)
    points = 0.5 * (1.0 + np.tanh(strength * s) / np.tanh(strength))
    points[0], points[-1] = 0.0, 1.0
    return np.asarray(points)


def structured(
    x: FloatArray, y: FloatArray, keep: NDArray[np.bool_] | None = None
) -> tuple[FloatArray, IntArray]:
    """Return points and triangles of the tensor grid `x` by `y`.

    The diagonals alternate like a union jack, so that no direction is preferred.

    Parameters
    ----------
    x, y : ascending coordinates
    keep : (len(y) - 1, len(x) - 1) boolean mask of the rectangles to keep, default all
    """
    columns, rows = len(x), len(y)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    j, i = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (j * columns + i).ravel()
    b, c, d = a + 1, a + columns, a + columns + 1
    rising = ((i + j) % 2 == 0).ravel()[:, None, None]
    up = np.stack([np.stack([a, b, d], 1), np.stack([a, d, c], 1)], 1)
    down = np.stack([np.stack([a, b, c], 1), np.stack([b, d, c], 1)], 1)
    cells = np.where(rising, up, down)
    if keep is not None:
        cells = cells[keep.ravel()]
    cells = cells.reshape(-1, 3)
    used, compact = np.unique(cells, return_inverse=True)
    return points[used], compact.reshape(-1, 3).astype(np.int64)


def boundary_edges(cells: IntArray, n_vertices: int) -> IntArray:
    """Return the (n, 2) edges that belong to exactly one triangle."""
    edges = np.sort(np.concatenate([cells[:, [0, 1]], cells[:, [1, 2]], cells[:, [2, 0]]]), axis=1)
    keys, counts = np.unique(edges[:, 0] * n_vertices + edges[:, 1], return_counts=True)
    return np.stack(np.divmod(keys[counts == 1], n_vertices), axis=1).astype(np.int64)


def tagged(
    points: FloatArray, cells: IntArray, parts: Mapping[str, NDArray[np.bool_]]
) -> ReferenceMesh:
    """Return a reordered mesh whose boundary edges carry the part that claims both ends.

    Parameters
    ----------
    points, cells : vertices (n, 2) and triangles
    parts : for each name a boolean mask (n,) of the vertices on that part; the first match wins
    """
    edges = boundary_edges(cells, len(points))
    tags = np.zeros(len(edges), dtype=np.int64)
    for number, mask in enumerate(parts.values(), start=1):
        tags[(tags == 0) & mask[edges].all(axis=1)] = number
    if not tags.all():
        raise ValueError(f"{np.sum(tags == 0)} boundary edges belong to no part of {list(parts)}")
    names = {name: number for number, name in enumerate(parts, start=1)}
    return reorder_for_locality(ReferenceMesh(points, cells, edges, tags, names))


def rectangle(x: FloatArray, y: FloatArray) -> ReferenceMesh:
    """Return the rectangle's mesh with the parts ``left``, ``right``, ``bottom``, ``top``."""
    points, cells = structured(x, y)
    sides = {
        "top": points[:, 1] == y[-1],
        "bottom": points[:, 1] == y[0],
        "left": points[:, 0] == x[0],
        "right": points[:, 0] == x[-1],
    }
    return tagged(points, cells, sides)
