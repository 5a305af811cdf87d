r"""Strains and temperatures at the material points of a mesh, as sparse matrices.

.. math:: \varepsilon(u)(x_k) = \sum_a \mathrm{sym}(u_a \otimes \nabla N_a(x_k))

in Mandel components (xx, yy, zz, :math:`\sqrt 2` yz, :math:`\sqrt 2` xz, :math:`\sqrt 2` xy), so
that :math:`\sigma : \varepsilon` is a dot product and the internal force is
:math:`\sum_k \omega_k B_k^T \sigma_k`. Rows are six per material point in the mesh's numbering,
columns three per node.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import quadrature, shapes

__all__ = ["interpolation", "strain_operator"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Component of the strain, component of the displacement, axis of the derivative, root of two?
_ENTRIES = (
    (0, 0, 0, False),
    (1, 1, 1, False),
    (2, 2, 2, False),
    (3, 1, 2, True),
    (3, 2, 1, True),
    (4, 0, 2, True),
    (4, 2, 0, True),
    (5, 0, 1, True),
    (5, 1, 0, True),
)


def strain_operator(mesh: StructureMesh, places: _Ints | None = None) -> csr_array:
    """Return B, (6 m, 3 N), 1/mm: strains of displacements (3 N,) in mm.

    Parameters
    ----------
    mesh
        The mesh.
    places
        Numbers of m material points; None: all.
    """
    cells, local = _split(mesh, places)
    nodes, gradients = mesh.cells[cells], _gradients(mesh, cells, local)
    m, k = nodes.shape
    # The entries are in the order of the rows: the matrix needs no sorting.
    values, columns = np.empty((m, len(_ENTRIES), k)), np.empty((m, len(_ENTRIES), k), np.int64)
    for i, (_, component, axis, mixed) in enumerate(_ENTRIES):
        # Half of each of two derivatives, times the root of two.
        values[:, i] = (np.sqrt(0.5) if mixed else 1.0) * gradients[..., axis]
        columns[:, i] = 3 * nodes + component
    lengths = k * np.bincount([entry[0] for entry in _ENTRIES])
    starts = np.r_[0, np.cumsum(np.tile(lengths, m))]
    shape = (6 * m, 3 * mesh.n_nodes)
    return csr_array((values.ravel(), columns.ravel(), starts), shape=shape)


def interpolation(mesh: StructureMesh, places: _Ints | None = None) -> csr_array:
    """Return the matrix (m, N) that takes nodal values to material points, by default all."""
    cells, local = _split(mesh, places)
    values, _ = shapes(mesh.kind, quadrature(mesh.kind)[0])
    nodes = mesh.cells[cells]
    m, k = nodes.shape
    starts = k * np.arange(m + 1)
    return csr_array((values[local].ravel(), nodes.ravel(), starts), shape=(m, mesh.n_nodes))


def _split(mesh: StructureMesh, places: _Ints | None) -> tuple[_Ints, _Ints]:
    """Return the cell of each material point, and its number in the cell."""
    found = np.arange(mesh.n_material_points) if places is None else places
    return found // mesh.points_per_cell, found % mesh.points_per_cell


def _gradients(mesh: StructureMesh, cells: _Ints, local: _Ints) -> _Floats:
    """Return gradients of the shape functions, (m, k, 3), 1/mm."""
    _, reference = shapes(mesh.kind, quadrature(mesh.kind)[0])
    slopes = reference[local]
    # Row i, column j: the derivative of position i along reference coordinate j.
    jacobians = mesh.points[mesh.cells[cells]].swapaxes(1, 2) @ slopes
    return np.asarray(slopes @ np.linalg.inv(jacobians))
