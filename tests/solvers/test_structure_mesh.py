"""Laws of structure meshes, their facets, quadrature and shape functions."""

from itertools import product

import numpy as np
import pytest

from infra.errors import UserError
from solvers.mesh import FloatArray, IntArray
from solvers.structure_facets import boundary_facets, local_facets, locate_facets
from solvers.structure_mesh import InvertedElementsError, StructureMesh
from solvers.structure_quadrature import (
    CellKind,
    facet_quadrature,
    facet_shapes,
    quadrature,
    shapes,
)

KINDS: tuple[CellKind, ...] = ("hexahedron", "tetrahedron", "tetrahedron10")
CORNERS = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)] * 2, dtype=float)
CORNERS[4:, 2] = 1.0
TET = np.vstack([np.zeros(3), np.eye(3)])
EDGES = np.array([(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)])
REFERENCE: dict[CellKind, FloatArray] = {
    "hexahedron": CORNERS,
    "tetrahedron": TET,
    "tetrahedron10": np.vstack([TET, TET[EDGES].mean(axis=1)]),
}


def sheared(points: FloatArray) -> FloatArray:
    shear = np.array([[2.0, 0.3, 0.1], [0.0, 1.5, 0.2], [0.1, 0.0, 1.0]])
    return np.asarray(points @ shear + 5.0)


def single(kind: CellKind, **sets: IntArray) -> StructureMesh:
    points = sheared(REFERENCE[kind])
    return StructureMesh(points, np.arange(len(points))[None], kind, sets)


def block(n: int) -> StructureMesh:
    """Return a cube of n^3 hexahedra with all its boundary named ``skin``."""
    line = np.arange(n + 1)
    points = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3) / n
    m = n + 1
    corners = CORNERS.astype(int) @ np.array([m * m, m, 1])
    starts = [(i * m + j) * m + k for i, j, k in product(range(n), repeat=3)]
    cells = np.array(starts)[:, None] + corners
    skin, _ = boundary_facets("hexahedron", cells)
    return StructureMesh(points, cells, "hexahedron", {"skin": skin}, {"all": np.arange(m**3)})


