"""Cut an order into chunks of neighbours."""

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["chunks"]


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
