"""Which simplex holds a point, and with which weights: linear interpolation at probes."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from infra.errors import UserError

__all__ = ["PointLocator"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Cells near the point by their middles that are tried before all of them are.
_NEAR = 24
# How far outside its cell, in barycentric coordinates, a point may be by rounding.
_ROUNDING = 1e-9


@final
class PointLocator:
    """Finds points in a mesh of intervals, triangles or tetrahedra.

    Parameters
    ----------
    points
        Positions, shape (n, d), m.
    cells
        Places in `points`, shape (m, d + 1).
    """

    def __init__(self, points: _Floats, cells: _Ints) -> None:
        self._cells = cells
        self._first = points[cells[:, 0]]
        edges = points[cells[:, 1:]] - self._first[:, np.newaxis]
        with np.errstate(divide="ignore", invalid="ignore"):
            self._inverse = np.linalg.inv(edges)
        corners = points[cells]
        self._tree = cKDTree(corners.mean(axis=1))
        self._box = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))

    def locate(self, probes: _Floats) -> tuple[_Ints, _Floats]:
        """Return the corners (k, d + 1) and the weights (k, d + 1) for probes (k, d).

        A value at a probe is the sum of weights times values at the corners.

        Raises
        ------
        UserError
            If a probe has another number of coordinates, or is outside the mesh.
        """
        d = self._first.shape[1]
        if probes.ndim != 2 or probes.shape[1] != d or not np.isfinite(probes).all():
            raise UserError(
                f"Expected probes of {d} finite coordinates, shape (k, {d}); received shape "
                f"{probes.shape}."
            )
        near = min(_NEAR, len(self._cells))
        _, found = self._tree.query(probes, k=[*range(1, near + 1)])
        weights = self._weights(probes[:, np.newaxis], found)
        inside = weights.min(axis=2)
        best = inside.argmax(axis=1)
        rows = np.arange(len(probes))
        cells, result, least = found[rows, best], weights[rows, best], inside[rows, best]
        for i in np.flatnonzero(least < -_ROUNDING):
            cells[i], result[i] = self._anywhere(probes[i])
        return self._cells[cells], result

    def _anywhere(self, probe: _Floats) -> tuple[int, _Floats]:
        weights = self._weights(probe, np.arange(len(self._cells)))
        cell = int(np.nan_to_num(weights.min(axis=1), nan=-np.inf).argmax())
        if weights[cell].min() < -_ROUNDING:
            raise UserError(
                f"Expected probes inside the mesh; {tuple(probe.tolist())} is outside. The mesh "
                f"lies between {self._bounds()}."
            )
        return cell, weights[cell]

    def _weights(self, probes: _Floats, cells: _Ints) -> _Floats:
        away = probes - self._first[cells]
        # Rows are edges: x - x0 = sum of weights times edges.
        last = np.einsum("...i,...ij->...j", away, self._inverse[cells])
        return np.concatenate([1.0 - last.sum(axis=-1, keepdims=True), last], axis=-1)

    def _bounds(self) -> str:
        low, high = (tuple(corner.tolist()) for corner in self._box)
        return f"{low} and {high}"
