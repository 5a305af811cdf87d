r"""Quadrature rules and shape functions of the elements of structures; plain NumPy.

Reference elements: the unit cube :math:`[0,1]^3` and the unit tetrahedron, nodes in VTK's order.
The points of a rule are where the internal variables live; full-order model, reduced model and
result files number them cell by cell in the order given here.
"""

from typing import Literal

import numpy as np

from solvers.mesh import FloatArray, IntArray

__all__ = ["CellKind", "facet_quadrature", "facet_shapes", "quadrature", "shapes"]

CellKind = Literal["hexahedron", "tetrahedron", "tetrahedron10"]

# Pairs of corners whose midpoints are the nodes 4 to 9 of the quadratic tetrahedron.
_TET_EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
_TRIANGLE_EDGES = ((0, 1), (1, 2), (2, 0))


def quadrature(kind: CellKind) -> tuple[FloatArray, FloatArray]:
    r"""Return the points (g, 3) and weights (g,) of a rule in the reference element.

    - ``hexahedron``: 2 x 2 x 2 Gauss points, the first coordinate slowest, weights 1/8;
    - ``tetrahedron``: the centroid, weight 1/6;
    - ``tetrahedron10``: four points, number i near corner i, weights 1/24, exact for quadratic
      polynomials (Keast, 1986, 10.1016/0045-7825(86)90059-9).
    """
    if kind == "hexahedron":
        low = 0.5 - 0.5 / np.sqrt(3.0)
        line = np.array([low, 1.0 - low])
        grid = np.meshgrid(line, line, line, indexing="ij")
        return np.stack(grid, axis=-1).reshape(8, 3), np.full(8, 0.125)
    if kind == "tetrahedron":
        return np.full((1, 3), 0.25), np.full(1, 1.0 / 6.0)
    near, far = (5.0 + 3.0 * np.sqrt(5.0)) / 20.0, (5.0 - np.sqrt(5.0)) / 20.0
    points = np.full((4, 3), far)
    points[(1, 2, 3), (0, 1, 2)] = near
    return points, np.full(4, 1.0 / 24.0)


def facet_quadrature(kind: CellKind) -> tuple[FloatArray, FloatArray]:
    """Return the points (h, 2) and weights (h,) of a rule on the facets of an element.

    The reference facets are the unit square and the unit triangle. Exact for the nodal forces of
    a constant pressure on flat facets: 2 x 2 Gauss points, 1 point, 3 points.
    """
    if kind == "hexahedron":
        low = 0.5 - 0.5 / np.sqrt(3.0)
        line = np.array([low, 1.0 - low])
        grid = np.meshgrid(line, line, indexing="ij")
        return np.stack(grid, axis=-1).reshape(4, 2), np.full(4, 0.25)
    if kind == "tetrahedron":
        return np.full((1, 2), 1.0 / 3.0), np.full(1, 0.5)
    points = np.full((3, 2), 1.0 / 6.0)
    points[(1, 2), (0, 1)] = 2.0 / 3.0
    return points, np.full(3, 1.0 / 6.0)


def shapes(kind: CellKind, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return shape functions at points of the reference element.

    Parameters
    ----------
    kind : of the element
    points : (g, 3)

    Returns
    -------
    values : (g, k) one column per node in VTK's order
    gradients : (g, k, 3) with respect to the reference coordinates
    """
    if kind == "hexahedron":
        bits = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)] * 2)
        bits[4:, 2] = 1
        return _multilinear(bits, points)
    edges = _TET_EDGES if kind == "tetrahedron10" else ()
    return _simplex(edges, points)


def facet_shapes(kind: CellKind, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return shape functions on the facets of an element.

    Parameters
    ----------
    kind : of the element
    points : (h, 2) of the reference facet

    Returns
    -------
    values : (h, q) one column per node: the corners around, then the midpoints after each corner
    gradients : (h, q, 2) with respect to the reference coordinates
    """
    if kind == "hexahedron":
        return _multilinear(np.array([(0, 0), (1, 0), (1, 1), (0, 1)]), points)
    edges = _TRIANGLE_EDGES if kind == "tetrahedron10" else ()
    return _simplex(edges, points)


def _multilinear(bits: IntArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return products of x or 1 - x per axis; `bits` (k, d) says which."""
    x = points[:, None, :]
    factors = np.where(bits, x, 1.0 - x)
    slopes = np.where(bits, 1.0, -1.0) + np.zeros_like(factors)
    dims = bits.shape[1]
    gradients = np.empty(factors.shape)
    for axis in range(dims):
        others = np.delete(factors, axis, axis=2).prod(axis=2)
        gradients[:, :, axis] = slopes[:, :, axis] * others
    return factors.prod(axis=2), gradients


def _simplex(
    edges: tuple[tuple[int, int], ...], points: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return Lagrange functions of degree 1 without and of degree 2 with the midpoints of edges."""
    dims = points.shape[1]
    barycentric = np.column_stack([1.0 - points.sum(axis=1), points])
    slopes = np.vstack([-np.ones(dims), np.eye(dims)])
    if not edges:
        return barycentric, np.tile(slopes, (len(points), 1, 1))
    first, second = np.array(edges).T
    corners = barycentric * (2.0 * barycentric - 1.0)
    middles = 4.0 * barycentric[:, first] * barycentric[:, second]
    corner_slopes = (4.0 * barycentric - 1.0)[:, :, None] * slopes
    middle_slopes = 4.0 * (
        barycentric[:, first, None] * slopes[second] + barycentric[:, second, None] * slopes[first]
    )
    return np.hstack([corners, middles]), np.concatenate([corner_slopes, middle_slopes], axis=1)
