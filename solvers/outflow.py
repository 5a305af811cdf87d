r"""Energy-stable open boundary: the directional do-nothing term.

Where a vortex pulls fluid back through the outlet, the convective form gains energy without
bound. Adding

.. math:: -\tfrac12 \int_{out} \min(w \cdot n, 0) \, u \cdot v \, ds

to the linearised convection takes just that energy out, and vanishes where the flow leaves
(Braack and Mucha, 2014, 10.4208/jcm.1405-m4347).
"""

from typing import Any, final

import numpy as np

from solvers.backend import basix
from solvers.mesh import FloatArray, IntArray
from solvers.tensors import CellGeometry

__all__ = ["Backflow", "facet_cells"]


@final
class Backflow:
    """The term's element matrices on the cells behind the outflow facets of a rank.

    Parameters
    ----------
    cells : (n_facets,) local cell behind each outflow facet
    sides : (n_facets,) number of the facet within its cell
    gdim : dimension of the space
    """

    def __init__(self, cells: IntArray, sides: IntArray, gdim: int) -> None:
        self.cells = cells
        values, normals = _facet_tables(gdim)
        self._values = values[sides]
        self._normals = normals[sides]

    def add_to(self, elements: FloatArray, geometry: CellGeometry, velocity: FloatArray) -> None:
        """Add the term to `elements` (n_cells, n, n) for nodal velocities (n_cells, n, gdim)."""
        if not len(self.cells):
            return
        at_facet = np.einsum("fqk,fkd->fqd", self._values, velocity[self.cells])
        inverse = geometry.inverse[self.cells]
        flux = np.einsum("fqa,fad,fqd->fq", self._normals, inverse, at_facet)
        flux *= geometry.determinant[self.cells, None]
        inward = -0.5 * np.minimum(flux, 0.0)
        added = np.einsum("fq,fqi,fqj->fij", inward, self._values, self._values)
        np.add.at(elements, self.cells, added)


def facet_cells(mesh: Any, facets: IntArray) -> tuple[IntArray, IntArray]:
    """Return the local cell behind each boundary facet, and the facet's number in that cell."""
    dim = mesh.topology.dim
    to_cells = mesh.topology.connectivity(dim - 1, dim)
    to_facets = mesh.topology.connectivity(dim, dim - 1)
    cells = np.array([to_cells.links(f)[0] for f in facets], dtype=np.int64)
    pairs = zip(cells, facets, strict=True)
    sides = [int(np.flatnonzero(to_facets.links(c) == f)[0]) for c, f in pairs]
    return cells, np.array(sides, dtype=np.int64)


def _facet_tables(gdim: int) -> tuple[FloatArray, FloatArray]:
    """Return quadratic basis values (side, q, n) and weighted outward normals (side, q, gdim)."""
    cell = {2: basix.CellType.triangle, 3: basix.CellType.tetrahedron}[gdim]
    facet = {2: basix.CellType.interval, 3: basix.CellType.triangle}[gdim]
    points, weights = basix.make_quadrature(facet, 6)
    variant = basix.LagrangeVariant.gll_warped
    element = basix.create_element(basix.ElementFamily.P, cell, 2, variant)
    corners, sides = basix.geometry(cell), basix.topology(cell)[gdim - 1]
    normals = basix.cell.facet_outward_normals(cell)
    values, weighted = [], []
    for side, vertices in enumerate(sides):
        axes = corners[vertices[1:]] - corners[vertices[0]]
        values.append(element.tabulate(0, corners[vertices[0]] + points @ axes)[0, :, :, 0])
        # The side opposite to the origin is longer than its own reference interval (or triangle).
        stretch = np.sqrt(np.linalg.det(axes @ axes.T))
        weighted.append(stretch * weights[:, None] * np.asarray(normals[side]))
    return np.array(values), np.array(weighted)
