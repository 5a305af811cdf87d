"""Every configuration solves every matrix of a sequence, and does nothing twice."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import scipy.sparse as sp

from solvers.backend import MPI
from solvers.sequence.system import System
from solvers.sequence.toolbox import Toolbox
from solvers.settings import LinearMethod

SPD = (
    "direct",
    "gamg",
    "icc",
    "icc-recycled",
    "lagged-factor",
    "lagged-factor-rescaled",
    "lagged-gamg",
    "lagged-gamg-rescaled",
    "ssor",
)
GENERAL = ("direct", "ilu-bcgs", "ilu-gmres", "ilu-recycled", "lagged-factor")
OFFERED = {
    "spd-2d": SPD,
    "spd-3d": SPD,
    "spd-grid": (*SPD, "fast-poisson"),
    "nonsymmetric": GENERAL,
    "indefinite": GENERAL,
}
ALL = [(family, arm) for family, arms in OFFERED.items() for arm in arms]
every = pytest.mark.parametrize(("family", "arm"), ALL)
auto = pytest.mark.parametrize("family", OFFERED)
# The relative error that a relative residual of 1e-8 may leave: the condition numbers are below
# 10^4 (2 x 10^5 for the indefinite matrices).
ERROR = 1e-4


def exact(worker: SimpleNamespace, family: Any, number: int) -> Any:
    matrix = family.matrix(number)
    b = worker.right_hand_side(matrix.shape[0], number)
    return sp.linalg.spsolve(sp.csc_array(matrix), b)


def check(facts: list[dict[str, Any]]) -> None:
    for one in facts:
        assert one["reason"] == "converged"
        assert one["residual"] <= 1.001e-8
        assert one["residual"] == pytest.approx(one["claimed"], rel=0.05, abs=1e-13)


@auto
def test_the_tables_name_every_configuration(worker: Any, families: Any, family: str) -> None:
    assert sorted(worker.arms(families[family], MPI.COMM_SELF)) == sorted(OFFERED[family])


def test_studies_may_ask_for_every_configuration() -> None:
    offered = {arm for arms in OFFERED.values() for arm in arms}
    assert set(get_args(LinearMethod)) == offered | {"auto", "direct-mumps"}


@every
def test_all_matrices_are_solved_to_the_true_residual(
    worker: Any, families: Any, family: str, arm: str
) -> None:
    facts, solutions = worker.solve_sequence(families[family], method=arm)
    check(facts)
    assert {one["configuration"] for one in facts} == {arm}
    for number, x in enumerate(solutions):
        cold = exact(worker, families[family], number)
        assert np.linalg.norm(x - cold) <= ERROR * np.linalg.norm(cold)


@auto
@pytest.mark.parametrize("cost", ["seconds", "operations"])
def test_auto_equals_a_cold_direct_solution_after_a_long_sequence(
    worker: Any, families: Any, family: str, cost: str
) -> None:
    facts, solutions = worker.solve_sequence(families[family], samples=40, cost=cost)
    check(facts)
    cold = exact(worker, families[family], 39)
    assert np.linalg.norm(solutions[39] - cold) <= ERROR * np.linalg.norm(cold)


@every
def test_an_unchanged_matrix_is_not_set_up_again(
    worker: Any, families: Any, family: str, arm: str
) -> None:
    run = worker.Run(families[family].matrix(0), families[family].traits, method=arm)
    for number in range(4):
        run.refill(families[family].matrix(0))
        b = worker.right_hand_side(run.scipy.shape[0], number)
        report = run.solve(b)
        assert run.residual(b) <= 1.001e-8
        assert number == 0 or report.work.setups == 0
    run.destroy()


@pytest.mark.parametrize(
    ("family", "arm"), [one for one in ALL if "recycled" in one[1] or "bcgs" in one[1]]
)
def test_a_change_of_one_entry_is_a_change(
    worker: Any, families: Any, family: str, arm: str
) -> None:
    matrix = families[family].matrix(0)
    run = worker.Run(matrix, families[family].traits, method=arm)
    b = worker.right_hand_side(matrix.shape[0], 0)
    run.solve(b)
    changed = matrix.copy()
    changed.data[matrix.indptr[7] + int(np.flatnonzero(matrix[[7]].indices == 7)[0])] *= 1 + 1e-9
    run.refill(changed)
    assert run.solve(b).work.setups == 1
    run.destroy()


SYMBOLIC = ("MatCholFctrSym", "MatLUFactorSym", "MatICCFactorSym", "MatILUFactorSym")


@pytest.mark.parametrize(("family", "arm"), [one for one in ALL if "gamg" not in one[1]])
def test_new_values_do_not_repeat_the_symbolic_phase(
    worker: Any, families: Any, counted: Callable[..., Any], family: str, arm: str
) -> None:
    symbolic, numeric = counted(*SYMBOLIC), counted("MatCholFctrNum", "MatLUFactorNum")
    facts, _ = worker.solve_sequence(families[family], method=arm, samples=10)
    assert symbolic() == (0 if arm in ("ssor", "fast-poisson") else 1)
    tables = arm == "fast-poisson"  # its only set-up factors nothing
    assert numeric() + tables == sum(one["setups"] for one in facts)


@pytest.mark.parametrize("arm", ["gamg", "lagged-gamg", "lagged-gamg-rescaled"])
def test_new_values_do_not_repeat_the_coarsening(
    worker: Any, families: Any, counted: Callable[..., Any], arm: str
) -> None:
    coarsened, symbolic = counted("MatCoarsen"), counted("MatPtAPSymbolic")
    products = counted("MatPtAPNumeric")
    facts, _ = worker.solve_sequence(families["spd-2d"], method=arm, samples=10)
    levels, setups = coarsened(), sum(one["setups"] for one in facts)
    assert 1 <= levels <= 3
    assert symbolic() == levels
    assert products() == levels * setups
    assert setups > 1


@pytest.mark.parametrize("family", ["spd-2d", "nonsymmetric"])
def test_the_factors_for_large_matrices_keep_their_symbolic_phase_too(
    worker: Any, families: Any, counted: Callable[..., Any], family: str
) -> None:
    run = worker.Run(families[family].matrix(0), families[family].traits)
    system = System(run.matrix, families[family].traits)
    tools = Toolbox(system)
    symbolic = counted(*SYMBOLIC)
    for number in range(5):
        run.refill(families[family].matrix(number))
        system.refilled()
        tools.get("mumps").compute(run.matrix, system.version)
        tools.get("mumps").apply(run.matrix * run.b, run.x)
    assert symbolic() == 1
    tools.destroy()
    system.destroy()
    run.destroy()


@auto
def test_counted_costs_give_the_same_bits_twice(worker: Any, families: Any, family: str) -> None:
    one, other = (worker.solve_sequence(families[family], samples=25) for _ in range(2))
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])
