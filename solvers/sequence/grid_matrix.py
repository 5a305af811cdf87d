"""Recognise matrices that couple each cell of a uniform grid with its neighbours along the axes.

Five entries in a row in two dimensions, seven in three, cells in row-major order. The pattern alone
shows it, so that a matrix need not be announced as one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.sequence.traits import Grid

__all__ = ["find_grid"]

# Fewer cells on an axis are not worth a method of their own.
_LEAST = 4

type Integers = NDArray[np.int64]


def find_grid(matrix: Any) -> Grid | None:
    """Return the uniform grid that a PETSc matrix on one rank couples, None if it does not.

    Spacings are those of the Laplacian whose couplings, after scaling to a unit diagonal, have the
    same ratios; where all values are zero yet, cells are taken for squares.
    """
    size = matrix.getSize()[0]
    if matrix.getType() != "seqaij" or size < _LEAST**2:
        return None
    shape = _shape(size, [int(column) for column in matrix.getRow(0)[0] if column])
    if shape is None:
        return None
    starts, columns, values = matrix.getValuesCSR()
    offsets, present = _pattern(shape)
    counts = np.concatenate(([0], np.cumsum(present.sum(axis=1))))
    expected = (np.arange(size)[:, None] + offsets)[present]
    if not (np.array_equal(starts, counts) and np.array_equal(columns, expected)):
        return None
    return Grid(shape, _spacing(offsets, present, expected, values))


def _shape(size: int, strides: list[int]) -> tuple[int, ...] | None:
    """Return the cells per axis, given the places of the first cell's neighbours."""
    if len(strides) not in (2, 3) or strides[0] != 1:
        return None
    shape = []
    for larger, smaller in zip([size, *strides[:0:-1]], strides[::-1], strict=True):
        if larger % smaller or larger // smaller < _LEAST:
            return None
        shape.append(larger // smaller)
    return tuple(shape)


def _pattern(shape: tuple[int, ...]) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the offsets of the neighbours, ascending, and which of them each cell has."""
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    offsets = np.array([-s for s in strides] + [0] + strides[::-1])
    present = np.ones((*shape, len(offsets)), dtype=bool)
    for axis in range(len(shape)):
        moved = np.moveaxis(present, axis, 0)
        moved[0, ..., axis] = False
        moved[-1, ..., len(offsets) - 1 - axis] = False
    return offsets, present.reshape(-1, len(offsets))


def _spacing(
    offsets: Integers, present: NDArray[np.bool_], columns: Integers, values: NDArray[np.float64]
) -> tuple[float, ...]:
    d = len(offsets) // 2
    which = np.broadcast_to(np.arange(len(offsets)), present.shape)[present]
    diagonal = values[which == d]
    if not ((diagonal > 0).all() and np.isfinite(values).all()):
        return (1.0,) * d
    scale = 1.0 / np.sqrt(diagonal)
    widths = []
    for axis in range(d):
        forward = 2 * d - axis
        cells = np.flatnonzero(present[:, forward])
        entries = which == forward
        strength = -float(np.mean(values[entries] * scale[cells] * scale[columns[entries]]))
        widths.append(strength**-0.5 if strength > 0 else np.inf)
    return tuple(widths) if np.isfinite(widths).all() else (1.0,) * d
