r"""Element matrices on affine simplices as products with constant reference tensors.

On an affine simplex every form of the flow equations is a fixed reference tensor contracted with
a few numbers of the cell, so that all element matrices of a mesh come from one matrix product
(Kirby and Logg, 2006, 10.1145/1163641.1163644). With :math:`\hat\partial_a` the derivative along
reference axis :math:`a`, :math:`J` the Jacobian of the cell and :math:`j = |\det J|`:

.. math::
   M_{ij} &= j \hat M_{ij} \\
   K_{ij} &= j \sum_{ab} (J^{-1} J^{-T})_{ab} \hat K^{ab}_{ij} \\
   C_{ij}(w) &= \sum_{ka} \hat w_{ka} T_{ka,ij}, \quad
   \hat w_{ka} = j \sum_d (J^{-1})_{ad} w_{kd}

The integrals are exact, nothing is compiled at run time, and a convection matrix costs one
product of a (cells, 12) with a (12, 36) matrix (2D, quadratic velocity).
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from solvers.backend import basix
from solvers.cell_geometry import CellGeometry, cell_geometry
from solvers.mesh import FloatArray

__all__ = ["CellGeometry", "ReferenceTensors", "cell_geometry", "reference_tensors"]


@final
@dataclass(frozen=True)
class ReferenceTensors:
    r"""Integrals over the reference simplex for Taylor-Hood elements.

    With quadratic basis functions :math:`\phi` (n of them) and linear ones :math:`\psi` (m):

    Attributes
    ----------
    mass : (n, n)  :math:`\int \phi_i \phi_j`
    stiffness : (g, g, n, n)  :math:`\int \hat\partial_a \phi_i \, \hat\partial_b \phi_j`
    convection : (n g, n n)
        :math:`\int \phi_k \, \hat\partial_a\phi_j \, \phi_i`, the advective form. Temam's
        skew-symmetrising term is left out on purpose: with the extrapolated tentative velocity
        it turned unstable at Courant numbers above one (measured on the pulse of Schaefer and
        Turek), where the advective form stays within 0.2 % of the converged drag.
    divergence : (g, m, n)  :math:`\int \psi_i \, \hat\partial_a \phi_j`
    linear_mass : (m, m)  :math:`\int \psi_i \psi_j`
    linear_stiffness : (g, g, m, m)  :math:`\int \hat\partial_a\psi_i \, \hat\partial_b\psi_j`
    corner_gradients : (g, m, n)  :math:`\hat\partial_a \phi_k` at the m corners
    """

    mass: FloatArray
    stiffness: FloatArray
    convection: FloatArray
    divergence: FloatArray
    linear_mass: FloatArray
    linear_stiffness: FloatArray
    corner_gradients: FloatArray

    def masses(self, cells: CellGeometry) -> FloatArray:
        """Return velocity mass matrices (n_cells, n, n)."""
        return cells.determinant[:, None, None] * self.mass

    def stiffnesses(self, cells: CellGeometry) -> FloatArray:
        """Return velocity stiffness matrices (n_cells, n, n)."""
        return _contract_metric(cells, self.stiffness)

    def linear_masses(self, cells: CellGeometry) -> FloatArray:
        """Return pressure mass matrices (n_cells, m, m)."""
        return cells.determinant[:, None, None] * self.linear_mass

    def linear_stiffnesses(self, cells: CellGeometry) -> FloatArray:
        """Return pressure stiffness matrices (n_cells, m, m)."""
        return _contract_metric(cells, self.linear_stiffness)

    def divergences(self, cells: CellGeometry, axis: int) -> FloatArray:
        """Return (n_cells, m, n) matrices of ``(psi_i, d phi_j / d x_axis)``."""
        weight = cells.determinant[:, None] * cells.inverse[:, :, axis]
        return np.einsum("ca,aij->cij", weight, self.divergence)

    def convections(self, cells: CellGeometry, crossing: FloatArray) -> FloatArray:
        """Return convection matrices (n_cells, n, n).

        Parameters
        ----------
        cells : geometry of the cells
        crossing : (n_cells, n, gdim) nodal velocities in reference coordinates
            :math:`J^{-1} w`, 1/s
        """
        scaled = crossing * cells.determinant[:, None, None]
        n = self.mass.shape[0]
        return (scaled.reshape(-1, len(self.convection)) @ self.convection).reshape(-1, n, n)


def _contract_metric(cells: CellGeometry, tensor: FloatArray) -> FloatArray:
    metric = np.einsum("c,cad,cbd->cab", cells.determinant, cells.inverse, cells.inverse)
    shape = (len(metric), *tensor.shape[2:])
    gdim = metric.shape[1]
    return (metric.reshape(-1, gdim**2) @ tensor.reshape(gdim**2, -1)).reshape(shape)


def reference_tensors(gdim: int) -> ReferenceTensors:
    """Integrate products of Taylor-Hood basis functions over the reference simplex, exactly."""
    cell = {2: basix.CellType.triangle, 3: basix.CellType.tetrahedron}[gdim]
    points, weights = basix.make_quadrature(cell, 5)
    phi, dphi = _tabulate(cell, 2, points)
    psi, dpsi = _tabulate(cell, 1, points)
    n = phi.shape[1]
    convection = np.einsum("q,qk,aqj,qi->kaij", weights, phi, dphi, phi)
    return ReferenceTensors(
        mass=np.einsum("q,qi,qj->ij", weights, phi, phi),
        stiffness=np.einsum("q,aqi,bqj->abij", weights, dphi, dphi),
        convection=convection.reshape(n * gdim, n * n),
        divergence=np.einsum("q,qi,aqj->aij", weights, psi, dphi),
        linear_mass=np.einsum("q,qi,qj->ij", weights, psi, psi),
        linear_stiffness=np.einsum("q,aqi,bqj->abij", weights, dpsi, dpsi),
        corner_gradients=_tabulate(cell, 2, basix.geometry(cell))[1],
    )


def _tabulate(cell: Any, degree: int, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return values (q, n) and reference gradients (g, q, n) of Lagrange basis functions."""
    variant = basix.LagrangeVariant.gll_warped
    element = basix.create_element(basix.ElementFamily.P, cell, degree, variant)
    table = element.tabulate(1, points)[..., 0]
    return table[0], table[1:]
