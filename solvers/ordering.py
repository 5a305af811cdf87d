r"""Order samples so that neighbours are similar, and cut the order into chunks.

A solver that recycles subspaces, factors or initial guesses gains most when the next system
resembles the last one. The order is the greedy tour

.. math::
   i_0 = \arg\min_i \|u_i\|, \qquad i_{k+1} = \arg\min_{i \text{ unused}} \|u_i - u_{i_k}\|

in unit coordinates. Source: Wang et al. (2024), arXiv:2401.09516, algorithm 1; there the tour
starts from the first system, here from the box's low corner, so that it does not depend on how the
samples are numbered.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError

__all__ = ["chunks", "order"]


def order(points: ArrayLike) -> NDArray[np.int64]:
    """Return the greedy nearest-neighbour tour through `points`.

    Equally near points are taken in lexicographic order of their coordinates, identical points in
    the order given: renumbering the points leaves the path through the cube as it is. The cost is
    O(n^2 d) operations and O(n d) memory, a second for a few thousand points.

    Parameters
    ----------
    points : unit coordinates, shape (n, d), in [0, 1]

    Returns
    -------
    ndarray
        Permutation of 0..n-1, shape (n,): the sample to compute first, second, ...

    Raises
    ------
    UserError
        For another shape, or coordinates outside [0, 1].
    """
    u = np.asarray(points, dtype=np.float64)
    if u.ndim != 2 or not ((u >= 0) & (u <= 1)).all():
        raise UserError(
            "expected unit coordinates of shape (n, d) in [0, 1], received "
            f"shape {u.shape}; map values with ParameterSpace.to_unit first"
        )
    first = np.arange(len(u)) if u.shape[1] == 0 else np.lexsort(u.T[::-1])
    return first[_tour(u[first])]


def chunks(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut an order into the fewest consecutive chunks of at most `size` samples.

    Their lengths differ by at most one, the longer ones first.

    Raises
    ------
    UserError
        If `size` is below 1.
    """
    if size < 1:
        raise UserError(f"expected a chunk size >= 1, received {size}")
    count = -(-len(order) // size)
    return [np.asarray(part) for part in np.array_split(order, count)] if count else []


def _tour(u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the greedy tour; among equals `argmin` takes the first."""
    tour = np.empty(len(u), dtype=np.int64)
    # Infinite for points already visited, else zero.
    barrier = np.zeros(len(u))
    here: NDArray[Any] = np.zeros(u.shape[1])
    for step in range(len(u)):
        nearest = np.argmin(((u - here) ** 2).sum(axis=1) + barrier)
        tour[step], here, barrier[nearest] = nearest, u[nearest], np.inf
    return tour
