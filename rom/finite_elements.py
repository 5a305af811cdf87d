r"""Mass and stiffness matrices of linear finite elements on simplices of any dimension, exactly.

With the barycentric coordinates :math:`\lambda_0 .. \lambda_d` of a simplex T of volume |T|,

.. math::
   M_{ij} = \int_T \lambda_i \lambda_j = \frac{|T| (1 + \delta_{ij})}{(d+1)(d+2)}, \qquad
   K_{ij} = \int_T \nabla\lambda_i \cdot \nabla\lambda_j
          = |T| \, \nabla\lambda_i \cdot \nabla\lambda_j .

Source: any textbook, for example Ern and Guermond (2004), doi:10.1007/978-1-4757-4355-5.
"""

from dataclasses import dataclass
from functools import cached_property
from math import factorial
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from infra.errors import UserError

__all__ = ["Simplices"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Simplices:
    """Linear elements on a mesh of intervals, triangles or tetrahedra.

    Attributes
    ----------
    points
        Positions, shape (n, d), m.
    cells
        Places in `points`, shape (m, d + 1), in any orientation.

    Raises
    ------
    UserError
        If a cell has no volume, or a point no cell: the mass matrix would not be positive.
    """

    points: _Floats
    cells: NDArray[np.int64]

    def __post_init__(self) -> None:
        flat = int((self.volumes <= 1e-14 * self.volumes.max(initial=0.0)).sum())
        if flat or not np.isfinite(self.volumes).all():
            raise UserError(
                f"Expected cells with a volume; received {flat} without, of {len(self.cells)}. "
                "Repair the mesh, or use the Euclidean product."
            )
        lonely = int((np.bincount(self.cells.ravel(), minlength=len(self.points)) == 0).sum())
        if lonely:
            raise UserError(
                f"Expected each point in a cell; received {lonely} of {len(self.points)} points "
                "that are in none. Leave them out, or use the Euclidean product."
            )

    @cached_property
    def volumes(self) -> _Floats:
        """Volumes of the cells, shape (m,), m^d."""
        edges = self._edges
        return np.asarray(np.abs(np.linalg.det(edges)) / factorial(edges.shape[1]))

    @cached_property
    def mass(self) -> csr_array:
        """The matrix of integrals of products of hat functions, shape (n, n), m^d."""
        d = self.points.shape[1]
        local = (np.ones((d + 1, d + 1)) + np.eye(d + 1)) / ((d + 1) * (d + 2))
        return self._assembled(self.volumes[:, None, None] * local)

    @cached_property
    def stiffness(self) -> csr_array:
        """The matrix of integrals of products of their gradients, shape (n, n), m^(d - 2)."""
        # The rows of the edges' inverse, transposed, are the gradients of the last d coordinates.
        last = np.linalg.inv(self._edges).transpose(0, 2, 1)
        gradients = np.concatenate([-last.sum(axis=1, keepdims=True), last], axis=1)
        local = gradients @ gradients.transpose(0, 2, 1)
        return self._assembled(self.volumes[:, None, None] * local)

    @cached_property
    def _edges(self) -> _Floats:
        """Edges from the first corner of each cell, shape (m, d, d), one per row."""
        corners = self.points[self.cells]
        return corners[:, 1:] - corners[:, :1]

    def _assembled(self, local: _Floats) -> csr_array:
        shape = local.shape
        rows = np.broadcast_to(self.cells[:, :, None], shape).ravel()
        columns = np.broadcast_to(self.cells[:, None, :], shape).ravel()
        n = len(self.points)
        # Duplicates are added.
        return coo_array((local.ravel(), (rows, columns)), shape=(n, n)).tocsr()
