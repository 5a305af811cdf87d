"""GCRO-DR against the published formulas on dense matrices, SciPy's GCROT and PETSc's GMRES."""

from typing import Any

import numpy as np
import pytest
from scipy import linalg
from scipy.sparse.linalg import gcrotmk

from solvers.backend import PETSc
from solvers.krylov.blocks import Reducer
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import Reason, Tolerance
from solvers.krylov.ritz import harmonic_ritz

TIGHT = Tolerance(1e-10, 0.0, 2000)


def solve(operator: Any, b: Any, space: Any = None, same: bool = False, **how: Any) -> Any:
    """Return x and the result of GCRO-DR."""
    x = np.zeros(len(b))
    space = RecycleSpace.empty(len(b)) if space is None else space
    method = GCRODR(how.pop("restart", 40), how.pop("size", 20))
    return x, method.solve(operator, b, x, space, same=same, **{"tolerance": TIGHT, **how})


def parks(A: Any, b: Any, U: Any, m: int, k: int) -> Any:
    """Return a solution, U and steps by the formulas of Parks et al. (2006), without economy."""
    x, r, steps = np.zeros(len(b)), b, 0
    C = np.empty((len(b), 0)) if U is None else A @ U
    U = np.empty((len(b), 0)) if U is None else U
    while True:
        C, R = np.linalg.qr(C)
        U = linalg.solve_triangular(R, U.T, trans="T").T
        x, r = x + U @ (C.T @ r), r - C @ (C.T @ r)
        V = np.empty((len(b), 0))
        W = np.column_stack([C, r / np.linalg.norm(r)])
        while len(V.T) < m - len(U.T):
            V = np.column_stack([V, W[:, -1]])
            W = np.linalg.qr(np.column_stack([W, A @ V[:, -1]]))[0]
            steps += 1
            space = np.column_stack([U, V])
            G = W.T @ A @ space
            y = np.linalg.lstsq(G, W.T @ r)[0]
            if np.linalg.norm(W.T @ r - G @ y) <= 1e-10 * np.linalg.norm(b):
                break
        x = x + space @ y
        r = b - A @ x
        values, vectors = linalg.eig(G.T @ G, G.T @ W.T @ space)
        chosen = vectors[:, np.argsort(np.abs(values))[:k]]
        U = space @ linalg.orth(np.hstack([chosen.real, chosen.imag]), rcond=1e-9)
        C = A @ U
        if np.linalg.norm(r) <= 1.0001e-10 * np.linalg.norm(b):
            return x, U, steps


def test_sequences_repeat_the_dense_formulas(worker: Any) -> None:
    matrix = worker.shifted_laplacian(12, 60.0)
    operator, rng = worker.operator(matrix, "none"), np.random.default_rng(0)
    space, U = RecycleSpace.empty(operator.n_local), None
    for same in (False, True, True):
        b = rng.standard_normal(operator.n_local)
        x, result = solve(operator, b, space, same, restart=14, size=5)
        space = result.space
        expected, U, steps = parks(matrix.toarray(), b, U, 14, 5)
        assert result.iterations == steps
        np.testing.assert_allclose(x, expected, atol=1e-7 * np.abs(expected).max())
        assert np.sin(linalg.subspace_angles(space.U, U)).max() <= 1e-5


def smallest_that_fit(values: Any, count: int) -> Any:
    """Return the values of smallest modulus, complex pairs whole or not at all."""
    chosen: list[complex] = []
    for value in sorted(values, key=lambda value: (round(abs(value), 9), -value.imag)):
        pair = [value] if value.imag == 0 else [value, value.conjugate()]
        if value.imag >= 0 and len(chosen) + len(pair) <= count:
            chosen += pair
    return np.sort_complex(np.array(chosen))


def test_harmonic_ritz_values_are_the_smallest_and_pairs_stay_together() -> None:
    rng = np.random.default_rng(4)
    for count in range(1, 9):
        G, B = rng.standard_normal((10, 9)), rng.standard_normal((10, 9))
        P = harmonic_ritz(G, B, count)
        np.testing.assert_allclose(P.T @ P, np.eye(P.shape[1]), atol=1e-12)
        whole = np.linalg.solve(G.T @ B, G.T @ G)
        np.testing.assert_allclose(whole @ P, P @ (P.T @ whole @ P), atol=1e-9)
        found = np.sort_complex(linalg.eigvals(P.T @ whole @ P))
        np.testing.assert_allclose(
            found, smallest_that_fit(linalg.eigvals(whole), count), rtol=1e-7
        )


def test_without_restart_it_is_full_gmres(worker: Any) -> None:
    matrix = worker.to_petsc(worker.convection_diffusion(15))
    b = np.random.default_rng(1).standard_normal(225)
    operator = worker.operator(worker.convection_diffusion(15), "ilu")
    _, result = solve(operator, b, restart=120)
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOperators(matrix)
    ksp.setType("gmres")
    ksp.setGMRESRestart(120)
    ksp.getPC().setType("ilu")
    ksp.setPCSide(PETSc.PC.Side.RIGHT)
    ksp.setTolerances(rtol=1e-10)
    left, right = matrix.createVecs()
    right.array[:] = b
    ksp.solve(right, left)
    assert abs(result.iterations - ksp.getIterationNumber()) <= 1
    assert len(result.history) == result.iterations + 1


