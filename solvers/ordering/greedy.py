r"""The greedy nearest-neighbour tour, as published.

.. math::
   i_0 = \arg\min_i \|u_i\|, \qquad i_{k+1} = \arg\min_{i \text{ unused}} \|u_i - u_{i_k}\|

Source: Wang et al. (2024), arXiv:2401.09516, algorithm 1; there the tour starts from the first
system, here from the point nearest to the origin, so that it does not depend on how the samples
are numbered.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["greedy_tour"]


def greedy_tour(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the greedy tour; among equally near points the first is taken.

    Distances are summed squared differences: exact for near neighbours. O(n^2 d) operations, a
    second for a few thousand points; O(n d) memory.

    Parameters
    ----------
    points : shape (n, d), of order one

    Returns
    -------
    ndarray
        Permutation of 0..n-1, shape (n,)
    """
    tour = np.empty(len(points), dtype=np.int64)
    left, numbers = points, np.arange(len(points))
    # Infinite for points already visited, else zero.
    barrier, difference = np.zeros(len(points)), np.empty_like(points)
    here = np.zeros(points.shape[1])
    for step in range(len(points)):
        np.subtract(left, here, out=difference)
        squares = np.einsum("ij,ij->i", difference, difference)
        nearest = np.argmin(squares + barrier)
        tour[step], here, barrier[nearest] = numbers[nearest], left[nearest], np.inf
        if 2 * (len(points) - step - 1) <= len(left):  # half of them are used: look at the others
            unused = barrier == 0
            left, numbers, barrier = left[unused], numbers[unused], barrier[unused]
            difference = difference[: len(left)]
    return tour
