"""Any number of ranks builds and runs the same reduced structure.

Every number of several ranks comes from ``mpiexec -n ranks python rank_worker.py``, where each
rank has the displacements of its own nodes only.
"""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.mpi
WORKER = Path(__file__).with_name("rank_worker.py")
RANKS = (1, 2, 3)
CASES = ("cube", "bent", "pulled")
OFFLINE = ("modes", "singular_values", "lifts", "weights", "strains", "power")
FIELDS = ("dual-stress", "dual-accumulated_plasticity")
ONLINE = ("q", "stress", "internal")
FAILURES = {
    "integrands": "UserError",
    "wrong": "UserError",
    "few": "UserError",
    "without": "UserError",
    "law": "LocalIntegrationError",
    "online": "ReducedStepError",
}


@pytest.fixture(scope="module")
def worker() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(WORKER)))


@pytest.fixture(scope="module")
def folder(
    worker: SimpleNamespace, make_full: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("ranks")
    for name in CASES:
        mesh, law, loads, times = worker.case(name)
        np.save(path / f"{name}.npy", make_full(mesh, law, loads).run(times).displacement)
    return path


@pytest.fixture(scope="module")
def alone(folder: Path, run_worker: Callable[..., None]) -> Any:
    """Give what a process without MPI found."""
    run_worker(WORKER, 1, folder, "alone")
    return np.load(folder / "alone.npz")


@pytest.fixture(scope="module")
def measured(folder: Path, run_worker: Callable[..., None]) -> Callable[[int], tuple[Any, Any]]:
    """Give a function that returns what the worker told, and its arrays, on some ranks."""

    def run(ranks: int) -> tuple[Any, Any]:
        told = folder / f"ranks-{ranks}.json"
        if not told.exists():
            run_worker(WORKER, ranks, folder)
        return json.loads(told.read_text()), np.load(folder / f"ranks-{ranks}.npz")

    return run


def away(found: Any, expected: Any) -> float:
    assert found.shape == expected.shape
    size = np.abs(expected).max(initial=0.0)
    return float(np.abs(found - expected).max(initial=0.0) / (size or 1.0))


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("name", CASES)
def test_the_number_of_ranks_changes_nothing_that_is_built(
    alone: Any, measured: Any, name: str, ranks: int
) -> None:
    arrays = measured(ranks)[1]
    np.testing.assert_array_equal(arrays[f"{name}/places"], alone[f"{name}/places"])
    for part in (*OFFLINE, *FIELDS):
        assert away(arrays[f"{name}/{part}"], alone[f"{name}/{part}"]) <= 1e-8, part


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("name", CASES)
def test_the_number_of_ranks_changes_no_trajectory(
    alone: Any, measured: Any, name: str, ranks: int
) -> None:
    arrays = measured(ranks)[1]
    for part in ONLINE:
        assert away(arrays[f"{name}/{part}"], alone[f"{name}/{part}"]) <= 1e-8, part


@pytest.mark.parametrize("ranks", RANKS)
def test_the_number_of_ranks_changes_no_rule(alone: Any, measured: Any, ranks: int) -> None:
    arrays = measured(ranks)[1]
    np.testing.assert_array_equal(arrays["rule/points"], alone["rule/points"])
    assert away(arrays["rule/weights"], alone["rule/weights"]) <= 1e-8


@pytest.mark.parametrize("ranks", RANKS)
def test_sums_over_blocks_have_the_same_bits_on_any_number_of_ranks(
    alone: Any, measured: Any, ranks: int
) -> None:
    np.testing.assert_array_equal(measured(ranks)[1]["sums"], alone["sums"])


@pytest.mark.parametrize("ranks", RANKS)
def test_all_ranks_hold_the_same_bits(measured: Any, ranks: int) -> None:
    told = measured(ranks)[0]
    assert len(told) == ranks
    assert len({one["digest"] for one in told}) == 1


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(
    measured: Any, name: str, ranks: int
) -> None:
    same = measured(ranks)[1][f"{name}/resumed"]
    assert len(same) >= 3
    assert same.all()


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("kind", FAILURES)
def test_what_fails_on_one_rank_ends_all(measured: Any, kind: str, ranks: int) -> None:
    assert [one[kind] for one in measured(ranks)[0]] == [FAILURES[kind]] * ranks


def test_a_rank_holds_a_part_of_the_nodes(measured: Any, worker: SimpleNamespace) -> None:
    n = worker.case("cube")[0].n_nodes
    assert measured(1)[0][0]["nodes"] == n
    assert max(one["nodes"] for one in measured(3)[0]) < n


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_rule_is_found_without_sending_the_functions(measured: Any, ranks: int) -> None:
    # 30 functions at 3000 points; the list of the best 128 points is the largest message.
    assert 0 < max(one["largest"] for one in measured(ranks)[0]) < 30 * 3000 / 10


@pytest.mark.parametrize("name", CASES)
def test_a_whole_history_gives_the_model_of_its_parts(alone: Any, name: str) -> None:
    for part in ("modes", "weights"):
        np.testing.assert_array_equal(alone[f"{name}/whole-{part}"], alone[f"{name}/{part}"])


@pytest.mark.parametrize("name", CASES[:2])
def test_the_models_are_worth_comparing(alone: Any, name: str) -> None:
    assert alone[f"{name}/modes"].shape[1] >= 3
    assert len(alone[f"{name}/weights"]) >= 10
    assert np.abs(alone[f"{name}/internal"]).max() > 1e-5
