"""Progress is what the logs say, line by line; the display shows it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.display import Display
from flows.plan import Chunk, Plan
from flows.progress import Follower, Progress

START: Any = {"event": "started", "sample": 0}
FRAME: Any = {"event": "frame", "sample": 0, "frame": 4}
DONE: Any = {"event": "committed", "sample": 0, "steps": 12, "seconds": 3.25}
FAILED: Any = {"event": "failed", "sample": 1, "reason": "diverged", "message": "too fast"}
SKIPPED: Any = {"event": "skipped", "sample": 1}


def say(chunk: Chunk, *events: dict[str, Any]) -> None:
    with chunk.log.open("a") as log:
        log.writelines(json.dumps(event) + "\n" for event in events)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Give a plan of two chunks, 6 samples and 10 frames; one more sample was committed before."""
    chunks = []
    for number, samples in enumerate([(0, 1, 2), (3, 4)]):
        log = tmp_path / f"{number}.jsonl"
        log.touch()
        chunks.append(Chunk(number, tmp_path / f"{number}.json", log, samples))
    return Plan(tmp_path, tuple(chunks), n_samples=6, n_committed=1, n_failed=0, n_frames=10)


def test_before_the_first_event_only_earlier_work_counts(plan: Plan) -> None:
    now = Follower(plan).look()
    assert now == Progress(samples=6, committed=1, failed=0, frames=60, frames_done=10, messages=())
    assert now.fraction == 10 / 60


def test_events_become_progress(plan: Plan) -> None:
    follower, (first, second) = Follower(plan), plan.chunks
    say(first, START, FRAME)
    say(second, {"event": "started", "sample": 3}, {"event": "frame", "sample": 3, "frame": 0})
    assert follower.look().frames_done == 10 + 5 + 1
    say(first, DONE)
    now = follower.look()
    assert (now.committed, now.failed, now.frames_done) == (2, 0, 10 + 10 + 1)
    say(first, {"event": "started", "sample": 1}, FAILED)
    now = follower.look()
    assert (now.committed, now.failed, now.frames_done) == (2, 1, 10 + 20 + 1)


def test_a_run_that_is_through_is_complete(plan: Plan) -> None:
    follower = Follower(plan)
    for chunk in plan.chunks:
        say(chunk, *({**DONE, "sample": i} for i in chunk.samples), {"event": "finished"})
    now = follower.look()
    assert (now.committed, now.fraction) == (6, 1.0)


def test_messages_are_for_people_and_come_once(plan: Plan) -> None:
    follower = Follower(plan)
    say(plan.chunks[0], START, FRAME, DONE, FAILED)
    assert follower.look().messages == (
        "sample 0: committed, 12 steps in 3.2 s",
        "sample 1: failed (diverged): too fast",
    )
    assert follower.look().messages == ()


def test_a_crowd_of_quick_samples_is_told_in_one_line_and_failures_one_by_one(plan: Plan) -> None:
    follower = Follower(plan)
    say(plan.chunks[0], *({**DONE, "sample": i} for i in range(50)), FAILED)
    assert follower.look().messages == (
        "50 more samples committed",
        "sample 1: failed (diverged): too fast",
    )


def test_a_steady_sample_counts_as_one_and_has_no_steps(plan: Plan) -> None:
    steady = replace(plan, n_frames=0)
    follower = Follower(steady)
    assert steady.steady
    assert not plan.steady
    say(plan.chunks[0], START, {**DONE, "seconds": 0.0123})
    now = follower.look()
    assert (now.frames, now.frames_done, now.fraction) == (6, 2, 2 / 6)
    assert now.messages == ("sample 0: committed, in 0.012 s",)


def test_half_written_lines_wait_for_their_end(plan: Plan) -> None:
    follower, log = Follower(plan), plan.chunks[0].log
    line = json.dumps(DONE)
    log.write_text(line[:20])
    assert follower.look().committed == 1
    with log.open("a") as more:
        more.write(line[20:])
    assert follower.look().committed == 1
    with log.open("a") as more:
        more.write("\n")
    assert follower.look().committed == 2


def test_foreign_output_is_no_event(plan: Plan) -> None:
    follower = Follower(plan)
    plan.chunks[0].log.write_bytes(
        b'Warning: a library speaks\n[1, 2]\n3\n"event"\n\n\xff\xfe\n{"no": "event"}\n'
    )
    say(plan.chunks[0], DONE)
    now = follower.look()
    assert (now.committed, len(now.messages)) == (2, 1)


def test_what_an_earlier_run_wrote_does_not_count(plan: Plan) -> None:
    say(plan.chunks[0], START, FRAME, DONE, FAILED)
    follower = Follower(plan)
    assert follower.look() == Follower(plan).look()
    assert follower.look().frames_done == 10


def test_a_second_attempt_starts_its_sample_anew(plan: Plan) -> None:
    follower = Follower(plan)
    say(plan.chunks[0], START, FRAME, START)
    assert follower.look().frames_done == 10
    say(plan.chunks[0], {**FRAME, "frame": 0})
    assert follower.look().frames_done == 11


def test_a_sample_that_another_run_has_committed_counts_as_committed(plan: Plan) -> None:
    follower = Follower(plan)
    say(plan.chunks[0], SKIPPED)
    assert follower.look().committed == 2


def test_a_failed_sample_that_a_retry_skips_stays_failed(plan: Plan) -> None:
    follower = Follower(plan)
    say(plan.chunks[0], FAILED, SKIPPED)
    now = follower.look()
    assert (now.committed, now.failed) == (1, 1)


def test_without_a_terminal_only_the_messages_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Display(60) as display:
        display.show(Progress(6, 2, 0, 60, 15, ("sample 0: committed [m]",)))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.strip() == "sample 0: committed [m]"


def test_a_terminal_has_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with Display(60) as display:
        display.show(Progress(6, 2, 1, 60, 15, ()))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2/6 samples, 1 failed" in shown.err
    assert "15/60" in shown.err
    assert "frames" in shown.err


def test_a_bar_over_samples_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with Display(6, "samples") as display:
        display.show(Progress(6, 2, 0, 6, 2, ()))
    shown = capsys.readouterr().err
    assert shown.count("samples") >= 2  # what is counted, and how many are committed
    assert "frames" not in shown
