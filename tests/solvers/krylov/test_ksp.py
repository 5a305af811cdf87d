"""`RecyclingKSP` inside PETSc: options, tolerances, guesses, histories, changing matrices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.backend import PETSc
from solvers.krylov.deflated_cg import DeflatedCG
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.ksp import RecyclingKSP
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import Reason
from solvers.krylov.settings import RecyclingSettings

PYTHON = {"ksp_type": "python", "ksp_python_type": "solvers.krylov.ksp.RecyclingKSP"}


@pytest.fixture
def database() -> Iterator[Any]:
    """Give a function that sets options under the prefix ``lab_`` for the test only."""
    options: Any = PETSc.Options()
    names = []

    def fill(**given: Any) -> Any:
        for name, value in given.items():
            names.append(f"lab_{name}")
            options[names[-1]] = value
        return options

    yield fill
    for name in names:
        options.delValue(name)


def from_options(matrix: Any) -> Any:
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOptionsPrefix("lab_")
    ksp.setOperators(matrix)
    ksp.setFromOptions()
    return ksp


def direct(matrix: Any, **settings: Any) -> Any:
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOperators(matrix)
    ksp.getPC().setType("jacobi")
    ksp.setType("python")
    ksp.setPythonContext(RecyclingKSP(RecyclingSettings(**settings)))
    ksp.setTolerances(rtol=1e-8)
    return ksp


def vectors(matrix: Any, seed: int) -> tuple[Any, Any]:
    x, b = matrix.createVecs()
    b.array[:] = np.random.default_rng(seed).standard_normal(len(b.array))
    return b, x


def residual(matrix: Any, b: Any, x: Any) -> float:
    r = b - matrix * x
    return float(r.norm() / b.norm())


def test_the_options_database_makes_and_sets_it(worker: Any, database: Any) -> None:
    matrix = worker.to_petsc(worker.convection_diffusion(15))
    options = database(
        **PYTHON, recycling_size=7, recycling_restart=18, pc_type="ilu", ksp_rtol=1e-9
    )
    ksp = from_options(matrix)
    b, x = vectors(matrix, 0)
    ksp.solve(b, x)
    context = ksp.getPythonContext()
    assert context.settings == RecyclingSettings(restart=18, size=7)
    assert context.space.size == 7
    assert ksp.getConvergedReason() > 0
    assert residual(matrix, b, x) <= 1e-9
    assert options.used("lab_recycling_size")
    assert options.used("lab_recycling_restart")


@pytest.mark.parametrize(
    ("name", "value"),
    [("sizee", 3), ("size", -1), ("size", 40), ("method", "gmres"), ("staleness", 1.5)],
)
def test_wrong_options_are_refused_with_the_valid_names(
    worker: Any, database: Any, name: str, value: Any
) -> None:
    database(**PYTHON, **{f"recycling_{name}": value})
    with pytest.raises(PETSc.Error) as caught:
        from_options(worker.to_petsc(worker.darcy(5)))
    cause = caught.value.__cause__
    assert isinstance(cause, UserError)
    assert "restart, size, window" in str(cause)
    assert str(value) in str(cause)


def test_petsc_does_not_count_a_misspelt_option_as_used(worker: Any, database: Any) -> None:
    options = database(**PYTHON, recycling_size=5, recyclin_size=5)
    from_options(worker.to_petsc(worker.darcy(5)))
    assert options.used("lab_recycling_size")
    assert not options.used("lab_recyclin_size")


def test_the_same_matrix_costs_no_products_and_a_changed_one_costs_k(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(20))
    ksp = direct(matrix, method="gcrodr", size=6)
    context, carried = ksp.getPythonContext(), []
    for change in (None, None, lambda: matrix.scale(3.0), None, lambda: context.tell(same=False)):
        if change is not None:
            change()
        b, x = vectors(matrix, len(carried))
        ksp.solve(b, x)
        assert residual(matrix, b, x) <= 1e-8
        carried.append(context.result.recycle_products)
    assert carried == [0, 0, 6, 0, 6]


@pytest.mark.parametrize("method", ["gcrodr", "cg"])
def test_a_stored_space_continues_the_sequence_bit_by_bit(
    worker: Any, method: str, tmp_path: Path
) -> None:
    matrix = worker.to_petsc(worker.darcy(20))
    ksp, resumed = direct(matrix, method=method, size=8), direct(matrix, method=method, size=8)
    b, x = vectors(matrix, 0)
    ksp.solve(b, x)
    np.savez(tmp_path / "space.npz", **ksp.getPythonContext().space.arrays())
    with np.load(tmp_path / "space.npz") as stored:
        resumed.getPythonContext().space = RecycleSpace.from_arrays(dict(stored))
    resumed.getPythonContext().tell(same=True)
    for seed in (1, 2, 3):
        solutions = []
        for solver in (ksp, resumed):
            b, x = vectors(matrix, seed)
            solver.solve(b, x)
            solutions.append(x.array.copy())
            assert solver.getPythonContext().result.recycle_products == 0
        np.testing.assert_array_equal(*solutions)


def test_it_takes_a_guess_and_the_limits_of_the_ksp(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(20))
    ksp = direct(matrix, method="gcrodr")
    b, x = vectors(matrix, 0)
    ksp.solve(b, x)
    ksp.setInitialGuessNonzero(True)
    ksp.solve(b, x)
    assert ksp.getIterationNumber() == 0
    ksp.setInitialGuessNonzero(False)
    ksp.setTolerances(rtol=1e-12, max_it=4)
    ksp.solve(b, x)
    assert ksp.getIterationNumber() == 4
    assert ksp.getConvergedReason() == PETSc.KSP.ConvergedReason.DIVERGED_MAX_IT
    ksp.setTolerances(rtol=0.0, atol=1e-3 * b.norm(), max_it=500)
    ksp.solve(b, x)
    assert ksp.getConvergedReason() > 0
    assert 1e-8 < residual(matrix, b, x) <= 1e-3


def test_monitors_and_histories_see_every_step(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(20))
    ksp, seen = direct(matrix, method="cg", size=0), []
    ksp.setConvergenceHistory()
    ksp.setMonitor(lambda _, iteration, norm: seen.append((iteration, norm)))
    b, x = vectors(matrix, 0)
    ksp.solve(b, x)
    assert [iteration for iteration, _ in seen] == list(range(ksp.getIterationNumber() + 1))
    np.testing.assert_allclose(ksp.getConvergenceHistory(), [norm for _, norm in seen])
    assert ksp.getResidualNorm() == pytest.approx(residual(matrix, b, x) * b.norm())


def test_auto_takes_cg_where_the_matrix_is_marked_symmetric(worker: Any) -> None:
    for marked, kind in ((True, DeflatedCG), (False, GCRODR)):
        matrix = worker.to_petsc(worker.darcy(10))
        if marked:
            matrix.setOption(PETSc.Mat.Option.SPD, True)
        ksp = direct(matrix)
        b, x = vectors(matrix, 0)
        ksp.solve(b, x)
        assert isinstance(ksp.getPythonContext().method, kind)


def test_auto_leaves_cg_when_the_matrix_proves_indefinite(worker: Any) -> None:
    matrix = worker.to_petsc(worker.shifted_laplacian(15, 100.0))
    matrix.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    ksp = direct(matrix)
    context = ksp.getPythonContext()
    for seed in range(2):
        b, x = vectors(matrix, seed)
        ksp.solve(b, x)
        assert context.result.reason is Reason.CONVERGED
        assert isinstance(context.method, GCRODR)
        assert residual(matrix, b, x) <= 1e-8


def test_a_failed_solve_is_named_and_the_next_one_works(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(10))
    ksp = direct(matrix, method="gcrodr", size=5)
    b, x = vectors(matrix, 0)
    ksp.solve(b, x)
    b.array[0] = np.nan
    ksp.solve(b, x)
    assert ksp.getConvergedReason() == PETSc.KSP.ConvergedReason.DIVERGED_NANORINF
    assert ksp.getPythonContext().result.reason is Reason.NOT_FINITE
    b, x = vectors(matrix, 1)
    ksp.solve(b, x)
    assert residual(matrix, b, x) <= 1e-8


def test_an_attached_null_space_stays_out_of_the_solution(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(10))
    ones, sums = matrix.createVecs()
    ones.set(-1.0)
    matrix.mult(ones, sums)
    matrix.setDiagonal(matrix.getDiagonal() + sums)
    matrix.setNullSpace(PETSc.NullSpace().create(constant=True, comm=matrix.comm))
    for method in ("gcrodr", "cg"):
        ksp = direct(matrix, method=method, size=5)
        for seed in range(2):
            b, x = vectors(matrix, seed)
            b.array[:] -= b.array.mean()
            ksp.solve(b, x)
            assert residual(matrix, b, x) <= 1e-8
            assert abs(x.array.mean()) <= 1e-10 * np.abs(x.array).max()


def test_another_matrix_of_another_size_starts_without_a_space(worker: Any) -> None:
    ksp = direct(worker.to_petsc(worker.darcy(10)), method="cg", size=5)
    for cells in (10, 12):
        matrix = worker.to_petsc(worker.darcy(cells))
        ksp.reset()
        ksp.setOperators(matrix)
        b, x = vectors(matrix, 0)
        ksp.solve(b, x)
        assert residual(matrix, b, x) <= 1e-8
        assert ksp.getPythonContext().space.n_local == cells**2


def test_another_preconditioner_is_taken_at_once_and_the_space_stays(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(20))
    ksp = direct(matrix, method="gcrodr", size=8)
    steps = []
    for seed in range(3):
        b, x = vectors(matrix, seed)
        ksp.solve(b, x)
        steps.append(ksp.getIterationNumber())
        assert ksp.getPythonContext().result.recycle_products == 0
        if seed == 1:
            ksp.setPC(worker.preconditioner(matrix, "ilu"))
    assert steps[2] < 0.7 * steps[1]


def test_images_are_computed_anew_after_fifty_solves(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(8))
    for method in ("gcrodr", "cg"):
        ksp, carried = direct(matrix, method=method, size=4), []
        for seed in range(54):
            b, x = vectors(matrix, seed)
            ksp.solve(b, x)
            carried.append(ksp.getPythonContext().result.recycle_products)
        assert sum(carried) == 4
        assert carried.index(4) >= 50


def test_the_view_names_the_settings(worker: Any, capfd: Any) -> None:
    ksp = direct(worker.to_petsc(worker.darcy(5)), size=3)
    ksp.view()
    assert "'size': 3" in capfd.readouterr().out


@pytest.mark.parametrize("method", ["cg", "gcrodr"])
def test_a_solve_that_ends_at_once_leaves_the_space_to_its_own_matrix(
    worker: Any, method: str
) -> None:
    """Else the image of the old matrix would pass for that of the new one."""
    first = worker.to_petsc(worker.darcy(20))
    second = worker.to_petsc(worker.darcy(20, seed=2))
    ksp = direct(first, method=method)
    b, x = vectors(first, 3)
    ksp.solve(b, x)
    second.copy(first)
    nothing = b.duplicate()
    nothing.set(0.0)
    ksp.solve(nothing, x)
    ksp.solve(b, x)
    assert ksp.getConvergedReason() > 0
    assert ksp.getPythonContext().result.recycle_products > 0
