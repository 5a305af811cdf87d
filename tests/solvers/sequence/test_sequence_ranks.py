"""Two and three ranks solve what one rank solves, and choose alike even if their clocks differ."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from solvers.backend import MPI

pytestmark = pytest.mark.mpi
RANKS = (2, 3)


@pytest.fixture(scope="module")
def serial(worker: SimpleNamespace) -> Any:
    """Give the solutions of one rank, by case."""
    found = worker.small_families()
    return {
        name: worker.solve_sequence(family, method="direct", samples=8)[1]
        for name, family in found.items()
    }


@pytest.mark.parametrize("ranks", RANKS)
def test_every_configuration_solves_on_several_ranks_as_on_one(
    worker: SimpleNamespace, measured: Callable[[int], Any], serial: Any, ranks: int
) -> None:
    facts, solutions = measured(ranks)
    expected = {name for name, _, _ in worker.cases(MPI.COMM_SELF)}
    assert set(facts) == expected
    for name, seen in facts.items():
        for one in seen[0]:
            assert one["reason"] == "converged", name
            assert one["residual"] <= 1.001e-8, f"{name}: {one}"
        for number, x in enumerate(solutions[name]):
            alone = serial[name.split("/")[0]][number]
            worst = np.linalg.norm(x - alone) / np.linalg.norm(alone)
            assert worst <= 1e-5, f"{name}, system {number}: {worst:.1e}"


@pytest.mark.parametrize("ranks", RANKS)
def test_all_ranks_see_the_same_choices_and_counts(
    measured: Callable[[int], Any], ranks: int
) -> None:
    facts, _ = measured(ranks)
    for name, seen in facts.items():
        assert len(seen) == ranks
        assert all(other == seen[0] for other in seen[1:]), name


@pytest.mark.parametrize("ranks", RANKS)
def test_the_clock_of_one_rank_decides_for_all(measured: Callable[[int], Any], ranks: int) -> None:
    # On rank 0 iterations take time and refreshing the factor pays; elsewhere time stands still.
    facts, _ = measured(ranks)
    assert sum(one["setups"] for one in facts["spd-2d/clock-lagged"][0]) > 1
    names = [one["configuration"] for one in facts["spd-2d/clock-auto"][0]]
    assert len(names) == 8
