"""Hard matrices are not called singular, and wrong settings are refused with the right ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from infra.errors import UserError
from solvers.backend import PETSc
from solvers.errors import LinearSolveError
from solvers.published_matrices import darcy_7_point
from solvers.sequence.options import configured
from solvers.sequence.preconditioner import mumps_options, own_options
from solvers.sequence.system import System
from solvers.sequence.traits import Grid, Traits


def goes_on(run: Any, matrix: Any) -> None:
    """Solve two systems and check them."""
    for factor in (1.0, 2.0):
        run.refill(matrix * factor)
        b = np.ones(matrix.shape[0])
        run.solve(b)
        assert run.residual(b) <= 1.001e-8


@pytest.mark.parametrize("arm", ["direct", "auto"])
def test_a_regular_matrix_with_zero_pivots_is_not_called_singular(worker: Any, arm: str) -> None:
    corner = worker.families(10)["spd-2d"].matrix(0)
    n = corner.shape[0]
    coupling = sp.random_array((12, n), density=0.3, rng=np.random.default_rng(1))
    saddle = sp.coo_array(sp.block_array([[corner, coupling.T], [coupling, None]]))
    zeros = np.arange(n, n + 12)
    rows, columns = (np.r_[place, zeros] for place in saddle.coords)
    values = np.r_[saddle.data, np.zeros(12)]
    run = worker.Run(
        sp.csr_array((values, (rows, columns)), shape=saddle.shape),
        Traits(symmetric=True),
        method=arm,
    )
    goes_on(run, run.scipy)
    run.destroy()


def test_tiny_pivots_do_not_spoil_a_direct_solution(worker: Any) -> None:
    matrix = sp.csr_array(np.array([[1e-16, 1.0, 0.0], [1.0, 1e-16, 1.0], [0.0, 1.0, 1.0]]))
    run = worker.Run(matrix, Traits(), method="direct")
    goes_on(run, matrix)
    run.destroy()


def test_auto_ends_with_a_direct_solution_where_iterations_fail(worker: Any) -> None:
    # Waves in three dimensions, which defeat every iteration with an incomplete factor.
    difference, one = worker.second_difference(10), sp.eye_array(10)
    parts = [(difference, one, one), (one, difference, one), (one, one, difference)]
    laplacian = sum(sp.kron(sp.kron(a, b), c) for a, b, c in parts)
    waves = sp.csr_array(laplacian - 4.0 * sp.eye_array(1000))
    traits = Traits(symmetric=True, dimension=3)
    with pytest.raises(LinearSolveError):
        worker.Run(waves, traits, method="ilu-gmres").solve(worker.right_hand_side(1000, 0))
    run = worker.Run(waves, traits)
    for number in range(5):
        b = worker.right_hand_side(1000, number)
        run.refill(waves * (1.0 + number))
        assert run.solve(b).configuration == "direct"
        assert run.residual(b) <= 1.001e-8
    run.destroy()


def test_methods_that_do_not_suit_are_refused(worker: Any, families: Any) -> None:
    family = families["spd-2d"]
    with pytest.raises(UserError, match=r"auto or one of .*direct.*received 'ilu-gmres'"):
        worker.Run(family.matrix(0), family.traits, method="ilu-gmres")
    with pytest.raises(UserError, match="fast-poisson"):  # needs a grid
        worker.Run(family.matrix(0), family.traits, method="fast-poisson")


def test_a_constant_matrix_is_factored_at_once_and_not_looked_at_again(
    worker: Any, families: Any
) -> None:
    family = families["spd-2d"]
    run = worker.Run(family.matrix(0), replace(family.traits, constant=True))
    for number in range(4):
        run.solver.refilled()  # a promise, whatever the caller says
        report = run.solve(b := worker.right_hand_side(930, number))
        assert report.configuration == "direct"
        assert report.work.setups == (number == 0)
        assert report.work.operator == 1
        assert run.residual(b) <= 1e-8
    run.destroy()


def test_a_constant_matrix_that_changes_is_named(worker: Any, families: Any) -> None:
    family = families["spd-2d"]
    run = worker.Run(family.matrix(0), replace(family.traits, constant=True), method="direct")
    b = worker.right_hand_side(930, 0)
    run.solve(b)
    run.refill(family.matrix(1))
    with pytest.raises(LinearSolveError, match="traits call it constant") as caught:
        run.solve(b)
    assert caught.value.reason == "not-constant"
    run.solve(b)
    assert run.residual(b) <= 1e-8
    run.destroy()


def test_a_block_names_a_constant_matrix_that_changes(worker: Any, families: Any) -> None:
    family = families["spd-2d"]
    run = worker.Run(family.matrix(0), replace(family.traits, constant=True))
    block = worker.to_dense(worker.right_hand_side(930, 0)[:, None])
    run.solver.solve_many(block, answer := block.duplicate())
    run.refill(family.matrix(1))
    with pytest.raises(LinearSolveError, match="traits call it constant"):
        run.solver.solve_many(block, answer)
    run.solver.solve_many(block, answer)
    left = block.getDenseArray() - run.scipy @ answer.getDenseArray()
    assert np.linalg.norm(left) <= 1e-8 * np.linalg.norm(block.getDenseArray())
    run.destroy()


def test_two_right_hand_sides_do_not_pay_for_a_factor_in_three_dimensions(worker: Any) -> None:
    matrix = darcy_7_point(worker.permeability((12, 12, 12), 10.0, 0))
    run = worker.Run(matrix, Traits(symmetric=True, definite=True, dimension=3))
    for number in range(8):
        if number % 2 == 0:
            run.refill(matrix * (1.0 + number))
        report = run.solve(worker.right_hand_side(1728, number))
        assert not report.configuration.startswith("direct")
    run.destroy()


@pytest.mark.parametrize("size", [1e-38, 1.0, 1e36])
def test_single_precision_inside_limits_no_units(worker: Any, families: Any, size: float) -> None:
    family = families["spd-grid"]
    run = worker.Run(family.matrix(0), family.traits, method="fast-poisson", guess="given")
    b = size * worker.right_hand_side(family.matrix(0).shape[0], 0)
    report = run.solve(b)
    assert run.residual(b) <= 1e-8
    assert report.work.iterations <= 12
    run.destroy()


def test_the_spacing_of_a_grid_shows_in_the_first_values(worker: Any) -> None:
    """Constructed with a matrix of zeros; cells a tenth as wide as high."""
    n = 40
    D = worker.second_difference(n)
    eye = sp.eye_array(n)
    matrix = sp.csr_array(sp.kron(D, eye) + 100.0 * sp.kron(eye, D))
    traits = Traits(symmetric=True, definite=True)
    run = worker.Run(matrix * 0.0, traits, method="fast-poisson", guess="given")
    run.refill(matrix)
    assert run.solve(worker.right_hand_side(n * n, 0)).work.iterations <= 35
    run.destroy()


def test_a_grid_without_held_values_is_solved_by_whatever_suits(worker: Any) -> None:
    """Zero flux around: another Laplacian than the fast Poisson solver's."""
    n = 30
    D = worker.second_difference(n).tolil()
    D[0, 0] = D[n - 1, n - 1] = 1.0
    eye = sp.eye_array(n)
    matrix = sp.csr_array(sp.kron(D, eye) + sp.kron(eye, D) + 0.01 * sp.eye_array(n * n))
    run = worker.Run(matrix, Traits(symmetric=True, definite=True))
    for number in range(12):
        run.refill(matrix * (1.0 + number))
        run.solve(b := worker.right_hand_side(n * n, number))
        assert run.residual(b) <= 1.001e-8
    run.destroy()


