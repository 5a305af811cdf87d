r"""The mass matrix of displacements: their inner product in L2.

.. math:: M_{ab} = \int_\Omega N_a N_b \, I_3

It is a sum over cells, and each cell's part has a Cholesky factor: :math:`u^T M u = \sum_c
\|L_c^T u_c\|^2` is a square root without a factorisation of the whole.

Linear hexahedra take the 2 x 2 x 2 Gauss points of the material, exact for parallelepipeds;
tetrahedra a product rule on the collapsed cube, exact for the squares of quadratic functions.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, kron

from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import CellKind, quadrature, shapes

__all__ = ["mass_matrix", "mass_roots"]

type _Floats = NDArray[np.float64]


def mass_matrix(mesh: StructureMesh) -> csr_array:
    """Return M, (3 N, 3 N), mm^3, for displacements with three values per node."""
    local = _local(mesh, slice(None))
    rows = np.broadcast_to(mesh.cells[:, :, None], local.shape).ravel()
    columns = np.broadcast_to(mesh.cells[:, None, :], local.shape).ravel()
    shape = (mesh.n_nodes, mesh.n_nodes)
    scalar = coo_array((local.ravel(), (rows, columns)), shape=shape).tocsr()
    return csr_array(kron(scalar, np.eye(3), format="csr"))


def mass_roots(mesh: StructureMesh, cells: slice) -> _Floats:
    """Return the factors L_c^T, (m, k, k), of m cells with k nodes each, for one component."""
    factors = np.linalg.cholesky(_local(mesh, cells))
    return np.ascontiguousarray(factors.swapaxes(1, 2))


def _local(mesh: StructureMesh, cells: slice) -> _Floats:
    """Return the mass matrices of cells, (m, k, k)."""
    points, weights = _rule(mesh.kind)
    values, gradients = shapes(mesh.kind, points)
    jacobians = np.einsum("cki,gkj->cgij", mesh.points[mesh.cells[cells]], gradients)
    measures = np.linalg.det(jacobians) * weights
    return np.asarray(np.einsum("cg,gk,gl->ckl", measures, values, values, optimize=True))


def _rule(kind: CellKind) -> tuple[_Floats, _Floats]:
    if kind == "hexahedron":
        return quadrature(kind)
    line, weights = np.polynomial.legendre.leggauss(4)
    line, weights = (line + 1) / 2, weights / 2
    a, b, c = (grid.ravel() for grid in np.meshgrid(line, line, line, indexing="ij"))
    wa, wb, wc = (grid.ravel() for grid in np.meshgrid(weights, weights, weights, indexing="ij"))
    # The cube is collapsed: x = a, y = (1 - a) b, z = (1 - a)(1 - b) c.
    points = np.stack([a, (1 - a) * b, (1 - a) * (1 - b) * c], axis=1)
    return points, wa * wb * wc * (1 - a) ** 2 * (1 - b)
