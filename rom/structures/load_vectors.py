r"""Nodal forces of loads.

Pressure: :math:`f_a = -\int_{\Gamma} N_a\, n` per MPa, with the outer normal n of the reference
mesh. Body force: :math:`f_a = \int_\Omega N_a\, b` with the rule of the material points.
"""

import numpy as np
from numpy.typing import NDArray

from rom.structures.strain_operator import interpolation
from solvers.loads import Centrifugal
from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import facet_quadrature, facet_shapes

__all__ = ["centrifugal_force", "pressure_force"]

type _Floats = NDArray[np.float64]


def pressure_force(mesh: StructureMesh, region: str) -> _Floats:
    """Return the nodal forces (3 N,) of a pressure of 1 MPa on a set of facets, N."""
    points, weights = facet_quadrature(mesh.kind)
    values, gradients = facet_shapes(mesh.kind, points)
    facets = mesh.outward[region]
    tangents = np.einsum("fqi,hqj->fhij", mesh.points[facets], gradients)
    normals = np.cross(tangents[..., 0], tangents[..., 1])
    local = -np.einsum("h,hq,fhi->fqi", weights, values, normals)
    force = np.zeros((mesh.n_nodes, 3))
    np.add.at(force, facets, local)
    return force.reshape(-1)


def centrifugal_force(mesh: StructureMesh, load: Centrifugal) -> _Floats:
    """Return the nodal forces (3 N,) of a rotation with the amplitude one, N."""
    density = load.direction(mesh.material_points) * mesh.material_weights[:, None]
    return np.asarray(interpolation(mesh).T @ density).reshape(-1)
