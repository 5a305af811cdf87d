"""Parts of a mesh for MPI ranks: recursive bisection along coordinates. Plain NumPy.

Every rank computes the same parts from the mesh alone, in every run: what is resumed on the same
number of ranks meets the same parts. Source: Berger and Bokhari (1987), 10.1109/TC.1987.1676942.
"""

import numpy as np

from infra.errors import UserError
from solvers.mesh import FloatArray, IntArray

__all__ = ["bisect"]


def bisect(centres: FloatArray, parts: int) -> IntArray:
    """Return the part (m,) of each cell; parts differ by about one cell.

    Parameters
    ----------
    centres : (m, 3) of the cells
    parts : how many

    Raises
    ------
    UserError
        If there are more parts than cells.
    """
    if parts > len(centres):
        raise UserError(
            f"ranks: expected at most as many as the mesh has cells ({len(centres)}), received "
            f"{parts}; start fewer ranks"
        )
    found = np.zeros(len(centres), dtype=np.int64)
    _split(centres, np.arange(len(centres)), 0, parts, found)
    return found


def _split(centres: FloatArray, cells: IntArray, first: int, parts: int, found: IntArray) -> None:
    """Give some cells their parts, `first` and the following numbers."""
    if parts == 1:
        found[cells] = first
        return
    left = parts // 2
    here = centres[cells]
    axis = int(np.argmax(np.ptp(here, axis=0)))
    # Rounded, so that cells in a plane of the mesh tie and keep their order.
    order = np.argsort(np.round(here[:, axis], 9), kind="stable")
    count = round(len(cells) * left / parts)
    count = min(max(count, left), len(cells) - (parts - left))
    _split(centres, cells[order[:count]], first, left, found)
    _split(centres, cells[order[count:]], first + left, parts - left, found)
