"""Element matrices are those of UFL, and follow the laws of moved, turned and scaled cells."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.backend import MPI, basix, dolfinx, ufl
from solvers.discretisation import Discretisation, distribute
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.operators import MatrixPattern
from solvers.tensors import CellGeometry, cell_geometry, reference_tensors

type NewMesh = Callable[[int, int], ReferenceMesh]
type Assemble = Callable[[Any], FloatArray]

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True, max_examples=50)
dimensions = pytest.mark.parametrize("gdim", [2, 3])
SEEDS = st.integers(0, 2**32 - 1)


def corners_of(disc: Discretisation) -> FloatArray:
    nodes = disc.mesh.geometry.dofmaps[0]
    return np.asarray(disc.mesh.geometry.x[nodes][..., : disc.reference.gdim])


def random_corners(gdim: int, seed: int) -> FloatArray:
    """Return the corners of eight simplices, none of them nearly flat."""
    rng = np.random.default_rng(seed)
    matrices = np.eye(gdim) + rng.uniform(-0.25, 0.25, (8, gdim, gdim))
    reference = np.concatenate([np.zeros((1, gdim)), np.eye(gdim)])
    return reference @ matrices + rng.uniform(-5, 5, (8, 1, gdim))


def rotation(gdim: int, seed: int) -> FloatArray:
    """Return a random proper rotation."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(gdim, gdim)))
    return np.asarray(q * np.sign(np.linalg.det(q)) ** (np.arange(gdim) == 0))


def in_reference(cells: CellGeometry, velocity: FloatArray) -> FloatArray:
    return velocity @ np.swapaxes(cells.inverse, 1, 2)


@dimensions
def test_mass_and_stiffness_are_those_of_ufl(
    gdim: int, crooked: NewMesh, assembled: Assemble, dense: Callable[[Any], FloatArray]
) -> None:
    disc = distribute(crooked(gdim, 1), MPI.COMM_WORLD)
    tensors, cells = reference_tensors(gdim), cell_geometry(corners_of(disc))
    spaces = {
        "quadratic": (disc.quadratic, tensors.masses, tensors.stiffnesses),
        "linear": (disc.linear, tensors.linear_masses, tensors.linear_stiffnesses),
    }
    for name, (space, masses, stiffnesses) in spaces.items():
        u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
        pattern = MatrixPattern(space, space)
        mass, stiffness = (dense(pattern.matrix(e(cells))) for e in (masses, stiffnesses))
        laplace = assembled(ufl.inner(ufl.grad(u), ufl.grad(v)) * ufl.dx)
        np.testing.assert_allclose(mass, assembled(u * v * ufl.dx), atol=1e-15, err_msg=name)
        np.testing.assert_allclose(stiffness, laplace, atol=1e-13, err_msg=name)


@dimensions
def test_divergence_is_that_of_ufl(
    gdim: int, crooked: NewMesh, assembled: Assemble, dense: Callable[[Any], FloatArray]
) -> None:
    disc = distribute(crooked(gdim, 2), MPI.COMM_WORLD)
    tensors, cells = reference_tensors(gdim), cell_geometry(corners_of(disc))
    u, q = ufl.TrialFunction(disc.quadratic), ufl.TestFunction(disc.linear)
    pattern = MatrixPattern(disc.linear, disc.quadratic)
    for axis in range(gdim):
        matrix = dense(pattern.matrix(tensors.divergences(cells, axis)))
        np.testing.assert_allclose(matrix, assembled(q * u.dx(axis) * ufl.dx), atol=1e-15)


@dimensions
def test_convection_is_that_of_ufl(
    gdim: int, crooked: NewMesh, assembled: Assemble, dense: Callable[[Any], FloatArray]
) -> None:
    disc = distribute(crooked(gdim, 3), MPI.COMM_WORLD)
    tensors, cells = reference_tensors(gdim), cell_geometry(corners_of(disc))
    rng = np.random.default_rng(3)
    wind = [dolfinx.fem.Function(disc.quadratic) for _ in range(gdim)]
    for component in wind:
        component.x.array[:] = rng.normal(size=len(component.x.array))
    nodal = np.stack([c.x.array[disc.quadratic.dofmap.list] for c in wind], axis=-1)
    u, v = ufl.TrialFunction(disc.quadratic), ufl.TestFunction(disc.quadratic)
    expected = assembled(ufl.dot(ufl.as_vector(wind), ufl.grad(u)) * v * ufl.dx)
    elements = tensors.convections(cells, in_reference(cells, nodal))
    matrix = dense(MatrixPattern(disc.quadratic, disc.quadratic).matrix(elements))
    np.testing.assert_allclose(matrix, expected, atol=1e-14 * np.abs(expected).max() * 10)


@dimensions
def test_corner_gradients_are_those_of_the_quadratic_basis(gdim: int) -> None:
    # x_a^2 has the gradient 2 x_a along axis a, and no other.
    kind = {2: basix.CellType.triangle, 3: basix.CellType.tetrahedron}[gdim]
    element = basix.create_element(basix.ElementFamily.P, kind, 2, basix.LagrangeVariant.gll_warped)
    gradients = reference_tensors(gdim).corner_gradients
    for axis in range(gdim):
        found = gradients @ element.points[:, axis] ** 2
        expected = np.zeros_like(found)
        expected[axis] = 2 * basix.geometry(kind)[:, axis]
        np.testing.assert_allclose(found, expected, atol=1e-14)


