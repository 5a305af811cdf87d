"""Meshes of structures in three dimensions, with named regions; plain NumPy.

The numbering is the mesh's own: histories of every code are stored in it. Material points are
numbered cell by cell in the order of `cells`, and in a cell in the order of the element's
quadrature rule, see `solvers.structure_quadrature`. Units: mm.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final, get_args

import numpy as np

from infra.errors import RomflowError, UserError
from solvers.mesh import FloatArray, IntArray
from solvers.structure_facets import locate_facets, outward_facets
from solvers.structure_quadrature import CellKind, quadrature, shapes

__all__ = ["InvertedElementsError", "StructureMesh"]

_NODES = {"hexahedron": (8, 4), "tetrahedron": (4, 3), "tetrahedron10": (10, 6)}


@final
class InvertedElementsError(RomflowError):
    """Elements of the mesh are inside out, flat or too distorted.

    Parameters
    ----------
    message : what is wrong and what to do
    cells : (m,) numbers of these cells
    """

    def __init__(self, message: str, cells: IntArray) -> None:
        super().__init__(message, cells)
        self.cells = cells

    def __str__(self) -> str:
        return str(self.args[0])


@final
@dataclass(frozen=True, eq=False)
class StructureMesh:
    """Points, cells of one kind, and named sets of facets and nodes.

    Attributes
    ----------
    points : (N, 3) mm
    cells : (C, k) nodes in VTK's order, k = 8, 4 or 10
    kind : ``"hexahedron"``, ``"tetrahedron"`` or ``"tetrahedron10"``
    facets : by name (F, q) nodes of facets of the boundary, q = 4, 3 or 6; `outward` orients them
    nodes : by name (m,) nodes

    Raises
    ------
    UserError
        If arrays do not fit together, or a set names what the mesh does not have.
    InvertedElementsError
        If the Jacobian determinant of a cell is not positive everywhere that is looked at.
    """

    points: FloatArray
    cells: IntArray
    kind: CellKind
    facets: Mapping[str, IntArray] = field(default_factory=dict)
    nodes: Mapping[str, IntArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_sets()
        self._check_cells()

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.points)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.cells)

    @cached_property
    def points_per_cell(self) -> int:
        """Number of material points of a cell."""
        return len(quadrature(self.kind)[1])

    @property
    def n_material_points(self) -> int:
        """Number of material points of the mesh."""
        return self.n_cells * self.points_per_cell

    @cached_property
    def material_points(self) -> FloatArray:
        """Positions (C g, 3) of the material points, mm."""
        return self.at_material_points(self.points)

    @cached_property
    def material_weights(self) -> FloatArray:
        """Volumes (C g,) that the material points stand for, mm^3."""
        points, weights = quadrature(self.kind)
        return np.asarray((self._determinants(points) * weights).reshape(-1))

    @cached_property
    def outward(self) -> Mapping[str, IntArray]:
        """The sets of facets with their nodes anticlockwise seen from outside."""
        return {
            name: outward_facets(self.kind, self.cells, facets, name)
            for name, facets in self.facets.items()
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of kind, points and cells: equal for equal meshes only."""
        sha = hashlib.sha256(self.kind.encode())
        for array, dtype in ((self.points, "<f8"), (self.cells, "<i8")):
            sha.update(np.ascontiguousarray(array, dtype).tobytes())
        return sha.hexdigest()

    def at_material_points(self, nodal: FloatArray) -> FloatArray:
        """Return nodal values (N, ...) interpolated to the material points (C g, ...)."""
        values, _ = shapes(self.kind, quadrature(self.kind)[0])
        of_cells = np.asarray(nodal)[self.cells]
        at_points = np.einsum("gk,ck...->cg...", values, of_cells)
        return np.asarray(at_points.reshape(-1, *of_cells.shape[2:]))

    def _determinants(self, points: FloatArray) -> FloatArray:
        """Return Jacobian determinants (C, g) at points (g, 3) of the reference element."""
        _, gradients = shapes(self.kind, points)
        return np.linalg.det(np.einsum("cki,gkj->cgij", self.points[self.cells], gradients))

    def _check_arrays(self) -> None:
        if self.kind not in _NODES:
            raise UserError(
                f"mesh: kind: expected one of {', '.join(get_args(CellKind))}, received "
                f"{self.kind!r}"
            )
        k = _NODES[self.kind][0]
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            raise UserError(
                f"mesh: points: expected shape (nodes, 3), received {self.points.shape}"
            )
        if not np.isfinite(self.points).all():
            raise UserError("mesh: points: expected finite numbers, received NaN or infinite ones")
        if self.cells.ndim != 2 or self.cells.shape[1] != k or not len(self.cells):
            raise UserError(
                f"mesh: cells: expected shape (cells, {k}) for {self.kind}, at least one cell, "
                f"received {self.cells.shape}"
            )
        self._require_nodes("cells", self.cells)
        unused = self.n_nodes - len(np.unique(self.cells))
        if unused:
            raise UserError(
                f"mesh: expected that every node belongs to a cell, received {unused} that do "
                "not; remove them from the points and renumber"
            )

    def _check_sets(self) -> None:
        q = _NODES[self.kind][1]
        for name, nodes in self.nodes.items():
            if nodes.ndim != 1 or not len(nodes):
                raise UserError(
                    f"mesh: nodes {name!r}: expected shape (m,) with m >= 1, received {nodes.shape}"
                )
            self._require_nodes(f"nodes {name!r}", nodes)
        for name, facets in self.facets.items():
            if facets.ndim != 2 or facets.shape[1] != q or not len(facets):
                raise UserError(
                    f"mesh: facets {name!r}: expected shape (facets, {q}) for {self.kind}, at "
                    f"least one, received {facets.shape}"
                )
            self._require_nodes(f"facets {name!r}", facets)
            locate_facets(self.kind, self.cells, facets, name)

    def _require_nodes(self, owner: str, numbers: IntArray) -> None:
        if not np.issubdtype(numbers.dtype, np.integer):
            raise UserError(f"mesh: {owner}: expected node numbers, received {numbers.dtype}")
        if numbers.min() < 0 or numbers.max() >= self.n_nodes:
            raise UserError(
                f"mesh: {owner}: expected node numbers from 0 to {self.n_nodes - 1}, received "
                f"{numbers.min()} to {numbers.max()}"
            )

    def _check_cells(self) -> None:
        places = np.vstack([quadrature(self.kind)[0], _reference_corners(self.kind)])
        bad = np.flatnonzero((self._determinants(places) <= 0.0).any(axis=1)).astype(np.int64)
        if len(bad):
            raise InvertedElementsError(
                f"mesh: expected {self.kind} cells with a positive Jacobian determinant, received "
                f"{len(bad)} inverted or flat ones of {self.n_cells} (first: cell {bad[0]}, nodes "
                f"{self.cells[bad[0]].tolist()}); check the node order (VTK's) and the shape",
                bad,
            )


def _reference_corners(kind: CellKind) -> FloatArray:
    if kind == "hexahedron":
        return np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.vstack([np.zeros(3), np.eye(3)])
