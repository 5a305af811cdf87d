"""Any number of ranks gives the same states in the mesh's numbering, and resumes bit by bit.

Every number of several ranks comes from ``mpiexec -n ranks python structure_worker.py``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.mpi
RANKS = (2, 3)
PROBLEMS = ("cube", "cube-icc", "blade", "tetrahedra", "cut")
PARTS = ("displacement", "stress", "internal", "temperature", "times")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_number_of_ranks_changes_no_state(
    measured: Callable[[int], tuple[Any, Any]], name: str, ranks: int
) -> None:
    alone, together = measured(1)[1], measured(ranks)[1]
    for part in PARTS:
        expected, found = (arrays[f"{name}/{part}"] for arrays in (alone, together))
        # Stresses of a free bar are rounding errors.
        floor = 1.0 if part == "stress" else 1e-9
        worst = np.abs(found - expected).max(initial=0.0) / np.abs(expected).max(initial=floor)
        assert worst <= 1e-8, f"{part}: {worst:.1e}"


@pytest.mark.parametrize("name", PROBLEMS[:-1])
def test_the_histories_are_worth_comparing(
    measured: Callable[[int], tuple[Any, Any]], name: str
) -> None:
    arrays = measured(1)[1]
    assert np.abs(arrays[f"{name}/internal"]).max() > 1e-5
    assert len(arrays[f"{name}/times"]) >= 5


@pytest.mark.parametrize("ranks", [1, *RANKS])
@pytest.mark.parametrize("name", ["cube", "cube-icc"])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(
    measured: Callable[[int], tuple[Any, Any]], name: str, ranks: int
) -> None:
    arrays = measured(ranks)[1]
    for part in PARTS:
        np.testing.assert_array_equal(arrays[f"{name}-resumed/{part}"], arrays[f"{name}/{part}"])


@pytest.mark.parametrize("ranks", [1, *RANKS])
def test_whole_states_survive_being_shared_out(
    measured: Callable[[int], tuple[Any, Any]], ranks: int
) -> None:
    facts = measured(ranks)[0]
    assert len(facts) == ranks
    assert all(one["round_trip"] for one in facts)


@pytest.mark.parametrize("ranks", [1, *RANKS])
def test_all_ranks_stop_together_and_name_the_saved_state(
    measured: Callable[[int], tuple[Any, Any]], ranks: int
) -> None:
    for one in measured(ranks)[0]:
        assert one["stopped"].startswith("load-step: the step to t = ")
        assert f"rescue-{ranks}.npz" in one["stopped"]


@pytest.mark.parametrize("ranks", [1, *RANKS])
def test_a_law_that_fails_on_one_rank_cuts_the_step_on_all(
    measured: Callable[[int], tuple[Any, Any]], ranks: int
) -> None:
    cuts = [one["cuts"] for one in measured(ranks)[0]]
    assert cuts == [measured(1)[0][0]["cuts"]] * ranks
    assert cuts[0] >= 1
