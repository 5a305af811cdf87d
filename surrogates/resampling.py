r"""Linear maps between the points of a simplicial mesh and a uniform grid.

Mesh to grid: the piecewise linear function of the mesh at the grid's points; a grid point outside
the mesh takes the value of the nearest mesh point and is marked so. Grid to mesh: multilinear
interpolation. Both are exact for linear functions (inside the mesh), second order for smooth
ones, and each row of weights sums to one.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from infra.errors import UserError

__all__ = ["LinearMap", "UniformGrid", "grid_over", "grid_to_points", "mesh_to_grid"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# A point this far outside a simplex, in its barycentric coordinates, still belongs to it.
_EDGE = 1e-9
_FEWEST = 4


@final
@dataclass(frozen=True, eq=False)
class UniformGrid:
    """A box of equally spaced points.

    Attributes
    ----------
    low, high
        Corners, (gdim,), m.
    shape
        Number of points along each axis, at least 2; the last axis varies fastest.
    """

    low: _Floats
    high: _Floats
    shape: tuple[int, ...]

    @cached_property
    def spacing(self) -> _Floats:
        """Distance of neighbours along each axis, (gdim,), m."""
        return np.asarray((self.high - self.low) / (np.array(self.shape) - 1))

    @cached_property
    def points(self) -> _Floats:
        """Positions, (prod(shape), gdim), m."""
        ends = zip(self.low, self.high, self.shape, strict=True)
        axes = [np.linspace(low, high, count) for low, high, count in ends]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(self.shape))


@final
@dataclass(frozen=True, eq=False)
class LinearMap:
    """A sparse matrix with k entries in each of its m rows.

    Attributes
    ----------
    places
        Columns, (m, k).
    weights
        Entries, (m, k).
    """

    places: _Ints
    weights: _Floats

    def apply(self, values: _Floats) -> _Floats:
        """Map values (..., n) to (..., m)."""
        return np.asarray(np.einsum("...mk,mk->...m", values[..., self.places], self.weights))


def grid_over(points: _Floats, resolution: int | None = None) -> UniformGrid:
    """Return the grid over the bounding box of a mesh.

    Parameters
    ----------
    points
        Positions, (n, gdim), m.
    resolution
        Number of grid points along the longest side, at least 4. None: the mesh's own points if
        they are a uniform grid, else about as many grid points as the mesh has.

    Raises
    ------
    UserError
        If the box is flat or the resolution too low.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    if not (high > low).all():
        raise UserError(
            f"Expected a mesh that extends along each of its axes; received the box {low} to {high}"
            "m. Leave out the axis in which nothing happens."
        )
    if resolution is not None and resolution < _FEWEST:
        raise UserError(
            f"Expected at least {_FEWEST} grid points along the longest side; received "
            f"{resolution}. Raise `resolution`."
        )
    own = _own_grid(points, low, high) if resolution is None else None
    if own is not None:
        return UniformGrid(low, high, own)
    extent = high - low
    if resolution is None:
        step = math.exp(float(np.log(extent / len(points) ** (1 / len(extent))).mean()))
    else:
        step = float(extent.max()) / (resolution - 1)
    counts = [max(_FEWEST, round(side / step) + 1) for side in extent]
    return UniformGrid(low, high, tuple(counts))


def mesh_to_grid(
    points: _Floats, cells: _Ints, grid: UniformGrid
) -> tuple[LinearMap, NDArray[np.bool_]]:
    """Return the map from values at a mesh's points to a grid, and which grid points it covers.

    Parameters
    ----------
    points, cells
        Positions (n, gdim) and simplices (m, gdim + 1) of the mesh.
    grid
        The grid, of G points.

    Returns
    -------
    tuple
        The map, with gdim + 1 entries in each of its G rows, and a mask (G,).
    """
    cell, place = _candidates(points, cells, grid)
    weights = _barycentric(points, cells, cell, grid.points[place])
    depth = weights.min(axis=1)
    # The last candidate of each grid point is the one that it lies deepest in.
    order = np.lexsort((depth, place))
    last = order[np.append(np.diff(place[order]) > 0, True)] if len(order) else order
    last = last[depth[last] >= -_EDGE]
    covered = np.zeros(len(grid.points), dtype=np.bool_)
    covered[place[last]] = True
    places = np.zeros((len(covered), cells.shape[1]), np.int64)
    entries = np.zeros(places.shape)
    entries[:, 0] = 1.0
    if not covered.all():
        places[~covered] = cKDTree(points).query(grid.points[~covered])[1][:, np.newaxis]
    places[place[last]], entries[place[last]] = cells[cell[last]], weights[last]
    return LinearMap(places, entries), covered