@LAW
@given(st.sampled_from([2, 3]), SEEDS)
def test_masses_and_stiffnesses_survive_rotation_and_translation(gdim: int, seed: int) -> None:
    corners, tensors = random_corners(gdim, seed), reference_tensors(gdim)
    one = cell_geometry(corners)
    other = cell_geometry(corners @ rotation(gdim, seed).T + 3.0)
    for kind in ("masses", "stiffnesses", "linear_masses", "linear_stiffnesses"):
        matrices = getattr(tensors, kind)
        np.testing.assert_allclose(matrices(other), matrices(one), atol=1e-12)


@LAW
@given(st.sampled_from([2, 3]), SEEDS)
def test_convection_is_unchanged_when_cells_and_velocity_turn_together(
    gdim: int, seed: int
) -> None:
    corners, tensors, turn = random_corners(gdim, seed), reference_tensors(gdim), rotation(gdim, 1)
    velocity = np.random.default_rng(seed).normal(size=(8, len(tensors.mass), gdim))
    one, other = cell_geometry(corners), cell_geometry(corners @ turn.T - 1.0)
    np.testing.assert_allclose(
        tensors.convections(other, in_reference(other, velocity @ turn.T)),
        tensors.convections(one, in_reference(one, velocity)),
        atol=1e-12,
    )


@LAW
@given(st.sampled_from([2, 3]), SEEDS)
def test_divergences_turn_as_a_vector(gdim: int, seed: int) -> None:
    corners, tensors, turn = random_corners(gdim, seed), reference_tensors(gdim), rotation(gdim, 2)
    one, other = cell_geometry(corners), cell_geometry(corners @ turn.T)
    before = np.stack([tensors.divergences(one, axis) for axis in range(gdim)])
    after = np.stack([tensors.divergences(other, axis) for axis in range(gdim)])
    np.testing.assert_allclose(after, np.tensordot(turn, before, axes=1), atol=1e-12)


@LAW
@given(st.sampled_from([2, 3]), SEEDS, st.floats(1e-3, 1e3))
def test_matrices_scale_with_the_powers_of_length(gdim: int, seed: int, size: float) -> None:
    corners, tensors = random_corners(gdim, seed), reference_tensors(gdim)
    one, other = cell_geometry(corners), cell_geometry(size * corners)
    powers = {"masses": gdim, "stiffnesses": gdim - 2, "linear_masses": gdim}
    for kind, power in powers.items():
        matrices = getattr(tensors, kind)
        expected = size**power * matrices(one)
        np.testing.assert_allclose(matrices(other), expected, atol=1e-10 * np.abs(expected).max())


@LAW
@given(st.sampled_from([2, 3]), SEEDS)
def test_constants_have_the_cell_volume_as_mass_and_neither_diffuse_nor_convect(
    gdim: int, seed: int
) -> None:
    cells, tensors = cell_geometry(random_corners(gdim, seed)), reference_tensors(gdim)
    ones = np.ones(len(tensors.mass))
    volumes = cells.determinant / (2 if gdim == 2 else 6)
    velocity = np.random.default_rng(seed).normal(size=(8, len(ones), gdim))
    np.testing.assert_allclose(ones @ tensors.masses(cells) @ ones, volumes, rtol=1e-12)
    np.testing.assert_allclose(tensors.stiffnesses(cells) @ ones, 0.0, atol=1e-12)
    convection = tensors.convections(cells, in_reference(cells, velocity))
    np.testing.assert_allclose(convection @ ones, 0.0, atol=1e-12)


@LAW
@given(st.sampled_from([2, 3]), SEEDS)
def test_a_uniform_wind_carries_a_linear_field_at_a_constant_rate(gdim: int, seed: int) -> None:
    corners, tensors = random_corners(gdim, seed), reference_tensors(gdim)
    cells, rng = cell_geometry(corners), np.random.default_rng(seed)
    wind, slope = rng.normal(size=(2, gdim))
    variant = basix.LagrangeVariant.gll_warped
    kind = {2: basix.CellType.triangle, 3: basix.CellType.tetrahedron}[gdim]
    places = basix.create_element(basix.ElementFamily.P, kind, 2, variant).points
    nodes = corners[:, :1] + places @ (corners[:, 1:] - corners[:, :1])
    velocity = np.broadcast_to(wind, nodes.shape)
    convection = tensors.convections(cells, in_reference(cells, velocity))
    found = np.einsum("cij,cj->ci", convection, nodes @ slope)
    expected = tensors.masses(cells).sum(axis=2) * (wind @ slope)
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_the_map_of_a_subset_is_the_subset_of_the_maps() -> None:
    cells, chosen = cell_geometry(random_corners(2, 0)), np.array([5, 1])
    part = cells.subset(chosen)
    np.testing.assert_array_equal(part.determinant, cells.determinant[chosen])
    np.testing.assert_array_equal(part.inverse, cells.inverse[chosen])
