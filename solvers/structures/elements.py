r"""Element operators at the material points: strains, nodal forces, tangent matrices.

With the gradients :math:`\partial_j N_a` of the shape functions at the points g of a cell,

.. math::
   \varepsilon_g = B_g u_c, \qquad f_c = \sum_g w_g B_g^T \sigma_g, \qquad
   K_c = \sum_g w_g B_g^T C_g B_g,

tensors in Mandel components. Strains and forces use the gradients themselves, which take a sixth
of the room of B; B is made for a few cells at a time where tangents need it. All products are
matrix products of whole batches of cells.
"""

from typing import final

import numpy as np

from solvers.laws.mandel import from_tensor, to_tensor
from solvers.mesh import FloatArray, IntArray
from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import quadrature, shapes

__all__ = ["Elements"]

# Cells whose B and tangents stay in the processor's cache together.
_BATCH = 64
_HALF_ROOT = float(np.sqrt(0.5))


@final
class Elements:
    """The operators of some cells of a mesh.

    Parameters
    ----------
    mesh : the mesh
    cells : (m,) numbers of the cells
    connectivity : (m, k) places of their nodes in nodal arrays

    Attributes
    ----------
    weights : (m, g) volumes that the points stand for, mm^3
    """

    def __init__(self, mesh: StructureMesh, cells: IntArray, connectivity: IntArray) -> None:
        points, weights = quadrature(mesh.kind)
        self._values, reference = shapes(mesh.kind, points)
        jacobians = np.einsum("cki,gkj->cgij", mesh.points[mesh.cells[cells]], reference)
        self.weights = np.linalg.det(jacobians) * weights
        # Row (g, j), column a: derivative j of shape function a at point g.
        slopes = np.einsum("gka,cgaj->cgjk", reference, np.linalg.inv(jacobians))
        self._count, self._per_cell = len(cells), len(weights)
        self._nodes = connectivity.shape[1]
        rows = 3 * self._per_cell
        self._slopes = np.ascontiguousarray(slopes.reshape(self._count, rows, self._nodes))
        self._connectivity = connectivity

    @property
    def n_points(self) -> int:
        """Number of material points."""
        return self._count * self._per_cell

    @property
    def n_dofs(self) -> int:
        """Displacement components of a cell, ordered by node, then by direction."""
        return 3 * self._nodes

    def strains(self, displacement: FloatArray) -> FloatArray:
        """Return the strains (points, 6) of nodal displacements (nodes, 3)."""
        gradients = self._slopes @ displacement[self._connectivity]
        return from_tensor(_symmetric(gradients.reshape(self.n_points, 3, 3)))

    def forces(self, stress: FloatArray) -> FloatArray:
        """Return the nodal forces (m, k, 3) of stresses (points, 6), N."""
        weighted = stress * self.weights.reshape(-1, 1)
        tensors = to_tensor(weighted).reshape(self._count, 3 * self._per_cell, 3)
        return np.asarray(self._slopes.transpose(0, 2, 1) @ tensors)

    def at_points(self, nodal: FloatArray) -> FloatArray:
        """Return nodal values (nodes,) interpolated to the points (points,)."""
        return np.asarray((nodal[self._connectivity] @ self._values.T).reshape(-1))

    def stiffness(self, tangent: FloatArray, *, symmetric: bool) -> FloatArray:
        """Return the tangent matrices (m, 3k, 3k) of tangents (points, 6, 6), N/mm.

        Parameters
        ----------
        tangent : derivative of the stress with respect to the strain, MPa
        symmetric : take the symmetric part
        """
        size = self.n_dofs
        matrices = np.empty((self._count, size, size))
        B = np.zeros((min(_BATCH, self._count), self._per_cell, 6, size))
        tangents = tangent.reshape(self._count, self._per_cell, 6, 6)
        for start in range(0, self._count, _BATCH):
            part = slice(start, min(start + _BATCH, self._count))
            here = tangents[part]
            if symmetric:
                here = 0.5 * (here + here.swapaxes(-1, -2))
            weighted = here * self.weights[part, :, None, None]
            operator = B[: len(here)]
            self._fill(operator, part)
            flat = operator.reshape(len(here), -1, size)
            products = (weighted @ operator).reshape(flat.shape)
            np.matmul(flat.swapaxes(-1, -2), products, out=matrices[part])
        return matrices

    def products(self, matrices: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return the products (m, k, 3) of matrices (m, 3k, 3k) with displacements (nodes, 3)."""
        local = displacement[self._connectivity].reshape(self._count, self.n_dofs, 1)
        return np.asarray((matrices @ local).reshape(self._count, self._nodes, 3))

    def gathered(self, of_cells: FloatArray, nodes: int) -> FloatArray:
        """Return the sums (nodes, 3) over the cells of nodal values (m, k, 3)."""
        places = 3 * self._connectivity[:, :, None] + np.arange(3)
        sums = np.bincount(places.ravel(), weights=of_cells.ravel(), minlength=3 * nodes)
        return np.asarray(sums.reshape(nodes, 3))

    def _fill(self, B: FloatArray, part: slice) -> None:
        """Write the operators of some cells; entries that are zero stay untouched."""
        slopes = self._slopes[part].reshape(len(B), self._per_cell, 3, -1)
        for axis in range(3):
            B[:, :, axis, axis::3] = slopes[:, :, axis]
        for row, (one, other) in enumerate(((1, 2), (0, 2), (0, 1)), start=3):
            B[:, :, row, one::3] = _HALF_ROOT * slopes[:, :, other]
            B[:, :, row, other::3] = _HALF_ROOT * slopes[:, :, one]


def _symmetric(gradients: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (gradients + gradients.swapaxes(-1, -2)))