def grid_to_points(grid: UniformGrid, points: _Floats) -> LinearMap:
    """Return the multilinear map from values on a grid to points inside its box.

    Parameters
    ----------
    grid
        The grid.
    points
        Positions, (n, gdim), m; those outside the box take the value at its nearest point.

    Returns
    -------
    LinearMap
        2^gdim entries in each of its n rows.
    """
    shape = np.array(grid.shape)
    place = np.clip((points - grid.low) / grid.spacing, 0, shape - 1)
    first = np.minimum(np.floor(place).astype(np.int64), shape - 2)
    share = place - first
    corners = np.stack(np.meshgrid(*[(0, 1)] * len(shape), indexing="ij"), -1)
    corners = corners.reshape(1, -1, len(shape))
    index = first[:, np.newaxis] + corners
    weights = np.where(corners, share[:, np.newaxis], 1 - share[:, np.newaxis]).prod(axis=-1)
    flat = np.ravel_multi_index(tuple(np.moveaxis(index, -1, 0)), grid.shape)
    return LinearMap(flat.astype(np.int64), weights)


def _own_grid(points: _Floats, low: _Floats, high: _Floats) -> tuple[int, ...] | None:
    """Return the shape if the points are exactly those of a uniform grid, in whatever order."""
    shape = []
    for values, start, stop in zip(points.T, low, high, strict=True):
        steps = np.diff(np.sort(values))
        small = 1e-9 * (stop - start)
        steps = steps[steps > small]
        if np.ptp(steps) > 1e-6 * (stop - start) / len(steps):
            return None
        shape.append(len(steps) + 1)
    enough = math.prod(shape) == len(points) and min(shape) >= _FEWEST
    if not enough:
        return None
    places = np.rint((points - low) / (high - low) * (np.array(shape) - 1)).astype(np.int64)
    distinct = np.unique(np.ravel_multi_index(tuple(places.T), tuple(shape)))
    return tuple(shape) if len(distinct) == len(points) else None


def _candidates(points: _Floats, cells: _Ints, grid: UniformGrid) -> tuple[_Ints, _Ints]:
    """Return pairs of a cell and a grid point inside its bounding box."""
    corners = (points[cells] - grid.low) / grid.spacing
    first = np.ceil(corners.min(axis=1) - 1e-6).astype(np.int64).clip(0)
    stop = np.floor(corners.max(axis=1) + 1e-6).astype(np.int64) + 1
    counts = (np.minimum(stop, grid.shape) - first).clip(0)
    totals = counts.prod(axis=1)
    cell = np.repeat(np.arange(len(cells)), totals)
    rest = np.arange(len(cell)) - np.repeat(np.cumsum(totals) - totals, totals)
    index = []
    for axis in range(len(grid.shape)):
        count = counts[cell, axis]
        index.append(first[cell, axis] + rest % count)
        rest = rest // count
    return cell, np.ravel_multi_index(tuple(index), grid.shape).astype(np.int64)


def _barycentric(points: _Floats, cells: _Ints, cell: _Ints, at: _Floats) -> _Floats:
    """Return barycentric coordinates (c, gdim + 1) of points `at` in their cells."""
    origin = points[cells[:, 0]]
    edges = np.swapaxes(points[cells[:, 1:]] - origin[:, np.newaxis], 1, 2)
    sizes = np.abs(edges).max(axis=(1, 2)) ** edges.shape[1]
    flat = np.abs(np.linalg.det(edges)) <= 1e-14 * sizes
    edges[flat] = np.eye(edges.shape[1])
    inverse = np.linalg.inv(edges)
    others = np.einsum("cij,cj->ci", inverse[cell], at - origin[cell])
    weights = np.concatenate([1 - others.sum(axis=1, keepdims=True), others], axis=1)
    weights[flat[cell]] = -np.inf  # a cell without volume holds no point
    return np.asarray(weights)
