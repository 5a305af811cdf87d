"""Ends of jobs are told apart, and each is answered as it deserves."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from infra.cluster.arrays import Array
from infra.cluster.launcher import Launcher
from infra.cluster.policy import Attempt, advice, next_attempt
from infra.cluster.resources import Limits, Resources
from infra.cluster.slurm_commands import Queue
from infra.cluster.states import Outcome, outcome_in_turn, outcome_of
from infra.cluster.work import End, Work

FIRST = Attempt(Resources(600, 1000))


def end(how: Any = "ended", code: int = 1, errors: str = "") -> End:
    return End(
        how=how, code=code, errors=errors, job=1, host="n1", restart=0, started=0.0, seconds=1.0
    )


def following(outcome: Outcome, before: Attempt, *, progress: bool = False) -> Attempt | None:
    return next_attempt(outcome, before, progress=progress, retries=2)


def attempts(outcome: Outcome, *, progress: bool = False, limit: int = 50) -> list[Attempt]:
    """Return all attempts if each of them ends alike."""
    made = [FIRST]
    while (
        len(made) < limit and (more := following(outcome, made[-1], progress=progress)) is not None
    ):
        made.append(more)
    return made


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("TIMEOUT", Outcome.TIMEOUT),
        ("NODE_FAIL", Outcome.NODE_FAIL),
        ("OUT_OF_MEMORY", Outcome.OUT_OF_MEMORY),
        ("CANCELLED", Outcome.CANCELLED),
        ("PREEMPTED", Outcome.PREEMPTED),
        ("FAILED", Outcome.CRASHED),
        ("COMPLETED", Outcome.CRASHED),  # without having said so itself
        (None, Outcome.LOST),
    ],
)
def test_without_a_word_of_its_own_a_job_ended_as_slurm_says(
    state: str | None, outcome: Outcome
) -> None:
    assert outcome_of(state, None) is outcome


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "CONFIGURING"])
def test_a_job_that_slurm_will_go_on_with_has_not_ended(state: str) -> None:
    assert outcome_of(state, None) is None
    assert outcome_of(state, end("terminated", -15)) is None


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETED", "CANCELLED", "NODE_FAIL", None])
def test_what_a_job_finished_stays_finished_whatever_slurm_says(state: str | None) -> None:
    assert outcome_of(state, end(code=0)) is Outcome.DONE
    assert outcome_of(state, end(code=2)) is Outcome.REFUSED
    assert outcome_of(state, end(code=3)) is Outcome.STORAGE


def test_a_crash_for_lack_of_memory_is_told_from_other_crashes() -> None:
    assert outcome_of("FAILED", end(errors="MemoryError: no")) is Outcome.OUT_OF_MEMORY
    assert outcome_of("FAILED", end(errors="ValueError: no")) is Outcome.CRASHED


def test_a_job_that_closed_itself_is_told_from_one_that_was_ended() -> None:
    assert outcome_of("FAILED", end("closed", -9)) is Outcome.CLOSED
    assert outcome_of(None, end("terminated", -9)) is Outcome.CANCELLED


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.REFUSED, Outcome.STORAGE])
def test_what_would_end_alike_is_not_tried_again(outcome: Outcome) -> None:
    assert attempts(outcome) == [FIRST]


def test_memory_is_raised_once() -> None:
    assert [a.resources.memory for a in attempts(Outcome.OUT_OF_MEMORY)] == [1000, 2000]


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.CLOSED])
def test_walltime_is_raised_once_and_only_without_progress(outcome: Outcome) -> None:
    assert [a.resources.seconds for a in attempts(outcome)] == [600, 1200]
    assert len(attempts(outcome, progress=True)) == 50
    assert {a.resources for a in attempts(outcome, progress=True)} == {FIRST.resources}


def test_what_cannot_be_raised_is_not_tried_again() -> None:
    limits = Limits(seconds=600, memory=1000)
    for outcome in (Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY):
        assert next_attempt(outcome, FIRST, progress=False, retries=2, limits=limits) is None


@pytest.mark.parametrize(
    "outcome", [Outcome.NODE_FAIL, Outcome.PREEMPTED, Outcome.CANCELLED, Outcome.LOST]
)
def test_interruptions_are_borne_as_long_as_there_is_progress(outcome: Outcome) -> None:
    assert len(attempts(outcome)) == 6
    assert len(attempts(outcome, progress=True)) == 50


def test_crashes_are_tried_again_so_many_times() -> None:
    assert len(attempts(Outcome.CRASHED)) == 3


def test_any_sequence_of_ends_without_progress_comes_to_an_end() -> None:
    ends = [o for o in Outcome if following(o, FIRST) is not None]
    for order in itertools.permutations(ends, 3):
        attempt: Attempt | None = FIRST
        for count, outcome in enumerate(itertools.cycle(order)):
            assert attempt is not None
            attempt = following(outcome, attempt)
            if attempt is None:
                break
            assert count < 50
        assert attempt is None


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_end_comes_with_something_to_do(outcome: Outcome) -> None:
    assert advice(outcome, FIRST).endswith(".")


def test_a_chunk_whose_job_had_to_go_before_its_turn_gets_a_job_of_its_own() -> None:
    for state in ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "COMPLETED", None):
        assert outcome_of(state, end("unreached", -1)) is Outcome.UNREACHED
    second = following(Outcome.UNREACHED, FIRST)
    assert second is not None
    assert second.alone
    assert second.resources == FIRST.resources


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED", "CANCELLED"])
def test_what_befalls_a_whole_job_from_outside_befalls_all_its_chunks(state: str) -> None:
    outcome = outcome_of(state, None)
    assert outcome_in_turn(state, [end(), None, None]) is outcome
    assert outcome_of(state, end("unreached", -1)) is outcome


@pytest.mark.parametrize("state", ["TIMEOUT", "OUT_OF_MEMORY", "FAILED"])
def test_only_the_chunk_at_which_a_job_died_has_met_its_fault(state: str) -> None:
    outcome = outcome_of(state, None)
    assert outcome_in_turn(state, [None]) is outcome
    assert outcome_in_turn(state, [end(code=0), None]) is outcome
    assert outcome_in_turn(state, [None, None]) is Outcome.UNREACHED
    assert outcome_in_turn(state, [None, end(code=0)]) is Outcome.DONE


def test_each_chunk_of_a_job_has_an_outcome_of_its_own() -> None:
    assert outcome_in_turn("FAILED", [end(code=0), end(code=1)]) is Outcome.CRASHED
    assert outcome_in_turn("FAILED", [end(code=1), end(code=0)]) is Outcome.DONE
    assert outcome_in_turn("RUNNING", [end(code=1), None]) is None


@pytest.mark.parametrize(
    ("printed", "outcome"),
    [
        ("slurmstepd-n1: error: Exceeded job memory limit", Outcome.OUT_OF_MEMORY),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1.batch", Outcome.OUT_OF_MEMORY),
        ("Segmentation fault", Outcome.CRASHED),
    ],
)
def test_a_job_that_was_killed_for_memory_is_known_by_what_slurm_printed(
    tmp_path: Path, printed: str, outcome: Outcome
) -> None:
    """Without control groups Slurm calls such a job FAILED."""
    work = Work(launcher=Launcher(), grace=5, elements=(), ends=tmp_path / "ends")
    (tmp_path / "job-1-2.out").write_text(printed)
    array, queue = Array(job=7, first=1000, count=5), Queue({(7, 2): "FAILED"}, {})
    assert array.outcome(queue, work, 1002) == (outcome, None)
    assert array.outcome(Queue({(7, 3): "FAILED"}, {}), work, 1003) == (Outcome.CRASHED, None)
