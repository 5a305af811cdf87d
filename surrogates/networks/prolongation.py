"""Linear interpolation from the points of one mesh of simplices to any other points.

NumPy and SciPy only. The same matrices carry values from a coarse level to a fine one, and from
the vertices of a flow's pressure to the nodes of its velocity (edge midpoints get the mean).
"""

from itertools import chain

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from surrogates.networks.graph import FloatArray, IntArray

__all__ = ["cell_shape", "locate", "p1_interpolation"]

# Smallest barycentric coordinate of a point that counts as inside.
_INSIDE = -1e-10
# Coordinates this small are rounding: a point on a vertex takes the value of that vertex alone.
_ROUNDING = 1e-12
# Flatter cells than this hold no point: their coordinates would amplify rounding.
_FLAT = 1e-10
# How many cells (nearest by their centres) are tried for a point outside of all cells.
_TRIED = 16


def cell_shape(points: FloatArray, cells: IntArray) -> FloatArray:
    """Return volume x gdim! / (longest edge)^gdim of each cell, (m,): 0 for flat cells.

    Parameters
    ----------
    points : (n, gdim)
    cells : (m, gdim + 1)
    """
    corners = points[cells]
    gdim = points.shape[1]
    volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    apart = corners[:, :, None] - corners[:, None, :]
    longest = np.linalg.norm(apart, axis=-1).max(axis=(1, 2), initial=0.0)
    size = longest**gdim
    shape: FloatArray = np.divide(volume, size, out=np.zeros_like(volume), where=size > 0)
    return shape


def locate(points: FloatArray, cells: IntArray, targets: FloatArray) -> tuple[IntArray, FloatArray]:
    r"""Find a cell around each target.

    The barycentric coordinates :math:`\lambda` of a target x in a cell with corners
    :math:`x_0 \dots x_d` solve :math:`x = \sum_j \lambda_j x_j,\ \sum_j \lambda_j = 1`.

    Parameters
    ----------
    points : (n, gdim)
    cells : (m, gdim + 1)
    targets : (k, gdim)

    Returns
    -------
    cell : (k,) int64
        Number of the cell; -1 where no cell is around the target.
    coordinates : (k, gdim + 1) float64
        Barycentric coordinates; zero where there is no cell.
    """
    cell = np.full(len(targets), -1, np.int64)
    coordinates = np.zeros((len(targets), cells.shape[1]))
    sound = np.flatnonzero(cell_shape(points, cells) > _FLAT)
    if not len(sound) or not len(targets):
        return cell, coordinates
    of_cell, of_target = _candidates(points[cells[sound]], targets)
    found = _barycentric(points[cells[sound]], of_cell, targets[of_target])
    depth = found.min(axis=1)
    order = np.lexsort((-depth, of_target))
    _, first = np.unique(of_target[order], return_index=True)
    best = order[first]
    best = best[depth[best] >= _INSIDE]
    cell[of_target[best]] = sound[of_cell[best]]
    coordinates[of_target[best]] = found[best]
    return cell, coordinates


def p1_interpolation(points: FloatArray, cells: IntArray, targets: FloatArray) -> csr_array:
    """Return the matrix of linear interpolation from a mesh to targets.

    Rows sum to one. Linear functions are met exactly where a cell is around the target;
    elsewhere the target is moved into a near cell (negative coordinates are set to zero, the
    others scaled to the sum one), so that values stay between those of its corners.

    Parameters
    ----------
    points : (n, gdim)
    cells : (m, gdim + 1), at least one cell with a volume
    targets : (k, gdim)

    Returns
    -------
    csr_array
        (k, n) float64.
    """
    cell, weights = locate(points, cells, targets)
    outside = np.flatnonzero(cell < 0)
    if len(outside):
        cell[outside], weights[outside] = _clamp(points, cells, targets[outside])
    weights[np.abs(weights) < _ROUNDING] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(targets)), cells.shape[1])
    entries = (weights.ravel(), (rows, cells[cell].ravel()))
    matrix = csr_array(entries, shape=(len(targets), len(points)))
    matrix.eliminate_zeros()
    return matrix


def _candidates(corners: FloatArray, targets: FloatArray) -> tuple[IntArray, IntArray]:
    """Return all pairs (cell, target) where the target lies in a ball around the cell."""
    centres = corners.mean(axis=1)
    radii = np.linalg.norm(corners - centres[:, None], axis=-1).max(axis=1) * (1 + 1e-9)
    found = cKDTree(targets).query_ball_point(centres, radii)
    counts = np.fromiter(map(len, found), np.int64, len(found))
    of_target = np.fromiter(chain.from_iterable(found), np.int64, int(counts.sum()))
    return np.repeat(np.arange(len(corners)), counts), of_target


def _barycentric(corners: FloatArray, cell: IntArray, targets: FloatArray) -> FloatArray:
    """Return the coordinates (k, gdim + 1) of target i in cell ``cell[i]``."""
    inverse = np.linalg.inv(corners[:, 1:] - corners[:, :1])
    rest = np.einsum("ki,kij->kj", targets - corners[cell, 0], inverse[cell])
    return np.concatenate([1.0 - rest.sum(axis=1, keepdims=True), rest], axis=1)


def _clamp(points: FloatArray, cells: IntArray, targets: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return a near cell and coordinates within it for each target."""
    sound = np.flatnonzero(cell_shape(points, cells) > _FLAT)
    corners = points[cells[sound]]
    tree = cKDTree(corners.mean(axis=1))
    _, near = tree.query(targets, k=min(_TRIED, len(sound)))
    near = near.reshape(len(targets), -1)
    again = np.repeat(targets, near.shape[1], axis=0)
    inside = np.maximum(_barycentric(corners, near.ravel(), again), 0.0)
    inside /= inside.sum(axis=1, keepdims=True)
    moved = np.einsum("kj,kjd->kd", inside, corners[near.ravel()])
    distance = np.linalg.norm(moved - again, axis=1).reshape(near.shape)
    best = np.arange(len(targets)), distance.argmin(axis=1)
    return sound[near[best]], inside.reshape(*near.shape, -1)[best]
