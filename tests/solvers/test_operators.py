"""Matrices are sums of element matrices, refilled with the same bits; constants are constrained."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from solvers.backend import MPI, PETSc
from solvers.discretisation import Discretisation, distribute
from solvers.flow_operators import FlowOperators
from solvers.grids import rectangle
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.operators import MatrixPattern, ghosted_vector, global_rows

type NewMesh = Callable[[int, int], ReferenceMesh]
type Dense = Callable[[Any], FloatArray]


@pytest.fixture
def disc(crooked: NewMesh) -> Discretisation:
    return distribute(crooked(2, 7), MPI.COMM_WORLD)


def random_elements(disc: Discretisation, rows: int, columns: int) -> FloatArray:
    return np.random.default_rng(0).normal(size=(len(disc.reference.cells), rows, columns))


def bits(operators: FlowOperators, dense: Dense) -> list[FloatArray]:
    matrices = (operators.mass, operators.stiffness, operators.pressure_mass)
    return [dense(matrix) for matrix in (*matrices, *operators.divergence)]


def test_a_matrix_is_the_sum_of_its_element_matrices(disc: Discretisation, dense: Dense) -> None:
    elements = random_elements(disc, 3, 6)
    matrix = MatrixPattern(disc.linear, disc.quadratic).matrix(elements)
    expected = np.zeros(matrix.getSize())
    rows, columns = global_rows(disc.linear), global_rows(disc.quadratic)
    np.add.at(expected, (rows[:, :, None], columns[:, None, :]), elements)
    np.testing.assert_allclose(dense(matrix), expected, atol=1e-13)


def test_refilling_gives_the_same_bits(disc: Discretisation, dense: Dense) -> None:
    elements = random_elements(disc, 6, 6)
    matrix = MatrixPattern(disc.quadratic, disc.quadratic).matrix(elements)
    before = dense(matrix)
    for _ in range(2):
        matrix.setValuesCOO(elements.ravel(), PETSc.InsertMode.INSERT_VALUES)
        np.testing.assert_array_equal(dense(matrix), before)


def test_matrices_of_one_pattern_have_the_same_structure(disc: Discretisation) -> None:
    pattern = MatrixPattern(disc.quadratic, disc.quadratic)
    one, other = (pattern.matrix(scale * random_elements(disc, 6, 6)) for scale in (1.0, 0.0))
    for found, expected in zip(one.getValuesCSR()[:2], other.getValuesCSR()[:2], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_ghosted_vector_has_the_size_of_its_space_and_is_zero(disc: Discretisation) -> None:
    vector = ghosted_vector(disc.quadratic)
    assert vector.getSize() == disc.reference.n_nodes
    assert vector.norm() == 0.0


def test_operators_of_a_geometry_do_not_depend_on_the_one_before(
    crooked: NewMesh, dense: Dense
) -> None:
    mesh = crooked(2, 8)
    moved = mesh.points + np.random.default_rng(0).uniform(-0.02, 0.02, mesh.points.shape)
    fresh = distribute(mesh, MPI.COMM_WORLD)
    fresh.deform(moved)
    expected = FlowOperators(fresh, ("right",))
    used = distribute(mesh, MPI.COMM_WORLD)
    operators = FlowOperators(used, ("right",))
    used.deform(moved)
    operators.refill()
    for one, other in zip(bits(operators, dense), bits(expected, dense), strict=True):
        np.testing.assert_array_equal(one, other)
    right = operators.pressure_mass.createVecLeft()
    right.array[:] = np.random.default_rng(1).normal(size=right.local_size)
    one, other = (right.duplicate() for _ in range(2))
    operators.poisson.solve(right, one)
    expected.poisson.solve(right, other)
    np.testing.assert_array_equal(one.array_r, other.array_r)


def test_geometry_is_factored_once_until_it_changes(crooked: NewMesh) -> None:
    disc = distribute(crooked(2, 9), MPI.COMM_WORLD)
    operators = FlowOperators(disc, ())
    right = operators.pressure_mass.createVecLeft()
    right.set(1.0)
    systems = (operators.poisson, operators.projection)
    for factorisations in (1, 2):
        for _ in range(3):
            for system in systems:
                system.solve(right, right.duplicate())
        assert [system.total.setups for system in systems] == [factorisations] * 2
        operators.refill()


@pytest.mark.parametrize("outflow", [(), ("right",), ("left", "right")])
def test_the_pressure_increment_vanishes_on_the_outflow_or_at_one_vertex(
    disc: Discretisation, outflow: tuple[str, ...]
) -> None:
    mesh = disc.reference
    operators = FlowOperators(disc, outflow)
    right, increment = (operators.pressure_mass.createVecLeft() for _ in range(2))
    right.array[:] = 1.0
    right.array[operators.pressure_rows] = 0.0
    operators.poisson.solve(right, increment)
    facets = [mesh.facets[mesh.tags == mesh.names[name]].ravel() for name in outflow]
    expected = np.unique(np.concatenate(facets)) if outflow else np.array([0])
    values = disc.gather_linear(increment.array_r)
    np.testing.assert_array_equal(values[expected], 0.0)
    assert np.delete(values, expected).all()
    assert operators.enclosed == (not outflow)


def test_the_poisson_matrix_inverts_the_laplacian_of_a_linear_pressure(
    disc: Discretisation,
) -> None:
    # -lap p = 0 with p = x.g given at vertex 0 and its slope on the boundary as the source.
    operators = FlowOperators(disc, ())
    slope = np.array([1.5, -0.5])
    exact = disc.positions(disc.linear) @ slope
    exact -= exact[disc.corners == 0]
    free = MatrixPattern(disc.linear, disc.linear)
    laplace = free.matrix(operators.tensors.linear_stiffnesses(operators.geometry))
    pressure, right, solution = (operators.pressure_mass.createVecLeft() for _ in range(3))
    pressure.array[:] = exact
    laplace.mult(pressure, right)
    right.array[operators.pressure_rows] = 0.0
    operators.poisson.solve(right, solution)
    np.testing.assert_allclose(solution.array_r, exact, atol=1e-12)


def test_volume_is_that_of_the_mesh(crooked: NewMesh) -> None:
    mesh = crooked(2, 10)
    a, b, c = (mesh.points[mesh.cells[:, i]] for i in range(3))
    area = 0.5 * np.abs(np.linalg.det(np.stack([b - a, c - a], axis=1))).sum()
    operators = FlowOperators(distribute(mesh, MPI.COMM_WORLD), ())
    assert operators.volume() == pytest.approx(area, rel=1e-12)


def test_the_courant_rate_of_a_uniform_wind_is_speed_over_cell_size() -> None:
    disc = distribute(rectangle(np.linspace(0, 2, 5), np.linspace(0, 1, 6)), MPI.COMM_WORLD)
    operators = FlowOperators(disc, ())
    shape = (len(disc.reference.cells), 6, 2)
    # Cells are 0.5 m by 0.2 m: 2 m/s cross one in 1/4 s, 3 m/s in 1/15 s.
    for wind, expected in (((2.0, 0.0), 4.0), ((0.0, -3.0), 15.0)):
        _, rate = operators.convection(np.broadcast_to(wind, shape))
        assert rate == pytest.approx(expected, rel=1e-12)
