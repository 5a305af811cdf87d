"""Initial guesses are combinations of previous solutions, made while that pays."""

from typing import Any

import numpy as np
import pytest

from solvers.sequence.guess import SolutionHistory
from solvers.sequence.system import System
from solvers.sequence.traits import Traits

SPD = Traits(symmetric=True, definite=True)


def history_of(worker: Any, family: Any, count: int) -> tuple[Any, System, SolutionHistory, Any]:
    run = worker.Run(family.matrix(0), family.traits)
    system, history = System(run.matrix, family.traits), SolutionHistory()
    system.refilled()
    rng = np.random.default_rng(5)
    solutions = rng.standard_normal((count, family.matrix(0).shape[0]))
    for values in solutions:
        run.x.setArray(values)
        history.keep(run.x)
    return run, system, history, solutions


@pytest.mark.parametrize("family", ["spd-2d", "nonsymmetric", "indefinite"])
def test_a_combination_of_previous_solutions_is_found(
    worker: Any, families: Any, family: str
) -> None:
    run, system, history, solutions = history_of(worker, families[family], 3)
    b = run.scipy @ (solutions.T @ [1.0, -2.0, 0.5])
    run.b.setArray(b)
    work = history.guess(system, run.b, run.x, 1e-8, 100.0)
    assert work.operator == 3
    assert run.residual(b) <= 1e-10
    assert history.share > 0.9
    run.destroy()


def test_the_oldest_solutions_are_forgotten(worker: Any, families: Any) -> None:
    run, system, history, solutions = history_of(worker, families["spd-2d"], 5)
    for number, known in enumerate([False, False, True, True, True]):
        b = run.scipy @ solutions[number]
        run.b.setArray(b)
        history.guess(system, run.b, run.x, 1e-8, 1e9)
        assert (run.residual(b) < 1e-8) == known
    run.destroy()


def test_a_guess_that_saves_nothing_is_not_made_again_for_a_while(
    worker: Any, families: Any
) -> None:
    run, system, history, _ = history_of(worker, families["spd-2d"], 3)
    rng = np.random.default_rng(1)
    products = []
    for _ in range(60):
        run.b.setArray(rng.standard_normal(run.scipy.shape[0]))
        products.append(history.guess(system, run.b, run.x, 1e-8, 30.0).operator)
        assert products[-1] or run.x.norm() == 0.0
    assert products[0] == 3
    assert 2 <= sum(p > 0 for p in products) <= 4
    run.destroy()


def test_direct_solutions_need_no_guess_and_few_iterations_none(worker: Any, families: Any) -> None:
    run, system, history, _ = history_of(worker, families["spd-2d"], 3)
    run.b.set(1.0)
    assert history.guess(system, run.b, run.x, 1e-8, 0.0).operator == 0
    assert run.x.norm() == 0.0
    run.destroy()


def test_guesses_go_on_helping_in_a_slow_sequence(worker: Any, families: Any) -> None:
    run = worker.Run(families["spd-2d"].matrix(0), SPD, method="icc")
    first, second = (worker.right_hand_side(run.scipy.shape[0], seed) for seed in (1, 2))
    counts = [
        run.solve(first * np.cos(0.1 * i) + second * np.sin(0.1 * i)).work.iterations
        for i in range(12)
    ]
    assert counts[0] > 20
    assert max(counts[2:]) <= 2
    run.destroy()
