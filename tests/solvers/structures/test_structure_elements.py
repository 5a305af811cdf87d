"""The element operators: exact for linear displacements, blind to rigid motions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from solvers.laws.law import Law
from solvers.laws.mandel import from_tensor
from solvers.structures.elements import Elements

KINDS = ("hexahedron", "tetrahedron", "tetrahedron10")


def made(box: Callable[..., Any], kind: str) -> tuple[Any, Elements]:
    mesh = box((2, 2, 2), (1.0, 2.0, 1.5), kind, 0.3)
    return mesh, Elements(mesh, np.arange(mesh.n_cells), mesh.cells)


def elastic(law: Callable[..., Law], points: int) -> Any:
    return law("thermoelastic").elasticity.moduli(np.full(points, 20.0)).tangent()


@pytest.mark.parametrize("kind", KINDS)
def test_strains_of_linear_displacements_are_exact(box: Callable[..., Any], kind: str) -> None:
    mesh, elements = made(box, kind)
    gradient = np.random.default_rng(2).standard_normal((3, 3))
    expected = from_tensor(0.5 * (gradient + gradient.T))
    strains = elements.strains(mesh.points @ gradient.T + 4.0)
    np.testing.assert_allclose(strains, np.tile(expected, (len(strains), 1)), atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_the_volume(box: Callable[..., Any], kind: str) -> None:
    mesh, elements = made(box, kind)
    assert elements.weights.sum() == pytest.approx(3.0, rel=1e-13)
    np.testing.assert_allclose(elements.weights.ravel(), mesh.material_weights, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_forces_are_dual_to_strains(box: Callable[..., Any], kind: str) -> None:
    mesh, elements = made(box, kind)
    rng = np.random.default_rng(3)
    u, stress = rng.standard_normal(mesh.points.shape), rng.standard_normal((elements.n_points, 6))
    forces = elements.gathered(elements.forces(stress), mesh.n_nodes)
    work = np.einsum("p,pi,pi->", elements.weights.ravel(), stress, elements.strains(u))
    assert np.vdot(forces, u) == pytest.approx(work, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_tangent_matrices_are_the_derivative_of_forces(
    box: Callable[..., Any], law: Callable[..., Law], kind: str
) -> None:
    mesh, elements = made(box, kind)
    tangent = elastic(law, elements.n_points)
    tangent += np.random.default_rng(4).standard_normal(tangent.shape)  # not symmetric
    u = np.random.default_rng(5).standard_normal(mesh.points.shape)
    stress = np.einsum("pij,pj->pi", tangent, elements.strains(u))
    exact = elements.stiffness(tangent, symmetric=False)
    np.testing.assert_allclose(elements.products(exact, u), elements.forces(stress), rtol=1e-9)
    half = elements.stiffness(tangent, symmetric=True)
    np.testing.assert_allclose(half, 0.5 * (exact + exact.swapaxes(1, 2)), atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_rigid_motions_take_no_force(
    box: Callable[..., Any], law: Callable[..., Law], kind: str
) -> None:
    mesh, elements = made(box, kind)
    matrices = elements.stiffness(elastic(law, elements.n_points), symmetric=True)
    turn = np.array([[0.0, 1.0, -2.0], [-1.0, 0.0, 3.0], [2.0, -3.0, 0.0]])
    forces = elements.products(matrices, mesh.points @ turn + np.array([1.0, -2.0, 0.5]))
    assert np.abs(forces).max() < 1e-9 * np.abs(matrices).max()


@pytest.mark.parametrize("kind", KINDS)
def test_nodal_values_that_are_linear_are_exact_at_the_points(
    box: Callable[..., Any], kind: str
) -> None:
    mesh, elements = made(box, kind)
    slope = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(
        elements.at_points(mesh.points @ slope), mesh.material_points @ slope
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_operators_of_some_cells_are_those_of_all(box: Callable[..., Any], kind: str) -> None:
    mesh, elements = made(box, kind)
    cells = np.arange(1, mesh.n_cells, 3)
    some = Elements(mesh, cells, mesh.cells[cells])
    u = np.random.default_rng(6).standard_normal(mesh.points.shape)
    whole = elements.strains(u).reshape(mesh.n_cells, -1, 6)
    np.testing.assert_array_equal(some.strains(u).reshape(len(cells), -1, 6), whole[cells])
