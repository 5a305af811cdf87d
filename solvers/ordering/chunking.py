r"""Cut an order into chunks, and choose a sample that stands for each.

With a shared start, chunks that run at the same time begin as warm as one that follows another:
the system of a chunk's medoid (or of the whole set's) is solved once, and its recycle space or
factor is handed to the chunk.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["chunks", "starts"]


def chunks(
    order: NDArray[np.int64], size: int, *, points: NDArray[np.float64] | None = None
) -> list[NDArray[np.int64]]:
    """Cut an order into the fewest consecutive chunks of at most `size` samples.

    Without `points` their lengths differ by at most one, the longer ones first. With `points` each
    cut moves to the longest edge nearby, so that clusters stay whole: as far as `size` leaves room
    (nowhere, if it divides the number of samples) and no chunk shrinks below half of the even
    length.

    Parameters
    ----------
    order : the samples' order, shape (n,)
    size : most samples of a chunk
    points : features of all samples by number, shape (n, d)

    Raises
    ------
    UserError
        If `size` is below 1.
    """
    if size < 1:
        raise UserError(f"expected a chunk size >= 1, received {size}")
    count = -(-len(order) // size)
    if not count:
        return []
    cuts = np.cumsum([len(part) for part in np.array_split(order, count)])[:-1]
    if points is not None:
        longest, shortest = -(-len(order) // count), len(order) // count
        # Both ends of a chunk may move.
        reach = min((size - longest) // 2, shortest // 4)
        cuts = _at_longest_edges(points[order], cuts, reach)
    return np.split(order, cuts)


def starts(points: NDArray[np.float64], chunks: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    r"""Return for each chunk its medoid, the sample to start it warm from.

    .. math::
       \arg\min_{j \in c} \sum_{i \in c} \|u_i - u_j\|^2
       = \arg\min_{j \in c} \Big\|u_j - \tfrac{1}{|c|} \sum_{i \in c} u_i\Big\|

    Among equally central samples the first of the chunk is taken. ``starts(points, [order])`` is
    the medoid of the whole set.

    Parameters
    ----------
    points : features of all samples by number, shape (n, d)
    chunks : sample numbers of each chunk, none empty

    Returns
    -------
    ndarray
        Sample numbers, shape (number of chunks,)

    Raises
    ------
    UserError
        If a chunk is empty.
    """
    if any(len(chunk) == 0 for chunk in chunks):
        raise UserError("expected chunks with samples, received an empty one; leave it out")
    return np.array([chunk[_medoid(points[chunk])] for chunk in chunks], dtype=np.int64)


def _medoid(points: NDArray[np.float64]) -> int:
    offsets = points - points.mean(axis=0, dtype=np.float64)
    return int(np.argmin(np.einsum("ij,ij->i", offsets, offsets)))


def _at_longest_edges(
    path: NDArray[np.float64], cuts: NDArray[np.int64], reach: int
) -> NDArray[np.int64]:
    """Move each cut by at most `reach` to the longest edge; the nearest one among equals."""
    moves = np.array(sorted(range(-reach, reach + 1), key=abs))
    found = []
    for cut in cuts:
        near = cut + moves
        edges = np.linalg.norm(path[near] - path[near - 1], axis=1)
        found.append(near[np.argmax(edges)])
    return np.array(found, dtype=np.int64)
