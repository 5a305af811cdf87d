r"""Nodal forces of pressures and rotations, whole mesh. Plain NumPy.

.. math::
   F_a(t) = -\sum_\Gamma p(t) \int_\Gamma N_a\, n \,dA
            + \int N_a\, \rho\,\omega^2 a(t)\, r \,dV

with the outward normals n of the reference mesh and the vector r from the axis. They depend on
time through factors only: the integrals are computed once.
"""

from typing import final

import numpy as np

from solvers.loads import Amplitude, Centrifugal, LoadCase
from solvers.mesh import FloatArray, IntArray
from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import facet_quadrature, facet_shapes, quadrature, shapes

__all__ = ["AppliedForces", "centrifugal_forces", "pressure_forces"]


@final
class AppliedForces:
    """The nodal forces of a load case as a function of time.

    Parameters
    ----------
    mesh : the mesh
    loads : what acts on it

    Raises
    ------
    UserError
        If a load names a region that the mesh does not have.
    """

    def __init__(self, mesh: StructureMesh, loads: LoadCase) -> None:
        loads.require_fits(mesh)
        self._nothing = np.zeros(mesh.points.shape)
        self._terms: list[tuple[Amplitude, FloatArray]] = [
            (one.amplitude, one.magnitude * pressure_forces(mesh, one.region))
            for one in loads.pressures
        ]
        if loads.centrifugal is not None:
            forces = centrifugal_forces(mesh, loads.centrifugal)
            self._terms.append((loads.centrifugal.amplitude, forces))

    def at(self, t: float) -> FloatArray:
        """Return the nodal forces (N, 3) at time `t`, N."""
        return np.asarray(sum((a(t) * forces for a, forces in self._terms), self._nothing))


def pressure_forces(mesh: StructureMesh, region: str) -> FloatArray:
    """Return the nodal forces (N, 3) of a pressure of 1 MPa on a set of facets, N."""
    facets = mesh.outward[region]
    points, weights = facet_quadrature(mesh.kind)
    values, gradients = facet_shapes(mesh.kind, points)
    tangents = np.einsum("fqi,hqj->fhji", mesh.points[facets], gradients)
    areas = np.cross(tangents[:, :, 0], tangents[:, :, 1])
    forces = -np.einsum("h,hq,fhi->fqi", weights, values, areas)
    return _summed(facets, forces, mesh.n_nodes)


def centrifugal_forces(mesh: StructureMesh, load: Centrifugal) -> FloatArray:
    """Return the nodal forces (N, 3) of a rotation for amplitude one, N."""
    values, _ = shapes(mesh.kind, quadrature(mesh.kind)[0])
    densities = load.direction(mesh.material_points) * mesh.material_weights[:, None]
    per_cell = densities.reshape(mesh.n_cells, -1, 3)
    return _summed(mesh.cells, np.einsum("gk,cgi->cki", values, per_cell), mesh.n_nodes)


def _summed(numbers: IntArray, forces: FloatArray, nodes: int) -> FloatArray:
    """Return the sums (nodes, 3) of forces (m, q, 3) on nodes (m, q)."""
    places = (3 * numbers[:, :, None] + np.arange(3)).ravel()
    sums = np.bincount(places, weights=forces.ravel(), minlength=3 * nodes)
    return np.asarray(sums.reshape(nodes, 3))
