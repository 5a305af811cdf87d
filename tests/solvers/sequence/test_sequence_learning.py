"""Choices, budgets, saved states, blocks of right-hand sides, and what is counted."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
import scipy.sparse as sp

from infra.errors import UserError
from solvers.errors import LinearSolveError
from solvers.sequence.fresh import FreshMethod
from solvers.sequence.method import Method, Target
from solvers.sequence.recycled import RecycledMethod
from solvers.sequence.ssor import SsorMethod, omega_candidates
from solvers.sequence.system import System
from solvers.sequence.toolbox import Toolbox

BUDGETED: dict[str, Callable[[System, Toolbox], Method]] = {
    "icc": lambda s, t: FreshMethod(s, "cg", t.get("icc")),
    "icc-recycled": lambda s, t: RecycledMethod(s, "cg", t.get("icc")),
    "gcrodr": lambda s, t: RecycledMethod(s, "gcrodr", t.get("icc")),
    "ssor": lambda s, _: SsorMethod(s, omega_candidates(s.size, 2), horizon=9, seed=0),
}


@pytest.mark.parametrize("arm", BUDGETED)
def test_a_solve_ends_soon_after_its_budget(worker: Any, families: Any, arm: str) -> None:
    family = families["spd-2d"]
    run = worker.Run(family.matrix(0), family.traits)
    system = System(run.matrix, family.traits)
    system.refilled()
    tools = Toolbox(system)
    method = BUDGETED[arm](system, tools)
    method.prepare(system)
    run.b.set(1.0)
    outcome = method.solve(system, run.b, run.x, Target(run.b.norm(), 1e-8, budget=0.0))
    assert outcome.reason == "budget"
    assert outcome.work.iterations <= 9
    outcome = method.solve(system, run.b, run.x, Target(run.b.norm(), 1e-8, budget=60.0))
    assert outcome.converged
    assert outcome.residual <= 1e-8 * run.b.norm()
    for owned in (method, tools, system, run):
        owned.destroy()


def test_relaxation_solves_where_rows_share_their_pattern(worker: Any, families: Any) -> None:
    """As the components of a displacement do: PETSc groups such rows."""
    family = families["spd-2d"]
    doubled = sp.kron(family.matrix(0), [[2.0, 0.5], [0.5, 2.0]], format="csr")
    run = worker.Run(doubled, family.traits)
    system = System(run.matrix, family.traits)
    system.refilled()
    method = SsorMethod(system, omega_candidates(system.size, 2), horizon=9, seed=0)
    method.prepare(system)
    run.b.set(1.0)
    outcome = method.solve(system, run.b, run.x, Target(run.b.norm(), 1e-8, budget=60.0))
    assert outcome.converged
    assert outcome.residual <= 1e-8 * run.b.norm()
    for owned in (method, system, run):
        owned.destroy()


@pytest.mark.parametrize("family", ["spd-3d", "nonsymmetric"])
def test_a_trial_over_its_budget_is_aborted_and_the_system_solved(
    worker: Any, families: Any, family: str
) -> None:
    facts, _ = worker.solve_sequence(families[family], samples=40)
    aborted = [one for one in facts if one["tried"]]
    assert aborted
    assert all(one["residual"] <= 1e-8 for one in aborted)
    assert all(one["configuration"] not in dict(one["tried"]) for one in aborted)


@pytest.mark.parametrize(
    # Where methods with a past of their own lead (recycle spaces, relaxation factors), their costs
    # differ for a while: only the next choice is the same then.
    ("family", "length"),
    [("spd-2d", 10), ("spd-grid", 10), ("indefinite", 10), ("spd-3d", 1), ("nonsymmetric", 1)],
)
@pytest.mark.parametrize("saved_after", [0, 1, 5])
def test_a_restored_solver_chooses_as_the_one_that_was_not_interrupted(
    worker: Any, families: Any, family: str, length: int, saved_after: int
) -> None:
    given = families[family]

    def go(run: Any, numbers: range) -> list[str]:
        names = []
        for number in numbers:
            run.refill(given.matrix(number))
            report = run.solve(worker.right_hand_side(run.scipy.shape[0], number))
            names.append(report.tried[0][0] if report.tried else report.configuration)
        return names

    one, other = (worker.Run(given.matrix(0), given.traits) for _ in range(2))
    go(one, range(saved_after))
    other.solver.restore(json.loads(json.dumps(one.solver.state())))
    assert one.solver.state() == other.solver.state()
    following = range(saved_after, saved_after + length)
    assert go(one, following) == go(other, following)
    one.destroy()
    other.destroy()


def test_the_state_of_another_choice_is_refused(worker: Any, families: Any) -> None:
    spd, general = (
        worker.Run(families[name].matrix(0), families[name].traits)
        for name in ("spd-2d", "nonsymmetric")
    )
    with pytest.raises(UserError, match=r"expected configurations.*icc.*received.*ilu"):
        spd.solver.restore(general.solver.state())
    with pytest.raises(UserError, match="state"):
        spd.solver.restore({})
    spd.solve(np.ones(spd.scipy.shape[0]))


@pytest.mark.parametrize("family", ["spd-2d", "nonsymmetric", "indefinite"])
def test_a_block_is_solved_as_its_columns_are(worker: Any, families: Any, family: str) -> None:
    given = families[family]
    run = worker.Run(given.matrix(0), given.traits, method="direct")
    n = run.scipy.shape[0]
    for number in range(2):
        run.refill(given.matrix(number))
        rng = np.random.default_rng(number)
        values = rng.standard_normal((n, 5)) * np.array([1.0, 1e-9, 1e9, 0.0, 1.0])
        right = worker.to_dense(values)
        solution = worker.to_dense(np.zeros_like(values))
        work = run.solver.solve_many(right, solution)
        assert (work.setups, work.preconditioner) == (1, 5)
        assert run.solver.solve_many(right, solution).setups == 0
        found = solution.getDenseArray()
        for b, x in zip(values.T, found.T, strict=True):
            run.solve(b)
            np.testing.assert_allclose(x, run.solution(), rtol=1e-9, atol=1e-10 * np.abs(x).max())
    run.destroy()


@pytest.mark.parametrize("family", ["spd-2d", "nonsymmetric"])
def test_a_block_that_cannot_be_solved_is_refused_and_the_next_one_solved(
    worker: Any, families: Any, family: str
) -> None:
    given = families[family]
    run = worker.Run(given.matrix(0), given.traits, method="direct")
    right = worker.to_dense(np.ones((run.scipy.shape[0], 3)))
    solution = right.duplicate()
    bad = worker.to_dense(np.full((run.scipy.shape[0], 3), np.nan))
    with pytest.raises(LinearSolveError, match="finite") as caught:
        run.solver.solve_many(bad, solution)
    assert caught.value.reason == "not-finite"
    run.refill(run.scipy * 0.0)
    with pytest.raises(LinearSolveError) as caught:
        run.solver.solve_many(right, solution)
    assert caught.value.reason == "singular"
    run.refill(given.matrix(1))
    run.solver.solve_many(right, solution)
    left = run.scipy @ solution.getDenseArray() - 1.0
    assert np.abs(left).max() <= 1e-8
    run.destroy()


COUNTED = [
    ("spd-2d", "icc"),
    ("spd-2d", "lagged-factor"),
    ("spd-2d", "lagged-factor-rescaled"),
    ("spd-2d", "direct"),
    ("spd-grid", "fast-poisson"),
    ("nonsymmetric", "direct"),
    ("nonsymmetric", "ilu-gmres"),
    ("nonsymmetric", "ilu-bcgs"),
    ("nonsymmetric", "lagged-factor"),
]


@pytest.mark.parametrize("guess", [0.0, 1.0])
@pytest.mark.parametrize(("family", "arm"), COUNTED)
def test_products_and_substitutions_are_those_that_petsc_counts(
    worker: Any,
    families: Any,
    counted: Callable[..., Any],
    family: str,
    arm: str,
    guess: float,
) -> None:
    given = families[family]
    run = worker.Run(given.matrix(0), given.traits, method=arm, guess="given")
    for number in range(3):
        run.refill(given.matrix(number))
        run.x.set(guess)
        applied = "PCApply" if arm == "fast-poisson" else "MatSolve"
        products, substitutions = counted("MatMult"), counted(applied)
        work = run.solve(worker.right_hand_side(run.scipy.shape[0], number)).work
        # One more product has looked whether the matrix is new.
        assert work.operator == products() - 1
        assert work.preconditioner == substitutions()
        if arm != "direct":
            assert work.operator >= work.iterations
    run.destroy()


def test_conjugate_gradients_need_one_product_per_iteration_and_checks(
    worker: Any, families: Any
) -> None:
    for arm in ("icc", "gamg", "ssor", "lagged-factor-rescaled"):
        facts = worker.Run(families["spd-2d"].matrix(0), families["spd-2d"].traits, method=arm)
        work = facts.solve(np.ones(facts.scipy.shape[0])).work
        assert 0 < work.operator - work.iterations <= 3
        assert 0 <= work.preconditioner - work.iterations <= 1
        assert work.reductions >= 2 * work.iterations
        assert work.seconds > 0
        facts.destroy()


@pytest.mark.parametrize(
    ("family", "arm"),
    [
        ("spd-2d", "auto"),
        ("spd-2d", "gamg"),
        ("spd-2d", "lagged-factor-rescaled"),
        ("spd-2d", "icc-recycled"),
        ("nonsymmetric", "ilu-gmres"),
        ("nonsymmetric", "lagged-factor"),
        ("spd-2d", "failing"),
        ("spd-2d", "new"),
    ],
)
def test_two_hundred_solves_leave_no_memory_behind(
    worker: Any, families: Any, family: str, arm: str
) -> None:
    given, process = families[family], psutil.Process()
    matrices = [given.matrix(number) for number in range(4)]
    method = "auto" if arm in ("failing", "new") else arm
    run, sizes = worker.Run(matrices[0], given.traits, method=method), []
    b = np.ones(matrices[0].shape[0])
    for number in range(200):
        run.refill(matrices[number % 4])
        run.solve(b)
        if arm == "failing" and number % 2:
            with pytest.raises(LinearSolveError):
                run.solve(b * np.nan)
        if arm == "new" and number % 4 == 3:
            run.destroy()
            run = worker.Run(matrices[0], given.traits)
        sizes.append(process.memory_info().rss)
    run.destroy()
    assert max(sizes) - sizes[20] < 5 * 2**20


def test_an_exact_guess_does_not_spoil_the_recycle_space(worker: Any, families: Any) -> None:
    family = families["spd-2d"]
    run = worker.Run(family.matrix(0), family.traits, method="icc-recycled", guess="given")
    b, other = (worker.right_hand_side(run.scipy.shape[0], seed) for seed in (1, 2))
    run.solve(b)
    run.refill(family.matrix(1))
    run.solve(b)
    run.refill(family.matrix(2))
    run.x.setArray(np.linalg.solve(run.scipy.toarray(), b))
    run.b.setArray(b)
    run.solver.refilled()
    run.solver.solve(run.b, run.x)
    assert run.solve(other).residual <= 1e-8
    run.destroy()


def test_a_state_is_taken_over_whatever_the_horizons(worker: Any, families: Any) -> None:
    family = families["spd-2d"]
    one = worker.Run(family.matrix(0), family.traits, horizon=8)
    b = worker.right_hand_side(one.scipy.shape[0], 1)
    for number in range(5):
        one.refill(family.matrix(number))
        one.solve(b)
    for horizon in (1, 3, 8, 500):
        other = worker.Run(family.matrix(0), family.traits, horizon=horizon)
        other.solver.restore(one.solver.state())
        assert other.solver.arms == one.solver.arms
        assert other.solve(b).residual <= 1e-8
        other.destroy()
    one.destroy()


def test_a_state_of_another_cost_is_refused(worker: Any, families: Any) -> None:
    family = families["spd-2d"]
    one, other = (
        worker.Run(family.matrix(0), family.traits, cost=cost) for cost in ("seconds", "operations")
    )
    with pytest.raises(UserError, match=r"seconds"):
        other.solver.restore(one.solver.state())
    one.destroy()
    other.destroy()