def test_a_grid_of_another_size_is_refused(worker: Any, families: Any) -> None:
    traits = Traits(symmetric=True, definite=True, grid=Grid((5, 5), (0.1, 0.1)))
    with pytest.raises(UserError, match=r"930 cells.*\(5, 5\)"):
        worker.Run(families["spd-2d"].matrix(0), traits)


@pytest.mark.parametrize(
    "wrong",
    [
        {"definite": True},
        {"symmetric": True, "grid": Grid((3,), (1.0,))},
    ],
)
def test_traits_that_contradict_each_other_are_refused(wrong: Any) -> None:
    with pytest.raises(UserError, match="expected"):
        Traits(**wrong)


def test_factorisations_follow_the_traits(worker: Any, families: Any) -> None:
    found = {}
    for name in ("spd-2d", "spd-grid", "spd-3d", "nonsymmetric"):
        run = worker.Run(families[name].matrix(0), families[name].traits)
        system = System(run.matrix, families[name].traits)
        own, mumps = own_options(system), mumps_options(system)
        ordering = own["pc_factor_mat_ordering_type"], mumps["mat_mumps_icntl_7"]
        found[name] = (own["pc_type"], mumps["pc_type"], *ordering)
        assert set(mumps) - set(mumps_options(system, careful=True)) == {
            "mat_mumps_icntl_6",
            "mat_mumps_icntl_8",
        }
        run.destroy()
    assert found == {
        "spd-2d": ("cholesky", "cholesky", "metisnd", "2"),
        "spd-grid": ("cholesky", "cholesky", "nd", "2"),
        "spd-3d": ("cholesky", "cholesky", "metisnd", "4"),
        "nonsymmetric": ("lu", "lu", "nd", "2"),
    }


def test_larger_nonsymmetric_systems_are_offered_to_mumps(worker: Any) -> None:
    matrices = [worker.convection_diffusion(60, 20.0 + i, 0.1 * i) for i in range(3)]
    run = worker.Run(matrices[0], Traits())
    assert "direct-mumps" in run.solver.arms
    run.destroy()
    run = worker.Run(matrices[0], Traits(), method="direct-mumps")
    for number, matrix in enumerate(matrices):
        run.refill(matrix)
        run.solve(b := worker.right_hand_side(3600, number))
        assert run.residual(b) <= 1e-8
    run.destroy()


def test_options_that_petsc_does_not_use_are_named_and_removed() -> None:
    pc, database = PETSc.PC().create(), PETSc.Options()
    options = {"pc_type": "jacobi", "pc_jacoby_typ": "rowmax"}
    with (
        pytest.raises(UserError, match="pc_jacoby_typ"),
        configured(pc, "wrong_", options),
    ):
        assert pc.getType() == "jacobi"
    assert not [name for name in options if database.hasName("wrong_" + name)]
    pc.destroy()
