"""Systems that cannot be solved end with a named reason and leave a clean state."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from infra.errors import UserError
from solvers.krylov.deflated_cg import DeflatedCG
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import Reason, Tolerance

METHODS = {"gcrodr": GCRODR(20, 8), "cg": DeflatedCG(8, 30)}
N = 225
each_method = pytest.mark.parametrize("name", list(METHODS))


def spoilt(matrix: Any) -> Any:
    matrix = matrix.copy()
    matrix.data[7] = np.nan
    return matrix


def neumann(matrix: Any) -> Any:
    """Return the matrix with constant vectors as null space."""
    return (matrix - sp.diags(np.asarray(matrix.sum(axis=1)).ravel())).tocsr()


def bad(worker: Any) -> dict[str, tuple[Any, Any, Tolerance, dict[str, Reason]]]:
    """Return matrix, right-hand side, tolerance and the reason that each method has to give."""
    good, b = worker.darcy(15), np.random.default_rng(0).standard_normal(N)
    hole = np.where(np.arange(N) == 3, np.nan, b)
    usual = Tolerance(1e-8, 0.0, 3000)

    def both(reason: Reason) -> dict[str, Reason]:
        return dict.fromkeys(METHODS, reason)

    return {
        "NaN in b": (good, hole, usual, both(Reason.NOT_FINITE)),
        "infinite b": (good, np.where(np.isnan(hole), np.inf, b), usual, both(Reason.NOT_FINITE)),
        "NaN in A": (spoilt(good), b, usual, both(Reason.NOT_FINITE)),
        "squares underflow": (good, 1e-200 * b, usual, both(Reason.NOT_FINITE)),
        "squares overflow": (good, 1e200 * b, usual, both(Reason.NOT_FINITE)),
        "zero b": (good, 0 * b, usual, both(Reason.ZERO_RIGHT_HAND_SIDE)),
        "null space": (neumann(good), b, usual, both(Reason.SINGULAR)),
        "zero A": (0 * good, b, usual, both(Reason.SINGULAR)),
        "below round-off": (good, b, Tolerance(1e-17, 0.0, 3000), both(Reason.BELOW_ROUND_OFF)),
        "few steps": (good, b, Tolerance(1e-8, 0.0, 5), both(Reason.ITERATION_LIMIT)),
        "no step": (good, b, Tolerance(1e-8, 0.0, 0), both(Reason.ITERATION_LIMIT)),
        "indefinite": (
            worker.shifted_laplacian(15, 100.0),
            b,
            usual,
            {"cg": Reason.INDEFINITE, "gcrodr": Reason.CONVERGED},
        ),
        "negative": (-good, b, usual, {"cg": Reason.INDEFINITE, "gcrodr": Reason.CONVERGED}),
    }


CASES = (
    "NaN in b",
    "infinite b",
    "NaN in A",
    "squares underflow",
    "squares overflow",
    "zero b",
    "null space",
    "zero A",
    "below round-off",
    "few steps",
    "no step",
    "indefinite",
    "negative",
)


@each_method
@pytest.mark.parametrize("case", CASES)
def test_the_reason_has_its_name_and_the_state_stays_clean(
    worker: Any, case: str, name: str
) -> None:
    matrix, b, tolerance, reasons = bad(worker)[case]
    method, good = METHODS[name], worker.operator(worker.darcy(15))
    right, before = np.random.default_rng(1).standard_normal(N), RecycleSpace.empty(N)
    space = method.solve(good, right, np.zeros(N), before).space
    kept = {key: array.copy() for key, array in space.arrays().items()}
    for start in (before, space):
        x = np.zeros(N)
        spoiled = method.solve(worker.operator(matrix, "none"), b, x, start, tolerance=tolerance)
        assert spoiled.reason is reasons[name]
        assert spoiled.reason.value in spoiled.advice
        assert np.isfinite(x).all()
        assert all(np.isfinite(array).all() for array in spoiled.space.arrays().values())
        again = method.solve(good, right, np.zeros(N), spoiled.space)
        assert again.reason is Reason.CONVERGED
    for key, array in space.arrays().items():
        np.testing.assert_array_equal(array, kept[key])


def test_a_krylov_space_that_stops_growing_is_a_breakdown(worker: Any) -> None:
    # A cyclic shift: restarted GMRES makes no progress, but the matrix is orthogonal.
    shift = sp.csr_matrix(np.roll(np.eye(N), 1, axis=0))
    result = METHODS["gcrodr"].solve(
        worker.operator(shift, "none"), np.eye(N)[0], np.zeros(N), RecycleSpace.empty(N)
    )
    assert result.reason is Reason.BREAKDOWN


def test_an_indefinite_preconditioner_is_named(worker: Any) -> None:
    matrix = worker.to_petsc(worker.darcy(15))
    pc = worker.preconditioner(worker.to_petsc(-worker.darcy(15)), "jacobi")
    operator = worker.Operator(matrix, pc)
    x, b = np.zeros(N), np.ones(N)
    result = DeflatedCG(4).solve(operator, b, x, RecycleSpace.empty(N))
    assert result.reason is Reason.INDEFINITE_PRECONDITIONER
    result = GCRODR().solve(operator, b, x, RecycleSpace.empty(N))
    assert result.reason is Reason.CONVERGED


@each_method
def test_a_consistent_singular_system_is_solved(worker: Any, name: str) -> None:
    matrix = neumann(worker.darcy(15))
    b = np.random.default_rng(2).standard_normal(N)
    b -= b.mean()
    x, space = np.zeros(N), RecycleSpace.empty(N)
    result = METHODS[name].solve(worker.operator(matrix), b, x, space)
    assert result.reason is Reason.CONVERGED
    assert np.linalg.norm(b - matrix @ x) <= 1e-8 * np.linalg.norm(b)


@each_method
def test_a_guess_that_is_not_finite_is_refused_and_cleared(worker: Any, name: str) -> None:
    x = np.full(N, np.nan)
    operator = worker.operator(worker.darcy(15))
    result = METHODS[name].solve(operator, np.ones(N), x, RecycleSpace.empty(N))
    assert result.reason is Reason.NOT_FINITE
    assert not x.any()


@each_method
@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_the_units_of_the_system_do_not_matter(worker: Any, name: str, scale: float) -> None:
    counts = [
        METHODS[name]
        .solve(
            worker.operator(factor * worker.darcy(15)),
            factor * np.ones(N),
            np.zeros(N),
            RecycleSpace.empty(N),
        )
        .iterations
        for factor in (1.0, scale)
    ]
    assert counts[0] == counts[1]


def test_a_space_of_another_size_is_refused(worker: Any) -> None:
    with pytest.raises(UserError, match=r"expected 225 rows .* received 7"):
        GCRODR().solve(
            worker.operator(worker.darcy(15)), np.ones(N), np.zeros(N), RecycleSpace.empty(7)
        )


@pytest.mark.parametrize(
    "arrays",
    [
        {"U": np.zeros((3, 1)), "C": np.zeros((3, 1))},
        {"U": np.zeros((3, 1)), "C": np.zeros((3, 2)), "T": np.zeros((3, 1))},
        {"U": np.zeros(3), "C": np.zeros(3), "T": np.zeros(3)},
        {name: np.full((3, 1), np.nan) for name in "UCT"},
    ],
)
def test_arrays_that_are_no_space_are_refused(arrays: Any) -> None:
    with pytest.raises(UserError, match="recycle space: expected"):
        RecycleSpace.from_arrays(arrays)


def test_every_reason_says_what_to_try() -> None:
    assert all(reason.advice.endswith(".") for reason in Reason)
    assert {reason for reason in Reason if reason.success} == {
        Reason.CONVERGED,
        Reason.ZERO_RIGHT_HAND_SIDE,
    }
