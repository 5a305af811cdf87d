"""Boxes of hexahedra and tetrahedra with named sides, for tests and their MPI jobs."""

from itertools import permutations
from typing import Any

import numpy as np

from solvers.mesh import FloatArray
from solvers.problems.structures.hexahedra import hexahedra
from solvers.structure_facets import boundary_facets
from solvers.structure_mesh import StructureMesh


def box(
    counts: tuple[int, int, int] = (2, 2, 2),
    lengths: tuple[float, float, float] = (1.0, 1.0, 1.0),
    kind: str = "hexahedron",
    crooked: float = 0.0,
) -> StructureMesh:
    """Return a box; inner nodes are moved by up to `crooked` times a cell."""
    points, numbers = _grid(counts, lengths)
    cells = hexahedra(numbers) if kind == "hexahedron" else _tetrahedra(numbers)
    inside = ((points > 1e-9) & (points < np.array(lengths) - 1e-9)).all(axis=1)
    moves = np.random.default_rng(1).uniform(-1, 1, points.shape) * np.array(lengths) / counts
    points = points + crooked * inside[:, None] * moves
    if kind == "tetrahedron10":
        points, cells = _quadratic(points, cells)
    return _named(points, cells, kind, lengths)


def _grid(counts: tuple[int, int, int], lengths: tuple[float, float, float]) -> Any:
    lines = [np.linspace(0.0, x, n + 1) for n, x in zip(counts, lengths, strict=True)]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    return points, np.arange(len(points)).reshape([n + 1 for n in counts])


def _tetrahedra(numbers: Any) -> Any:
    """Return Kuhn's six tetrahedra of each brick, positively oriented."""
    corners = []
    a, b, c = (n - 1 for n in numbers.shape)
    for order in permutations(range(3)):
        steps = np.cumsum([np.zeros(3, int), *np.eye(3, dtype=int)[list(order)]], axis=0)
        path = [numbers[i : a + i, j : b + j, k : c + k].ravel() for i, j, k in steps]
        odd = np.linalg.det(np.eye(3)[list(order)]) < 0
        if odd:
            path[1], path[2] = path[2], path[1]
        corners.append(np.stack(path, axis=1))
    return np.stack(corners, axis=1).reshape(-1, 4)


def _quadratic(points: FloatArray, cells: Any) -> tuple[FloatArray, Any]:
    pairs = cells[:, [(0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3)]]
    edges, inverse = np.unique(np.sort(pairs, axis=2).reshape(-1, 2), axis=0, return_inverse=True)
    middles = len(points) + inverse.reshape(-1, 6)
    return np.concatenate([points, points[edges].mean(axis=1)]), np.hstack([cells, middles])


def _named(points: FloatArray, cells: Any, kind: Any, lengths: Any) -> StructureMesh:
    """Return a mesh with sides x0, x1 ... and their nodes, `corner` and `all` boundary nodes."""
    boundary, _ = boundary_facets(kind, cells)
    facets, nodes = {}, {}
    for axis, name in enumerate("xyz"):
        for end, place in enumerate((0.0, lengths[axis])):
            there = np.isclose(points[:, axis], place)
            facets[f"{name}{end}"] = boundary[there[boundary].all(axis=1)]
            nodes[f"{name}{end}"] = np.flatnonzero(there)
    nodes["corner"] = np.flatnonzero((np.abs(points) < 1e-12).all(axis=1))
    nodes["x0y0"] = np.intersect1d(nodes["x0"], nodes["y0"])
    nodes["all"] = np.unique(boundary)
    return StructureMesh(points, cells, kind, facets, nodes)
