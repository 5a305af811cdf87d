"""Affine maps of simplices; plain NumPy."""

from dataclasses import dataclass
from typing import final

import numpy as np

from solvers.mesh import FloatArray, IntArray

__all__ = ["CellGeometry", "cell_geometry"]


@final
@dataclass(frozen=True)
class CellGeometry:
    """Affine maps of the cells of a rank.

    Attributes
    ----------
    determinant : (n_cells,) absolute Jacobian determinant (twice the area in 2D), m^gdim
    inverse : (n_cells, gdim, gdim) inverse Jacobian, ``inverse[:, a, d] = dX_a/dx_d``, 1/m
    """

    determinant: FloatArray
    inverse: FloatArray

    def subset(self, cells: IntArray) -> "CellGeometry":
        """Return the maps of some cells."""
        return CellGeometry(self.determinant[cells], self.inverse[cells])


def cell_geometry(corners: FloatArray) -> CellGeometry:
    """Return the affine maps of simplices with `corners` (n_cells, gdim + 1, gdim), metres."""
    jacobian = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    return CellGeometry(np.abs(np.linalg.det(jacobian)), np.linalg.inv(jacobian))