@pytest.mark.parametrize("kind", ["darcy", "convection_diffusion"])
def test_it_needs_no_more_steps_than_gcrotmk(worker: Any, kind: str) -> None:
    matrix = getattr(worker, kind)(24)
    operator, rng = worker.operator(matrix, "none"), np.random.default_rng(2)
    space, kept, mine, theirs = RecycleSpace.empty(operator.n_local), [], 0, 0
    for same in (False, True, True):
        b = rng.standard_normal(operator.n_local)
        x, result = solve(operator, b, space, same)
        space, mine = result.space, mine + result.products
        counted = worker.Counted(matrix)
        y, info = gcrotmk(counted, b, rtol=1e-10, m=20, k=20, CU=kept)
        theirs += counted.products
        assert info == 0
        np.testing.assert_allclose(x, y, atol=1e-7 * np.abs(y).max())
    assert mine <= 1.05 * theirs


def test_the_space_follows_a_solve_that_converged_early(worker: Any) -> None:
    operator = worker.operator(worker.darcy(16), "ilu")
    rng = np.random.default_rng(5)
    _, first = solve(operator, rng.standard_normal(256), size=10)
    loose = Tolerance(1e-3, 0.0, 100)
    b = rng.standard_normal(256)
    _, second = solve(operator, b, first.space, True, size=10, tolerance=loose)
    assert 0 < second.iterations < 30
    assert second.space is not first.space
    assert np.sin(linalg.subspace_angles(first.space.U, second.space.U)).max() > 1e-3


def test_few_steps_leave_a_small_space_that_grows(worker: Any) -> None:
    operator, b = worker.operator(worker.darcy(12)), np.ones(144)
    _, first = solve(operator, b, tolerance=Tolerance(1e-10, 0.0, 3), size=10)
    _, second = solve(operator, b, first.space, True, tolerance=Tolerance(1e-10, 0.0, 4), size=10)
    assert (first.reason, first.space.size, second.space.size) == (Reason.ITERATION_LIMIT, 3, 7)


def test_the_preconditioner_may_vary_from_step_to_step(worker: Any) -> None:
    matrix, b = worker.darcy(20), np.ones(400)
    system = worker.to_petsc(matrix)
    inner = worker.preconditioner(system, "ksp")
    ksp = inner.getKSP()
    ksp.setType("gmres")
    ksp.getPC().setType("jacobi")
    ksp.setTolerances(rtol=0.3, max_it=6)
    space, same = None, False
    for _ in range(2):
        x, result = solve(worker.Operator(system, inner), b, space, same, restart=12, size=4)
        assert result.reason is Reason.CONVERGED
        assert np.linalg.norm(b - matrix @ x) <= 1e-10 * np.linalg.norm(b)
        space, same = result.space, True
        b = b + np.arange(400) / 400


def test_a_solution_as_guess_needs_no_step(worker: Any) -> None:
    operator, b = worker.operator(worker.darcy(10)), np.ones(100)
    x, _ = solve(operator, b)
    again = GCRODR().solve(
        operator, b, x, RecycleSpace.empty(100), tolerance=Tolerance(2e-10, 0.0, 100)
    )
    assert (again.reason, again.iterations, again.products) == (Reason.CONVERGED, 0, 1)


def test_a_guess_that_is_declared_zero_saves_a_product(worker: Any) -> None:
    operator, b = worker.operator(worker.darcy(10)), np.ones(100)
    x, told = solve(operator, b, guess=False)
    y, not_told = solve(operator, b)
    np.testing.assert_array_equal(x, y)
    assert told.products == not_told.products - 1


def test_sums_of_several_arrays_cost_one_reduction(worker: Any) -> None:
    reducer = Reducer(worker.MPI.COMM_SELF)
    one, two = reducer.sums(np.eye(3), np.arange(4.0))
    assert reducer.count == 1
    np.testing.assert_array_equal(one, np.eye(3))
    np.testing.assert_array_equal(two, np.arange(4.0))


def test_a_shell_matrix_is_applied_vector_by_vector(worker: Any) -> None:
    matrix = worker.darcy(10)
    stored = worker.operator(matrix, "none")
    shell = PETSc.Mat().createPython(stored.matrix.getSizes(), worker.Shell(stored.matrix))
    shell.setUp()
    free = worker.Operator(shell, worker.preconditioner(stored.matrix, "none"))
    block = np.random.default_rng(6).standard_normal((5, 100))
    for operator in (free, stored):
        images = operator.apply_block(block)
        np.testing.assert_allclose(images, (matrix @ block.T).T, atol=1e-13)
    assert free.products == 5
    assert stored.products == 5
