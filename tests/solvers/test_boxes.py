"""Structured meshes of squares and cubes: volumes, sides, orders."""

import numpy as np
import pytest

from solvers.boxes import box_mesh, cell_centres, grid_mesh, unit_points
from solvers.mesh import ReferenceMesh
from solvers.transport_elements import TransportElements, facet_masses

SIDES = ("left", "right", "bottom", "top", "front", "back")


def made(dimension: int, kind: str) -> ReferenceMesh:
    points = unit_points(3)
    return box_mesh(dimension, 3) if kind == "box" else grid_mesh([points] * dimension)


@pytest.fixture(params=[(2, "box"), (2, "grid"), (3, "box"), (3, "grid")], ids=str)
def mesh(request: pytest.FixtureRequest) -> ReferenceMesh:
    return made(*request.param)


def test_the_cells_fill_the_box(mesh: ReferenceMesh) -> None:
    measure = TransportElements.of(mesh.points[mesh.cells]).measure
    assert (measure > 0).all()
    assert measure.sum() == pytest.approx(1.0, rel=1e-14)
    assert len(mesh.cells) == {2: 2 * 9, 3: 6 * 27}[mesh.gdim]


def test_cells_and_facets_are_ascending(mesh: ReferenceMesh) -> None:
    assert (np.diff(mesh.cells, axis=1) > 0).all()
    assert (np.diff(mesh.facets, axis=1) > 0).all()


def test_each_side_is_tagged_as_a_whole(mesh: ReferenceMesh) -> None:
    assert set(mesh.names) == set(SIDES[: 2 * mesh.gdim])
    for number, (name, tag) in enumerate(
        sorted(mesh.names.items(), key=lambda i: SIDES.index(i[0]))
    ):
        facets = mesh.facets[mesh.tags == tag]
        axis, end = divmod(number, 2)
        assert (mesh.points[facets, axis] == float(end)).all(), name
        area = facet_masses(mesh.points[facets]).sum()
        assert area == pytest.approx(1.0, rel=1e-14), name


def test_neighbours_share_whole_faces() -> None:
    cells = box_mesh(3, 2).cells
    faces = np.concatenate([np.delete(cells, i, axis=1) for i in range(4)])
    _, counts = np.unique(np.sort(faces, axis=1), axis=0, return_counts=True)
    assert set(counts) == {1, 2}
    assert (counts == 1).sum() == 6 * 8


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_grid_mesh_is_row_major_with_x_fastest(dimension: int) -> None:
    axes = [cell_centres(n) for n in (4, 3, 2)[:dimension]]
    grids = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
    expected = np.stack([g.ravel() for g in grids], axis=1)
    np.testing.assert_array_equal(grid_mesh(axes).points, expected)
