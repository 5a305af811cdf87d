"""Line search, cutting of increments, partition, files: the plain parts of the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.structures.errors import IncrementError, LoadStepError
from solvers.structures.increments import reach
from solvers.structures.line_search import Trial, search
from solvers.structures.partition import bisect
from solvers.structures.state import StepReport, StructureState
from solvers.structures.state_files import History, load_state, save_state


def state_at(time: float) -> StructureState:
    rng = np.random.default_rng(round(1000 * time))
    return StructureState(
        time, rng.random((4, 3)), rng.random((2, 7)), rng.random((2, 6)), rng.random(2)
    )


def searched(work: Callable[[float], float]) -> list[float]:
    """Return the lengths that are tried for g(s) = work(s), the chosen one last."""
    tried: list[float] = []

    def evaluate(length: float) -> Trial[None] | None:
        tried.append(length)
        return None if np.isnan(work(length)) else Trial(length, work(length), None)

    found = search(evaluate, work(0.0))
    return [*tried, np.nan if found is None else found.length]


def test_the_full_step_is_taken_where_the_work_falls() -> None:
    assert searched(lambda s: 1.0 - s) == [1.0, 1.0]
    assert searched(lambda s: 1.0 - 0.1 * s) == [1.0, 1.0]


def test_a_step_far_beyond_the_root_is_brought_back_near_it() -> None:
    lengths = searched(lambda s: 1.0 - 4.0 * s)
    assert lengths[0] == 1.0
    assert abs(1.0 - 4.0 * lengths[-1]) <= 0.8


def test_a_step_is_halved_where_there_is_no_residual() -> None:
    lengths = searched(lambda s: np.nan if s > 0.3 else 1.0 - s)
    assert lengths == [1.0, 0.5, 0.25, 0.25]
    assert np.isnan(searched(lambda s: np.nan if s > 0.0 else 1.0)[-1])


def test_a_search_ends_however_wild_the_work_is() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        values = rng.standard_normal(50) * 10.0 ** rng.integers(-3, 6, 50)
        lengths = searched(lambda s: float(np.interp(s, np.linspace(0, 1, 50), values)))  # noqa: B023
        assert len(lengths) <= 7
        assert 0.0 < lengths[-1] <= 1.0


def solver(longest: float, seen: list[float]) -> Callable[[StructureState, float], StructureState]:
    def solve(state: StructureState, end: float) -> StructureState:
        if end - state.time > longest:
            raise IncrementError("too long")
        seen.append(end)
        return state_at(end)

    return solve


def test_increments_are_halved_until_they_succeed_and_end_at_the_time() -> None:
    seen: list[float] = []
    state, increments, cuts = reach(state_at(1.0), 3.0, solver(0.6, seen), 5)
    assert state.time == 3.0
    assert seen[-1] == 3.0
    assert increments == len(seen)
    assert cuts >= 2
    assert np.all(np.diff([1.0, *seen]) <= 0.6)


def test_one_increment_does_where_nothing_fails() -> None:
    assert reach(state_at(0.1), 0.3, solver(1.0, []), 5)[1:] == (1, 0)


def test_a_step_that_cannot_be_solved_stops_with_the_last_state() -> None:
    def solve(_: StructureState, end: float) -> StructureState:
        if end > 0.3:
            raise IncrementError("nothing there")
        return state_at(end)

    with pytest.raises(LoadStepError, match=r"t = 0\.25 s.*nothing there.*max_cuts") as caught:
        reach(state_at(0.0), 1.0, solve, 2)
    assert caught.value.state.time == 0.25


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 7])
def test_parts_of_a_mesh_differ_by_a_few_cells(parts: int) -> None:
    line = np.arange(5.0)
    centres = np.stack(np.meshgrid(line, line, line), axis=-1).reshape(-1, 3)
    found = bisect(centres, parts)
    counts = np.bincount(found, minlength=parts)
    assert len(counts) == parts
    assert np.ptp(counts) <= 3
    np.testing.assert_array_equal(found, bisect(centres, parts))


def test_every_part_has_a_cell_or_it_is_said() -> None:
    centres = np.random.default_rng(1).random((6, 3))
    assert set(bisect(centres, 6)) == set(range(6))
    with pytest.raises(UserError, match=r"at most as many as the mesh has cells \(6\)"):
        bisect(centres, 7)


def test_a_state_comes_back_bit_by_bit(tmp_path: Path) -> None:
    path, state = tmp_path / "new" / "state.npz", state_at(0.1)
    save_state(path, state)
    again = load_state(path)
    assert again.time == state.time
    for name in ("displacement", "internal", "stress", "temperature"):
        np.testing.assert_array_equal(getattr(again, name), getattr(state, name))


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 broken"])
def test_what_is_no_state_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"expected a state of a structure, received"):
        load_state(path)


def test_an_archive_without_the_arrays_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", displacement=np.zeros((2, 3)))
    with pytest.raises(UserError, match=r"other\.npz: expected a state"):
        load_state(tmp_path / "other.npz")


@pytest.mark.parametrize("name", ["displacement", "internal", "stress", "temperature"])
def test_a_state_of_another_mesh_or_law_is_refused(name: str) -> None:
    wrong: dict[str, Any] = vars(state_at(0.1)) | {name: np.zeros((3, 3))}
    with pytest.raises(UserError, match=f"state: {name}: expected shape"):
        StructureState(**wrong).require_fits(4, 2, 7)
    array = getattr(state_at(0.1), name).copy()
    array.flat[0] = np.nan
    with pytest.raises(UserError, match=f"state: {name}: expected finite"):
        StructureState(**(vars(state_at(0.1)) | {name: array})).require_fits(4, 2, 7)


def test_a_history_keeps_the_order_of_times() -> None:
    history = History()
    for number in (2, 0, 1):
        history(number, state_at(0.5 * number))
    assert len(history) == 3
    np.testing.assert_array_equal(history.times, [0.0, 0.5, 1.0])
    assert history.displacement.shape == (3, 4, 3)
    assert history.state(-1).time == 1.0
    assert set(history.arrays()) == {"times", "displacement", "stress", "internal", "temperature"}


def test_reports_add_up() -> None:
    one, other = StepReport(iterations=2, residual=1e-9), StepReport(iterations=3, residual=1e-8)
    both = one.plus(other)
    assert (both.iterations, both.residual) == (5, 1e-8)
