"""Deflated CG: the gain on many right-hand sides, plain CG as a limit, and the space it leaves."""

from typing import Any

import numpy as np
import pytest
from scipy import linalg

from solvers.backend import PETSc
from solvers.krylov.deflated_cg import DeflatedCG
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import Reason, Tolerance

EIGHT = Tolerance(1e-8, 0.0, 3000)


def sequence(operator: Any, method: DeflatedCG, rights: Any) -> list[Any]:
    """Solve one matrix with several right-hand sides, the space handed on."""
    results: list[Any] = []
    space = RecycleSpace.empty(operator.n_local)
    for b in rights:
        x = np.zeros(len(b))
        results.append(
            method.solve(operator, b, x, space, same=bool(results), tolerance=EIGHT, guess=False)
        )
        space = results[-1].space
    return results


def columns(space: RecycleSpace) -> dict[str, Any]:
    return {"U": space.U, "C": space.C, "T": space.T}


def rights(n: int, count: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_normal((count, n))


@pytest.mark.parametrize("seed", [0, 2, 3])
@pytest.mark.parametrize("kind", ["jacobi", "icc"])
def test_from_the_second_solve_on_it_takes_1_8_times_fewer_steps(
    worker: Any, kind: str, seed: int
) -> None:
    operator = worker.operator(worker.darcy(80), kind)
    right = rights(6400, 6 if seed == 0 else 2, seed)
    cold = sequence(operator, DeflatedCG(0), right)
    recycled = sequence(operator, DeflatedCG(20), right)
    for one, other in zip(cold[1:], recycled[1:], strict=True):
        assert other.reason is Reason.CONVERGED
        assert one.iterations >= 1.8 * (other.iterations + other.recycle_products)
    # The first solve pays for it with a sixth more.
    assert recycled[0].iterations <= 1.2 * cold[0].iterations
    assert recycled[-1].space.settled == (seed == 0)


def test_without_a_space_it_is_conjugate_gradients(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(30))
    b = rights(900, 1)
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOperators(matrix)
    ksp.setType("cg")
    ksp.getPC().setType("jacobi")
    ksp.setNormType(PETSc.KSP.NormType.NORM_UNPRECONDITIONED)
    ksp.setTolerances(rtol=EIGHT.rtol)
    left, right = matrix.createVecs()
    right.array[:] = b[0]
    ksp.solve(right, left)
    (result,) = sequence(worker.operator(worker.darcy(30)), DeflatedCG(0), b)
    assert result.iterations == ksp.getIterationNumber()
    assert result.space.size == 0
    # One product besides a step's: the true residual, and the last measured one.
    assert result.products == result.iterations + 2
    assert result.reductions == result.iterations + 3


def test_the_space_settles_on_the_lowest_eigenvectors(worker: Any) -> None:
    matrix = worker.darcy(20)
    scale = matrix.diagonal()
    _, exact = linalg.eigh(matrix.toarray(), np.diag(scale), subset_by_index=[0, 5])
    results = sequence(worker.operator(matrix), DeflatedCG(8, 40), rights(400, 8))
    U = np.sqrt(scale)[:, None] * results[-1].space.U
    basis, _ = np.linalg.qr(U)
    exact = np.sqrt(scale)[:, None] * exact
    left = exact - basis @ (basis.T @ exact)
    assert np.linalg.norm(left, axis=0).max() <= 5e-2  # of vectors of unit length


def test_exact_eigenvectors_leave_the_conditioning_of_the_rest(worker: Any) -> None:
    matrix = worker.darcy(20)
    D = np.diag(matrix.diagonal())
    values, vectors = linalg.eigh(matrix.toarray(), D)
    U = np.asfortranarray(vectors[:, :10])
    space = RecycleSpace(U, matrix @ U, D @ U)
    operator, b = worker.operator(matrix), rights(400, 1)[0]
    result = DeflatedCG(10).solve(operator, b, np.zeros(400), space, same=True, tolerance=EIGHT)
    root = np.sqrt(values[-1] / values[10])
    bound = np.log(2 / 1e-8 * root) / np.log((root + 1) / (root - 1))
    assert result.reason is Reason.CONVERGED
    assert result.iterations <= bound
    assert result.recycle_products == 0


def test_a_settled_space_is_left_as_it_is(worker: Any) -> None:
    results = sequence(worker.operator(worker.darcy(20)), DeflatedCG(8, 40), rights(400, 8))
    settled = [result.space for result in results if result.space.settled]
    assert len(settled) >= 3
    for space in settled[1:]:
        assert np.sin(linalg.subspace_angles(space.U, settled[0].U)).max() <= 1e-7


def test_dependent_vectors_in_the_space_do_no_harm(worker: Any) -> None:
    operator, (first, second) = worker.operator(worker.darcy(20)), rights(400, 2)
    method = DeflatedCG(8, 40)
    (result,) = sequence(operator, method, [first])
    doubled = RecycleSpace.from_arrays(
        {name: np.hstack([array, 2 * array]) for name, array in columns(result.space).items()}
    )
    solved = [
        method.solve(operator, second, np.zeros(400), space, same=True, tolerance=EIGHT)
        for space in (result.space, doubled)
    ]
    assert abs(solved[0].iterations - solved[1].iterations) <= 1
    assert solved[1].space.size == 8
