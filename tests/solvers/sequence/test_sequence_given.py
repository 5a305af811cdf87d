"""Options that the user gave: NaN is never a solution, and residuals are what they are called."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from solvers.errors import LinearSolveError
from solvers.linear import LinearSolver

RIGHT = {"ksp_type": "bcgs", "pc_type": "sor", "ksp_pc_side": "right"}
LEFT = {"ksp_type": "gmres", "pc_type": "jacobi"}
LU = {"ksp_type": "preonly", "pc_type": "lu"}
# As many sweeps as asked for; PETSc computes no norm and calls the result converged.
BLIND = {"ksp_type": "richardson", "ksp_norm_type": "none", "ksp_max_it": "1", "pc_type": "lu"}
METHODS = {"right": RIGHT, "left": LEFT, "preonly": LU, "no norm": BLIND}
each = pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)


@pytest.fixture
def run_with(worker: Any, families: Any) -> Callable[..., Any]:
    """Give a function that returns a runner with given options on a nonsymmetric matrix."""

    def make(options: Mapping[str, str], **how: Any) -> Any:
        family = families["nonsymmetric"]
        return worker.Run(family.matrix(0), family.traits, options=options, guess="given", **how)

    return make


@each
def test_nan_in_the_matrix_is_not_a_solution(
    run_with: Callable[..., Any], families: Any, options: Mapping[str, str]
) -> None:
    run, matrix = run_with(options), families["nonsymmetric"].matrix(1)
    b = np.ones(matrix.shape[0])
    run.solve(b)
    spoiled = matrix.copy()
    spoiled.data[7] = np.nan
    run.refill(spoiled)
    with pytest.raises(LinearSolveError, match="expected") as caught:
        run.solve(b)
    # PETSc's iterations notice NaN themselves.
    assert caught.value.reason == ("linear-solve" if options in (RIGHT, LEFT) else "not-finite")
    assert run.x.norm() == 0.0
    run.refill(matrix)
    run.solve(b)
    assert run.residual(b) <= 1.001e-8
    run.destroy()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_method_without_iterations_proves_nothing_with_numbers_that_are_not_finite(
    worker: Any, families: Any, value: float
) -> None:
    matrix = worker.to_petsc(families["nonsymmetric"].matrix(0))
    solver = LinearSolver(matrix, "test", LU, 1e-8)
    x, b = matrix.createVecs()
    b.set(value)
    with pytest.raises(LinearSolveError, match=r"test system.*expected finite") as caught:
        solver.solve(b, x)
    assert caught.value.reason == "not-finite"
    b.set(1.0)
    solver.solve(b, x)
    assert np.isfinite(x.norm())
    solver.destroy()


@each
@pytest.mark.parametrize("rtol", [1e-5, 1e-10])
def test_a_reported_residual_is_the_true_one_or_not_a_number(
    run_with: Callable[..., Any], families: Any, options: Mapping[str, str], rtol: float
) -> None:
    run = run_with(options, rtol=rtol)
    for number in range(3):
        matrix = families["nonsymmetric"].matrix(number)
        run.refill(matrix)
        b = np.ones(matrix.shape[0])
        report, true = run.solve(b), run.residual(b)
        assert true <= 1.001 * rtol
        if options is LU:
            assert math.isnan(report.residual)
        else:
            assert report.residual == pytest.approx(true, rel=1e-2, abs=1e-13)
    run.destroy()


@pytest.mark.parametrize(("options", "more"), [(RIGHT, 0), (LU, 0), (LEFT, 1)])
def test_the_residual_costs_a_product_only_where_petsc_does_not_know_it(
    run_with: Callable[..., Any],
    counted: Callable[..., Callable[[], int]],
    options: Mapping[str, str],
    more: int,
) -> None:
    run = run_with(options)
    alone = LinearSolver(run.matrix, "alone", options, 1e-8)
    b = np.ones(run.scipy.shape[0])

    def products(solve: Callable[[], Any]) -> int:
        run.x.zeroEntries()
        total = counted("MatMult")
        solve()
        return total()

    for first in (True, False):  # the first solve proves a factor
        ours = products(lambda: run.solve(b))
        assert ours == products(lambda: alone.solve(run.b, run.x)) + more, first
    alone.destroy()
    run.destroy()
