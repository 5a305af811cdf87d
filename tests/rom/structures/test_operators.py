"""Laws of strains, masses and nodal forces on all kinds of elements."""

from typing import Any

import numpy as np
import pytest

from rom.products import SparseProduct
from rom.structures.load_vectors import centrifugal_force, pressure_force
from rom.structures.mass import mass_matrix
from rom.structures.strain_operator import interpolation, strain_operator
from solvers.laws.mandel import from_tensor
from solvers.loads import Amplitude, Centrifugal

KINDS = ("hexahedron", "tetrahedron", "tetrahedron10")


@pytest.fixture(params=KINDS)
def mesh(request: pytest.FixtureRequest, make_mesh: Any) -> Any:
    return make_mesh(request.param, 2, 0.2)


def test_the_strain_of_a_linear_displacement_is_exact(mesh: Any) -> None:
    G = np.random.default_rng(0).standard_normal((3, 3))
    strain = (strain_operator(mesh) @ (mesh.points @ G.T + 3.0).reshape(-1)).reshape(-1, 6)
    exact = from_tensor(((G + G.T) / 2)[np.newaxis])
    np.testing.assert_allclose(strain, np.broadcast_to(exact, strain.shape), atol=1e-13)


def test_rigid_motions_have_no_strain(mesh: Any) -> None:
    rng = np.random.default_rng(1)
    spin, shift = rng.standard_normal((2, 3))
    motion = np.cross(spin, mesh.points) + shift
    np.testing.assert_allclose(strain_operator(mesh) @ motion.reshape(-1), 0.0, atol=1e-13)


def test_the_strain_of_a_quadratic_displacement_is_exact_on_quadratic_elements(
    make_mesh: Any,
) -> None:
    mesh = make_mesh("tetrahedron10", 2)
    x, y, z = mesh.points.T
    u = np.stack([x * y, z**2, x * z], axis=1)
    strain = (strain_operator(mesh) @ u.reshape(-1)).reshape(-1, 6)
    x, y, z = mesh.material_points.T
    gradient = np.zeros((len(x), 3, 3))
    gradient[:, 0, 0], gradient[:, 0, 1] = y, x
    gradient[:, 1, 2], gradient[:, 2, 0], gradient[:, 2, 2] = 2 * z, z, x
    exact = from_tensor((gradient + gradient.swapaxes(1, 2)) / 2)
    np.testing.assert_allclose(strain, exact, atol=1e-12)


def test_some_points_get_the_rows_of_all(mesh: Any) -> None:
    places = np.array([7, 2, mesh.n_material_points - 1])
    rows = (6 * places[:, np.newaxis] + np.arange(6)).ravel()
    part = strain_operator(mesh, places) - strain_operator(mesh)[rows]
    assert abs(part).max() < 1e-15
    assert abs(interpolation(mesh, places) - interpolation(mesh)[places]).max() < 1e-15


def test_interpolation_is_that_of_the_mesh(mesh: Any) -> None:
    nodal = np.random.default_rng(0).standard_normal(mesh.n_nodes)
    expected = mesh.at_material_points(nodal)
    np.testing.assert_allclose(interpolation(mesh) @ nodal, expected, atol=1e-14)


def test_the_mass_matrix_integrates_products_of_linear_functions_exactly(mesh: Any) -> None:
    size = 10.0
    u = np.zeros((3 * mesh.n_nodes, 4))
    u[0::3, 0] = 1.0
    u[0::3, 1], u[0::3, 2], u[1::3, 3] = mesh.points[:, 0], mesh.points[:, 1], 1.0
    gram = SparseProduct(mass_matrix(mesh)).gram(u)
    exact = np.diag([1.0, size**2 / 3, size**2 / 3, 1.0]) * size**3
    exact[0, 1:3] = exact[1:3, 0] = size / 2 * size**3
    exact[1, 2] = exact[2, 1] = size**2 / 4 * size**3
    # On a shaken hexahedron 2 x 2 x 2 points integrate squares only nearly.
    exactly = mesh.kind != "hexahedron"
    np.testing.assert_allclose(gram, exact, rtol=1e-12 if exactly else 1e-3, atol=1e-9)


def test_the_mass_matrix_is_positive_definite(mesh: Any) -> None:
    assert np.linalg.eigvalsh(mass_matrix(mesh)[::3][:, ::3].toarray()).min() > 0


def test_a_pressure_pushes_with_its_area_against_the_normal(mesh: Any) -> None:
    for region, sign in (("x1", -1.0), ("x0", 1.0)):
        force = pressure_force(mesh, region).reshape(-1, 3)
        np.testing.assert_allclose(force.sum(axis=0), [sign * 100.0, 0, 0], atol=1e-10)
        moment = np.cross(mesh.points, force).sum(axis=0)
        np.testing.assert_allclose(moment, [0, sign * 500.0, -sign * 500.0], atol=1e-9)


def test_a_rotation_pulls_with_the_mass_at_its_distance(make_mesh: Any) -> None:
    load = Centrifugal((3.5, -20.0, 1.5), (0.0, 0.0, 2.0), 100.0, 1e-8, Amplitude.constant())
    for kind in KINDS:
        mesh = make_mesh(kind)
        force = centrifugal_force(mesh, load).reshape(-1, 3)
        exact = 1e-8 * 100.0**2 * 1000.0 * np.array([1.5, 25.0, 0.0])
        np.testing.assert_allclose(force.sum(axis=0), exact, atol=1e-12)


def test_internal_and_external_work_are_the_same_numbers(mesh: Any) -> None:
    """A constant stress is in equilibrium with its tractions."""
    stress = np.zeros((mesh.n_material_points, 6))
    stress[:, 0] = 3.0
    weighted = mesh.material_weights[:, np.newaxis] * stress
    inner = strain_operator(mesh).T @ weighted.reshape(-1)
    outer = -3.0 * (pressure_force(mesh, "x1") + pressure_force(mesh, "x0"))
    np.testing.assert_allclose(inner, outer, atol=1e-10)
