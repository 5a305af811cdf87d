r"""Values of material points at nodes: means over the points around each node.

.. math::
   v_a = \frac{\sum_k \omega_k N_a^+(x_k) v_k}{\sum_k \omega_k N_a^+(x_k)}

with the volumes :math:`\omega_k` and the positive parts of the shape functions, so that a value
at a node lies between those of the points around it. This is for pictures: extremes are flattened,
and are told at the material points themselves.
"""

import numpy as np
from scipy.sparse import csr_array, dia_array

from rom.structures.strain_operator import interpolation
from solvers.structure_mesh import StructureMesh

__all__ = ["nodal_means"]


def nodal_means(mesh: StructureMesh) -> csr_array:
    """Return the matrix (N, G) that takes values at the G material points to the N nodes."""
    shares = csr_array(interpolation(mesh).maximum(0.0).T)
    weighted = shares @ _diagonal(mesh.material_weights)
    sums = np.asarray(weighted.sum(axis=1)).reshape(-1)
    return csr_array(_diagonal(1.0 / np.where(sums > 0.0, sums, 1.0)) @ weighted)


def _diagonal(values: np.ndarray) -> dia_array:
    return dia_array((values[np.newaxis], [0]), shape=(len(values), len(values)))