@pytest.mark.parametrize("kind", KINDS)
def test_shape_functions_are_one_at_their_node_and_zero_at_the_others(kind: CellKind) -> None:
    values, _ = shapes(kind, REFERENCE[kind])
    assert values == pytest.approx(np.eye(len(values)), abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_shape_functions_sum_to_one_and_carry_linear_fields(kind: CellKind) -> None:
    points = np.random.default_rng(0).uniform(0.0, 0.3, (7, 3))
    values, gradients = shapes(kind, points)
    assert values.sum(axis=1) == pytest.approx(1.0)
    assert values @ REFERENCE[kind] == pytest.approx(points)
    slopes = np.einsum("gki,kj->gji", gradients, REFERENCE[kind])
    assert slopes == pytest.approx(np.broadcast_to(np.eye(3), (7, 3, 3)), abs=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_derivatives_of_the_values(kind: CellKind) -> None:
    points = np.random.default_rng(0).uniform(0.0, 0.3, (7, 3))
    _, gradients = shapes(kind, points)
    h = 1e-6
    for axis in range(3):
        shift = h * np.eye(3)[axis]
        ahead, behind = shapes(kind, points + shift)[0], shapes(kind, points - shift)[0]
        assert gradients[:, :, axis] == pytest.approx((ahead - behind) / (2 * h), abs=1e-8)


def monomial(kind: CellKind, powers: tuple[int, ...]) -> float:
    """Integrate x^a y^b ... over the unit cube or simplex of the same dimension."""
    if kind == "hexahedron":
        return float(np.prod([1.0 / (p + 1) for p in powers]))
    factorial = [1.0, 1.0, 2.0, 6.0, 24.0, 120.0]
    above = np.prod([factorial[p] for p in powers])
    return float(above / factorial[sum(powers) + len(powers)])


DEGREES = {"hexahedron": 3, "tetrahedron": 1, "tetrahedron10": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_rules_are_exact_up_to_their_degree(kind: CellKind) -> None:
    highest = DEGREES[kind]
    for (points, weights), dims in ((quadrature(kind), 3), (facet_quadrature(kind), 2)):
        for powers in product(range(highest + 1), repeat=dims):
            if kind != "hexahedron" and sum(powers) > highest:
                continue
            received = weights @ np.prod(points ** np.array(powers), axis=1)
            assert received == pytest.approx(monomial(kind, powers)), powers


@pytest.mark.parametrize("kind", KINDS)
def test_facets_of_an_element_look_outwards(kind: CellKind) -> None:
    points = sheared(REFERENCE[kind])
    centre = points.mean(axis=0)
    at = facet_quadrature(kind)[0]
    values, slopes = facet_shapes(kind, at)
    for nodes in local_facets(kind):
        tangents = np.einsum("hqa,qi->hai", slopes, points[nodes])
        normals = np.cross(tangents[:, 0], tangents[:, 1])
        assert (np.einsum("hi,hi->h", normals, values @ points[nodes] - centre) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_normals_of_a_closed_surface_sum_to_zero(kind: CellKind) -> None:
    points = sheared(REFERENCE[kind])
    at, weights = facet_quadrature(kind)
    _, slopes = facet_shapes(kind, at)
    tangents = np.einsum("hqa,fqi->fhai", slopes, points[local_facets(kind)])
    normals = np.einsum("h,fhi->i", weights, np.cross(tangents[:, :, 0], tangents[:, :, 1]))
    assert normals == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_material_weights_sum_to_the_volume(kind: CellKind) -> None:
    mesh = single(kind)
    jacobian = np.linalg.det(sheared(np.eye(3)) - sheared(np.zeros((1, 3))))
    full = 1.0 if kind == "hexahedron" else 1.0 / 6.0
    assert mesh.material_weights.sum() == pytest.approx(full * jacobian)
    assert mesh.n_material_points == len(mesh.material_weights) == mesh.points_per_cell
    centroid = mesh.material_weights @ mesh.material_points / mesh.material_weights.sum()
    corners = mesh.points[: 8 if kind == "hexahedron" else 4]
    assert centroid == pytest.approx(corners.mean(axis=0))


def test_material_points_are_numbered_cell_by_cell() -> None:
    mesh = block(2)
    centres = mesh.points[mesh.cells].mean(axis=1)
    of_points = mesh.material_points.reshape(8, 8, 3)
    assert of_points.mean(axis=1) == pytest.approx(centres)
    assert mesh.at_material_points(mesh.points[:, 0]) == pytest.approx(mesh.material_points[:, 0])


def test_the_boundary_of_a_block_is_its_skin() -> None:
    mesh = block(3)
    assert len(mesh.facets["skin"]) == 6 * 9
    owners, places = locate_facets(mesh.kind, mesh.cells, mesh.facets["skin"], "skin")
    nodes = mesh.cells[owners[:, None], local_facets(mesh.kind)[places]]
    assert (np.sort(nodes, axis=1) == np.sort(mesh.facets["skin"], axis=1)).all()


def test_facets_in_any_orientation_become_outward() -> None:
    mesh = block(2)
    turned = mesh.facets["skin"].copy()
    turned[::2] = turned[::2, ::-1]
    other = StructureMesh(mesh.points, mesh.cells, mesh.kind, {"skin": turned})
    corners = mesh.points[other.outward["skin"]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0])
    away = corners.mean(axis=1) - 0.5
    assert (np.einsum("fi,fi->f", normals, away) > 0).all()
    assert np.abs(normals).sum() == pytest.approx(6.0)


def test_midside_nodes_of_facets_lie_after_their_corner() -> None:
    points = REFERENCE["tetrahedron10"]
    for nodes in local_facets("tetrahedron10"):
        corners, middles = points[nodes[:3]], points[nodes[3:]]
        assert middles == pytest.approx((corners + np.roll(corners, -1, axis=0)) / 2)


def test_equal_meshes_have_equal_digests_and_others_have_not() -> None:
    mesh = block(2)
    assert mesh.digest == block(2).digest
    moved = mesh.points.copy()
    moved[0, 0] += 1e-12
    assert StructureMesh(moved, mesh.cells, mesh.kind).digest != mesh.digest


@pytest.mark.parametrize("kind", KINDS)
def test_inverted_elements_are_counted_and_named(kind: CellKind) -> None:
    points = sheared(REFERENCE[kind]) * np.array([1.0, 1.0, -1.0])
    with pytest.raises(InvertedElementsError, match="1 inverted or flat ones of 1") as caught:
        StructureMesh(points, np.arange(len(points))[None], kind)
    assert caught.value.cells.tolist() == [0]


def test_a_corner_that_is_pushed_through_its_cell_is_found() -> None:
    points = CORNERS.copy()
    points[6] = (0.3, 0.3, 0.3)
    with pytest.raises(InvertedElementsError):
        StructureMesh(points, np.arange(8)[None], "hexahedron")


def test_impossible_arrays_are_named() -> None:
    points, cells = REFERENCE["tetrahedron"], np.arange(4)[None]
    with pytest.raises(UserError, match="points: expected shape"):
        StructureMesh(points[:, :2], cells, "tetrahedron")
    with pytest.raises(UserError, match="kind: expected one of hexahedron"):
        StructureMesh(points, cells, "brick")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"cells: expected shape \(cells, 8\)"):
        StructureMesh(points, cells, "hexahedron")
    with pytest.raises(UserError, match="from 0 to 3, received 1 to 4"):
        StructureMesh(points, cells + 1, "tetrahedron")
    with pytest.raises(UserError, match="every node belongs to a cell, received 1"):
        StructureMesh(np.vstack([points, np.ones(3)]), cells, "tetrahedron")
    with pytest.raises(UserError, match="finite"):
        StructureMesh(points * np.nan, cells, "tetrahedron")


def test_sets_that_the_mesh_does_not_have_are_named() -> None:
    points, cells = REFERENCE["tetrahedron"], np.arange(4)[None]
    with pytest.raises(UserError, match="nodes 'root': expected shape"):
        StructureMesh(points, cells, "tetrahedron", {}, {"root": np.zeros(0, dtype=int)})
    with pytest.raises(UserError, match="nodes 'root': expected node numbers from 0 to 3"):
        StructureMesh(points, cells, "tetrahedron", {}, {"root": np.array([9])})
    with pytest.raises(UserError, match="facets 'skin': expected shape"):
        StructureMesh(points, cells, "tetrahedron", {"skin": np.array([[0, 1]])})


def test_facets_inside_or_twice_are_refused() -> None:
    mesh = block(2)
    inner = mesh.cells[0, local_facets("hexahedron")[1]]
    twice = mesh.facets["skin"][[0, 0]]
    for wrong in (inner[None], twice):
        with pytest.raises(UserError, match="facets 'skin': expected facets of the boundary"):
            StructureMesh(mesh.points, mesh.cells, mesh.kind, {"skin": wrong})
