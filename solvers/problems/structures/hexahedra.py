"""Hexahedra between the nodes of a curved grid. Plain NumPy.

A grid is an array (a, b, c) of node numbers. Its axes follow each other as x, y and z do: turned
anticlockwise, or cells would be inside out. A ring is a grid whose first plane is also its last.
"""

import numpy as np

from solvers.mesh import FloatArray, IntArray

__all__ = ["closed", "graded", "hexahedra", "quadrilaterals"]

# Corners of a cell in VTK's order, as steps along the axes.
_CORNERS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))


def hexahedra(numbers: IntArray) -> IntArray:
    """Return the cells (C, 8) between nodes (a, b, c), the last axis fastest."""
    a, b, c = numbers.shape
    corners = [numbers[i : a - 1 + i, j : b - 1 + j, k : c - 1 + k] for i, j, k in _CORNERS]
    return np.stack(corners, axis=-1).reshape(-1, 8)


def quadrilaterals(numbers: IntArray) -> IntArray:
    """Return the facets (F, 4) between nodes (a, b), the last axis fastest."""
    corners = (numbers[:-1, :-1], numbers[1:, :-1], numbers[1:, 1:], numbers[:-1, 1:])
    return np.stack(corners, axis=-1).reshape(-1, 4)


def closed(numbers: IntArray) -> IntArray:
    """Return the ring (a + 1, b, c) that joins the last plane of a grid to its first one."""
    return np.concatenate([numbers, numbers[:1]])


def graded(cells: int, ratio: float) -> FloatArray:
    """Return places (cells + 1,) from 0 to 1; each interval is `ratio` times the one before."""
    lengths = float(ratio) ** np.arange(cells)
    places = np.concatenate([[0.0], np.cumsum(lengths)])
    return np.asarray(places / places[-1])
