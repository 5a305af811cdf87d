"""Fixtures of the adapter tests: small crooked boxes of every element, and a replay of the law."""

import shutil
from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
import pytest

from solvers.adapters.external import ExternalCase
from solvers.laws.law import LawStep
from solvers.laws.mandel import from_tensor
from solvers.mesh import FloatArray, IntArray
from solvers.structure_facets import boundary_facets
from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import CellKind, quadrature, shapes

CORNERS = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)] * 2)
CORNERS[4:, 2] = 1
# Six tetrahedra around the diagonal from corner 0 to corner 6.
SPLIT = np.array([(1, 2), (2, 3), (3, 7), (7, 4), (4, 5), (5, 1)])
EDGES = np.array([(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)])


@final
@dataclass(frozen=True)
class BoxTools:
    """Functions that several test files use."""

    def box(
        self,
        counts: tuple[int, int, int],
        size: tuple[float, float, float] = (1.0, 1.0, 1.0),
        kind: CellKind = "hexahedron",
        crooked: float = 0.0,
    ) -> StructureMesh:
        """Return a box with the regions ``x0, x1, y0, y1, z0, z1`` as facets and nodes.

        Inner nodes are moved by up to `crooked` of an element.
        """
        m = np.array(counts) + 1
        grid = np.stack(np.meshgrid(*map(np.arange, m), indexing="ij"), -1).reshape(-1, 3)
        strides = np.array([m[1] * m[2], m[2], 1])
        cells = np.array(list(product(*map(range, counts)))) @ strides
        cells = cells[:, None] + CORNERS @ strides
        inner = (grid > 0) & (grid < np.array(counts))
        moved = grid + inner * np.random.default_rng(0).uniform(-crooked, crooked, grid.shape)
        points = moved / np.array(counts) * np.array(size)
        if kind != "hexahedron":
            corners = np.insert(SPLIT, 0, 0, axis=1)
            cells = cells[:, np.column_stack([corners, np.full(6, 6)])].reshape(-1, 4)
        if kind == "tetrahedron10":
            points, cells = with_midpoints(points, cells)
        return self._named(points, cells, kind, size)

    def _named(
        self, points: FloatArray, cells: IntArray, kind: CellKind, size: tuple[float, ...]
    ) -> StructureMesh:
        skin, _ = boundary_facets(kind, cells)
        centres = points[skin[:, : 4 if kind == "hexahedron" else 3]].mean(axis=1)
        facets, nodes = {}, {}
        for axis, end in product(range(3), (0, 1)):
            name, place = f"{'xyz'[axis]}{end}", end * size[axis]
            facets[name] = skin[np.abs(centres[:, axis] - place) < 1e-9]
            nodes[name] = np.flatnonzero(np.abs(points[:, axis] - place) < 1e-9)
        return StructureMesh(points, cells, kind, facets, nodes)

    def replay(
        self, case: ExternalCase, displacement: FloatArray, *, mean_temperature: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Return stresses (T + 1, C g, 6) of our law along displacements, and the last state.

        `mean_temperature`: give all points of a cell the mean of its nodes, as C3D8 does.
        """
        mesh, law = case.mesh, case.law
        state = law.initial_state(mesh.n_material_points)
        strain, stresses = np.zeros((len(state), 6)), [np.zeros((len(state), 6))]

        def warm(t: float) -> FloatArray:
            nodal = case.loads.temperature_at(t, mesh.n_nodes, law.reference_temperature)
            if mean_temperature:
                return np.repeat(nodal[mesh.cells].mean(axis=1), mesh.points_per_cell)
            return mesh.at_material_points(nodal)

        for i in range(1, len(case.times)):
            start, end = float(case.times[i - 1]), float(case.times[i])
            after = strains(mesh, displacement[i])
            step = LawStep(strain, after, warm(start), warm(end), state, end - start)
            response = law.integrate(step)
            state, strain = response.state, after
            stresses.append(response.stress)
        return np.array(stresses), state


def with_midpoints(points: FloatArray, cells: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the quadratic tetrahedra of linear ones."""
    pairs = np.sort(cells[:, EDGES].reshape(-1, 2), axis=1)
    edges, index = np.unique(pairs, axis=0, return_inverse=True)
    middles = index.reshape(-1, 6) + len(points)
    return np.vstack([points, points[edges].mean(axis=1)]), np.hstack([cells, middles])


def strains(mesh: StructureMesh, displacement: FloatArray) -> FloatArray:
    """Return the strains (C g, 6) of nodal displacements (N, 3) at the material points."""
    _, slopes = shapes(mesh.kind, quadrature(mesh.kind)[0])
    jacobian = np.einsum("cki,gkj->cgij", mesh.points[mesh.cells], slopes)
    gradients = np.einsum("gkj,cgji->cgki", slopes, np.linalg.inv(jacobian))
    of_u = np.einsum("cki,cgkj->cgij", displacement[mesh.cells], gradients)
    return from_tensor(0.5 * (of_u + np.swapaxes(of_u, 2, 3))).reshape(-1, 6)


@pytest.fixture(scope="session")
def boxes() -> BoxTools:
    return BoxTools()


@pytest.fixture(scope="session")
def ccx() -> str:
    """Give the program; the tests that ask for it need Debian's package calculix-ccx."""
    program = shutil.which("ccx")
    if program is None:
        pytest.fail("expected the program ccx, received none; install Debian's calculix-ccx")
    return program
