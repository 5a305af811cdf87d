"""Matrices that couple each cell of a uniform grid with its neighbours along the axes.

Five entries in a row in two dimensions, seven in three, cells in row-major order. Such a grid is
recognised from the pattern alone, so that a matrix need not be announced as one.
"""

from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from solvers.sequence.traits import Grid

__all__ = ["GridMatrix", "find_grid"]

# Fewer cells on an axis are not worth a method of their own.
_LEAST = 4

type Floats = NDArray[np.float64]


@final
class GridMatrix:
    """Where the entries of a PETSc AIJ matrix on a grid lie, one rank.

    Parameters
    ----------
    shape : cells per axis, slowest first
    places : for the diagonal and then for each axis, places in the array of values; of an axis
        those of the couplings with the next cell on it
    """

    def __init__(self, shape: tuple[int, ...], places: list[NDArray[np.int64]]) -> None:
        self._shape = shape
        self._places = places

    @classmethod
    def of(cls, matrix: Any, shape: tuple[int, ...]) -> Self | None:
        """Return the places of the entries, or None if the pattern is not that of this grid."""
        starts, columns, _ = matrix.getValuesCSR()
        strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        size = int(np.prod(shape))
        if len(starts) != size + 1:
            return None
        offsets = [-s for s in strides] + [0] + strides[::-1]
        present = np.ones((*shape, len(offsets)), dtype=bool)
        for axis in range(len(shape)):
            moved = np.moveaxis(present, axis, 0)
            moved[0, ..., axis] = False
            moved[-1, ..., len(offsets) - 1 - axis] = False
        flat = present.reshape(size, -1)
        expected = (np.arange(size)[:, None] + np.array(offsets))[flat]
        counts = np.concatenate(([0], np.cumsum(flat.sum(axis=1))))
        if not (np.array_equal(starts, counts) and np.array_equal(columns, expected)):
            return None
        numbers = (np.cumsum(flat.ravel()) - 1).reshape(flat.shape)
        d = len(shape)
        wanted = [numbers[:, d]]
        for axis in range(d):
            column = 2 * d - axis
            wanted.append(numbers[flat[:, column], column])
        return cls(shape, wanted)

    def values(self, matrix: Any) -> list[Floats]:
        """Return the diagonal, and for each axis the entries between neighbours.

        Shapes are that of the grid, and with one cell less on that axis.
        """
        values = matrix.getValuesCSR()[2]
        found = [values[self._places[0]].reshape(self._shape)]
        for axis, place in enumerate(self._places[1:]):
            shape = list(self._shape)
            shape[axis] -= 1
            found.append(values[place].reshape(shape))
        return found


def find_grid(matrix: Any) -> Grid | None:
    """Return the uniform grid that a PETSc matrix on one rank couples, None if it does not.

    Spacings are those of the Laplacian whose couplings, after scaling to a unit diagonal, have the
    same ratios; where all values are zero yet, cells are taken for squares.
    """
    size = matrix.getSize()[0]
    if matrix.getType() != "seqaij" or size < _LEAST**2:
        return None
    strides = [int(column) for column in matrix.getRow(0)[0] if column]
    if len(strides) not in (2, 3) or strides[0] != 1:
        return None
    shape = []
    for larger, smaller in zip([size, *strides[:0:-1]], strides[::-1], strict=True):
        if larger % smaller or larger // smaller < _LEAST:
            return None
        shape.append(larger // smaller)
    entries = GridMatrix.of(matrix, tuple(shape))
    if entries is None:
        return None
    return Grid(tuple(shape), _spacing(entries, matrix))


def _spacing(entries: GridMatrix, matrix: Any) -> tuple[float, ...]:
    diagonal, *couplings = entries.values(matrix)
    if not (diagonal > 0).all() or not all(np.isfinite(c).all() for c in couplings):
        return (1.0,) * len(couplings)
    scale = 1.0 / np.sqrt(diagonal)
    widths = []
    for axis, one in enumerate(couplings):
        ends = np.moveaxis(scale, axis, 0)
        strength = -np.mean(np.moveaxis(one, axis, 0) * ends[:-1] * ends[1:])
        widths.append(1.0 / np.sqrt(strength) if strength > 0 else np.inf)
    found = tuple(float(width) for width in widths)
    return found if np.isfinite(found).all() else (1.0,) * len(couplings)
