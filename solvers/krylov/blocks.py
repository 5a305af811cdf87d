"""Blocks of vectors: one BLAS call each, and sums over ranks that are counted.

A block holds its vectors as the rows of a C-ordered array (k, n_local). That is the
Fortran-ordered (n_local, k) array of BLAS and of PETSc's dense matrices, seen from the other side:
`block.T` is the latter without a copy, and each vector is contiguous.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

__all__ = ["Block", "Reducer", "Vector", "combine", "subtract"]

type Block = NDArray[np.float64]
type Vector = NDArray[np.float64]


@final
class Reducer:
    """Sums small buffers over all ranks in place, and counts how often.

    Parameters
    ----------
    comm : mpi4py communicator

    Attributes
    ----------
    count : global reductions so far, the measure of latency on many ranks
    broadcasts : broadcasts of small matrices so far
    """

    def __init__(self, comm: Any) -> None:
        self.count = self.broadcasts = 0
        self._comm = comm
        self._alone = comm.size == 1
        self._sum = np.empty(64)

    def sum(self, buffer: Vector) -> None:
        """Replace `buffer` (contiguous, float64) by its sum over the ranks; collective."""
        self.count += 1
        if self._alone:
            return
        if buffer.size > self._sum.size:
            self._sum = np.empty(2 * buffer.size)
        total = self._sum[: buffer.size]
        self._comm.Allreduce(buffer.reshape(-1), total)
        buffer.reshape(-1)[:] = total

    def sums(self, *parts: Block) -> list[Block]:
        """Return the sums of several arrays over the ranks, in ONE reduction."""
        buffer = np.concatenate([np.ravel(part) for part in parts])
        self.sum(buffer)
        ends = np.cumsum([np.size(part) for part in parts])
        pieces = np.split(buffer, ends[:-1])
        return [piece.reshape(np.shape(part)) for piece, part in zip(pieces, parts, strict=True)]

    def same(self, *arrays: Block) -> tuple[Block, ...]:
        """Return rank 0's `arrays` on all ranks, so that every rank takes the same turn."""
        self.broadcasts += 1
        return arrays if self._alone else self._comm.bcast(arrays, root=0)


def subtract(
    vector: Vector, weights: Vector, block: Block, scale: float = 1.0, factor: float | None = None
) -> None:
    r"""Update `vector` in place to ``scale * vector - factor * weights @ block``; one GEMV.

    Parameters
    ----------
    vector : shape (n_local,), contiguous
    weights : shape (k,)
    block : shape (k, n_local), rows contiguous
    scale : factor of the vector
    factor : factor of the combination; None means `scale`
    """
    if vector.size == 0:  # BLAS wrappers refuse empty vectors; a rank may own no rows
        return
    if len(weights) == 0:
        if scale != 1.0:
            vector *= scale
        return
    taken = scale if factor is None else factor
    blas.dgemv(-taken, block.T, weights, beta=scale, y=vector, overwrite_y=1)


def combine(weights: Block, block: Block) -> Block:
    """Return ``weights.T @ block``: new vectors, shape (k, n_local), from weights (m, k)."""
    return np.ascontiguousarray(weights.T) @ block
