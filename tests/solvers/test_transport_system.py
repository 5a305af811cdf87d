"""Linear systems of steady cases: traits, patterns, elimination, complex numbers as real ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from solvers.boxes import box_mesh
from solvers.errors import LinearSolveError
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.published_matrices import darcy_5_point
from solvers.sequence.traits import Traits
from solvers.steady_case import (
    MatrixEquation,
    Prescribed,
    Robin,
    SteadyCase,
    TransportEquation,
    Unknown,
    constant,
)
from solvers.steady_system import SteadySystem

type SystemOf = Callable[[ReferenceMesh, SteadyCase], SteadySystem]

U = (Unknown("u", "1", "u"),)
COMPLEX = (Unknown("re", "1", "real part"), Unknown("im", "1", "imaginary part"))


@pytest.fixture(params=[2, 3])
def mesh(request: pytest.FixtureRequest) -> ReferenceMesh:
    return box_mesh(request.param, 3)


def case(mesh: ReferenceMesh, seed: int = 0, **changes: Any) -> SteadyCase:
    """Return random coefficients with values on the left and an exchange on the right."""
    rng, n = np.random.default_rng(seed), len(mesh.cells)
    equation = TransportEquation(
        diffusion=rng.uniform(1, 100, n),
        source=rng.uniform(-1, 1, n),
        prescribed=(Prescribed("left", lambda p: 1.0 + p[:, 1]),),
        robin=(Robin("right", constant(0.5), constant(2.0)), Robin("top", constant(-1.0))),
    )
    return SteadyCase(U, replace(equation, **changes), Traits(symmetric=True, definite=True))


def waves(mesh: ReferenceMesh, seed: int = 0) -> SteadyCase:
    rng, n = np.random.default_rng(seed), len(mesh.cells)
    equation = TransportEquation(
        diffusion=rng.uniform(1, 2, n) - 0.3j,
        source=rng.uniform(-1, 1, n) + 0.5j,
        reaction=rng.uniform(-9, -4, n) + 1j,
        prescribed=(Prescribed("left", lambda p: 1.0 + 2j * p[:, 1]),),
        robin=(Robin("right", lambda p: p[:, 1] + 1j, constant(-3j)),),
    )
    return SteadyCase(COMPLEX, equation, Traits())


def prescribed(mesh: ReferenceMesh) -> FloatArray:
    return np.flatnonzero(mesh.points[:, 0] == 0.0)


def test_diffusion_is_symmetric_and_positive_definite(
    mesh: ReferenceMesh, system_of: SystemOf, dense: Callable[[Any], FloatArray]
) -> None:
    given = case(mesh)
    system = system_of(mesh, given)
    system.refill(given)
    matrix = dense(system.matrix)
    # PETSc adds the contributions to an entry in an order of its own.
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-13)
    assert np.linalg.eigvalsh(matrix).min() > 0


@pytest.mark.parametrize("make", [case, waves])
def test_the_pattern_never_changes(
    make: Callable[..., SteadyCase], mesh: ReferenceMesh, system_of: SystemOf
) -> None:
    system = system_of(mesh, make(mesh))
    patterns = []
    for seed in range(3):
        system.refill(make(mesh, seed))
        pointers, columns, _ = system.matrix.getValuesCSR()
        patterns.append((pointers.copy(), columns.copy()))
    for pointers, columns in patterns[1:]:
        np.testing.assert_array_equal(pointers, patterns[0][0])
        np.testing.assert_array_equal(columns, patterns[0][1])


def test_a_refill_depends_on_the_case_alone(mesh: ReferenceMesh, system_of: SystemOf) -> None:
    system = system_of(mesh, case(mesh))
    values = []
    for seed in (1, 2, 1):
        system.refill(case(mesh, seed))
        values.append(system.matrix.getValuesCSR()[2].copy())
    np.testing.assert_array_equal(values[0], values[2])
    assert not np.array_equal(values[0], values[1])


def test_eliminated_rows_and_columns_keep_their_entries_as_zeros(
    mesh: ReferenceMesh, system_of: SystemOf
) -> None:
    given = case(mesh)
    free = replace(given, equation=replace(given.equation, prescribed=()))  # type: ignore[type-var]
    systems = [system_of(mesh, c) for c in (given, free)]
    for system, one in zip(systems, (given, free), strict=True):
        system.refill(one)
    patterns = [system.matrix.getValuesCSR()[:2] for system in systems]
    for one, other in zip(*patterns, strict=True):
        np.testing.assert_array_equal(one, other)


def test_prescribed_values_are_met_and_eliminated_exactly(
    mesh: ReferenceMesh,
    system_of: SystemOf,
    dense: Callable[[Any], FloatArray],
    solution: Callable[[ReferenceMesh, SteadyCase], FloatArray],
) -> None:
    given = case(mesh)
    found = solution(mesh, given)[:, 0]
    fixed = prescribed(mesh)
    np.testing.assert_allclose(found[fixed], 1.0 + mesh.points[fixed, 1], rtol=1e-14)
    free = replace(given, equation=replace(given.equation, prescribed=()))  # type: ignore[type-var]
    whole = system_of(mesh, free)
    whole.refill(free)
    inner = np.setdiff1d(np.arange(mesh.n_vertices), fixed)
    # On one process the owned unknowns in canonical order are a permutation of the local ones.
    local = whole.gather(np.arange(mesh.n_vertices, dtype=float))[:, 0].astype(int)
    residual = dense(whole.matrix)[np.ix_(local, local)] @ found - whole.right(free)[local]
    np.testing.assert_allclose(residual[inner], 0.0, atol=1e-11)


def test_complex_systems_are_solved_as_real_ones(
    mesh: ReferenceMesh, system_of: SystemOf, dense: Callable[[Any], FloatArray]
) -> None:
    given = waves(mesh)
    system = system_of(mesh, given)
    system.refill(given)
    matrix, right = dense(system.matrix), system.right(given)
    whole = matrix[::2, ::2] + 1j * matrix[1::2, ::2]
    np.testing.assert_allclose(matrix[::2, ::2], matrix[1::2, 1::2], atol=1e-14)
    np.testing.assert_allclose(matrix[::2, 1::2], -matrix[1::2, ::2], atol=1e-14)
    np.testing.assert_allclose(whole, whole.T, atol=1e-14)
    expected = np.linalg.solve(whole, right[::2] + 1j * right[1::2])
    found = system.gather(np.linalg.solve(matrix, right))
    order = system.gather(np.repeat(np.arange(mesh.n_vertices), 2).astype(float))[:, 0].astype(int)
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], expected[order], rtol=1e-9)
    fixed = prescribed(mesh)
    np.testing.assert_allclose(found[fixed, 1], 2.0 * mesh.points[fixed, 1], atol=1e-12)


def test_nan_stays_visible_in_the_matrix(mesh: ReferenceMesh, system_of: SystemOf) -> None:
    given = case(mesh)
    broken = np.ones(len(mesh.cells))
    # A corner cell: most of its entries belong to prescribed values.
    broken[np.argmin(mesh.points[mesh.cells].sum(axis=(1, 2)))] = np.nan
    system = system_of(mesh, given)
    system.refill(replace(given, equation=replace(given.equation, diffusion=broken)))  # type: ignore[type-var]
    assert np.isnan(system.matrix.getValuesCSR()[2]).any()
    system.refill(given)
    assert np.isfinite(system.matrix.getValuesCSR()[2]).all()


class TestGivenMatrices:
    def whole(self, n: int, seed: int) -> SteadyCase:
        K = np.random.default_rng(seed).uniform(1, 10, (n, n))
        equation = MatrixEquation(darcy_5_point(K), np.arange(n * n, dtype=float))
        return SteadyCase(U, equation, Traits(symmetric=True, definite=True))

    def test_they_are_taken_as_they_are(
        self, system_of: SystemOf, dense: Callable[[Any], FloatArray]
    ) -> None:
        mesh = box_mesh(2, 3)
        system = system_of(mesh, self.whole(4, 0))
        for seed in (1, 2):
            given = self.whole(4, seed)
            system.refill(given)
            expected = given.equation.matrix.toarray()  # type: ignore[union-attr]
            np.testing.assert_array_equal(dense(system.matrix), expected)
            np.testing.assert_array_equal(system.right(given), np.arange(16.0))

    def test_another_pattern_is_refused_by_name(self, system_of: SystemOf) -> None:
        mesh = box_mesh(2, 3)
        system = system_of(mesh, self.whole(4, 0))
        other = self.whole(4, 1)
        matrix = other.equation.matrix.copy()  # type: ignore[union-attr]
        matrix.data[1] = 0.0
        matrix.eliminate_zeros()
        with pytest.raises(LinearSolveError, match="pattern of the matrix changed") as caught:
            system.refill(replace(other, equation=MatrixEquation(matrix, np.zeros(16))))
        assert caught.value.reason == "pattern"
