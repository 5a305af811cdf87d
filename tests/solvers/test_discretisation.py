"""A distributed mesh keeps the canonical numbers of its reference mesh."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from solvers.backend import MPI, dolfinx
from solvers.discretisation import Discretisation, Gatherer, distribute
from solvers.mesh import ReferenceMesh

type NewMesh = Callable[[int, int], ReferenceMesh]


@pytest.fixture(params=[2, 3])
def disc(request: pytest.FixtureRequest, crooked: NewMesh) -> Discretisation:
    return distribute(crooked(request.param, 5), MPI.COMM_WORLD)


def test_degrees_of_freedom_lie_where_their_canonical_nodes_do(disc: Discretisation) -> None:
    mesh = disc.reference
    nodes = mesh.node_positions(mesh.points)
    np.testing.assert_array_equal(disc.positions(disc.quadratic), nodes[disc.nodes])
    np.testing.assert_array_equal(disc.positions(disc.linear), mesh.points[disc.corners])


def test_positions_are_those_that_dolfinx_finds(disc: Discretisation) -> None:
    for space in (disc.quadratic, disc.linear):
        expected = space.tabulate_dof_coordinates()[:, : disc.reference.gdim]
        np.testing.assert_allclose(disc.positions(space), expected, atol=1e-14)


def test_canonical_numbers_are_permutations(disc: Discretisation) -> None:
    for numbers, size in (
        (disc.nodes, disc.reference.n_nodes),
        (disc.corners, disc.reference.n_vertices),
        (disc.vertices, disc.reference.n_vertices),
    ):
        np.testing.assert_array_equal(np.sort(numbers), np.arange(size))


def test_gathered_values_come_in_canonical_order(disc: Discretisation) -> None:
    mesh = disc.reference
    for axis in range(mesh.gdim):
        owned = disc.positions(disc.quadratic)[:, axis]
        expected = mesh.node_positions(mesh.points)[:, axis]
        np.testing.assert_array_equal(disc.gather_quadratic(owned), expected)
        owned = disc.positions(disc.linear)[:, axis]
        np.testing.assert_array_equal(disc.gather_linear(owned), mesh.points[:, axis])


def test_gathering_reorders_and_changes_no_bit() -> None:
    values, numbers = np.random.default_rng(0).normal(size=9), np.random.default_rng(1)
    order = numbers.permutation(9)
    gathered = Gatherer(MPI.COMM_SELF, order, 9)(values)
    np.testing.assert_array_equal(gathered[order], values)


def test_deformation_moves_every_node_with_its_vertices(disc: Discretisation) -> None:
    mesh = disc.reference
    moved = mesh.points + np.random.default_rng(0).uniform(-0.02, 0.02, mesh.points.shape)
    disc.deform(moved)
    nodes = mesh.node_positions(moved)
    np.testing.assert_array_equal(disc.positions(disc.quadratic), nodes[disc.nodes])
    disc.deform(mesh.points)
    restored = disc.mesh.geometry.x[:, : mesh.gdim]
    np.testing.assert_array_equal(restored, mesh.points[disc.vertices])


def test_tagged_facets_are_those_of_the_reference_mesh(disc: Discretisation) -> None:
    mesh, dim = disc.reference, disc.mesh.topology.dim
    for tag in mesh.names.values():
        found = disc.facets.find(tag)
        ends = disc.vertices[dolfinx.mesh.entities_to_geometry(disc.mesh, dim - 1, found)]
        expected = np.sort(mesh.facets[mesh.tags == tag], axis=1)
        assert sorted(np.sort(ends, axis=1).tolist()) == sorted(expected.tolist())


def test_boundary_facets_without_a_tag_stay_untagged(crooked: NewMesh) -> None:
    mesh = crooked(2, 6)
    keep = mesh.tags == mesh.names["left"]
    part = replace(mesh, facets=mesh.facets[keep], tags=mesh.tags[keep])
    disc = distribute(part, MPI.COMM_WORLD)
    assert set(disc.facets.values) == {mesh.names["left"]}
    assert len(disc.facets.values) == keep.sum()
