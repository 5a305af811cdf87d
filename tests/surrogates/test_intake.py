"""Laws of reception."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import FencedError, StorageAccessError, UserError
from infra.streaming.frames import Frame, FrameKey, Hello, Verdict, frame_digest
from infra.streaming.memory import MemoryLink
from surrogates.arrivals import Arrival, Design
from surrogates.inbox import arrival_bytes
from surrogates.intake import Intake
from surrogates.journal import Entry, Journal
from surrogates.testing import small_design, small_frame, small_spec, small_values
from surrogates.testing_intake import SPEC, Room, keys, receive, send, wait_for

FRAME_BYTES = arrival_bytes(6)


def test_accepted_frames_are_taken_once_in_order_with_their_parameters(room: Room) -> None:
    intake = room.intake()
    send(intake, 1, range(3))
    send(intake, 0, range(2))
    first, rest = intake.take(2), intake.take(10)
    assert keys(first + rest) == [(1, 0), (1, 1), (1, 2), (0, 0), (0, 1)]
    assert [arrival.number for arrival in first + rest] == list(range(5))
    assert [arrival.mu.tolist() for arrival in first + rest] == [[2.0]] * 3 + [[1.0]] * 2
    assert rest[0].time == pytest.approx(0.2)
    np.testing.assert_array_equal(rest[0].values, small_values(SPEC, 1, 2))
    assert intake.take(10) == []


def test_duplicates_never_enter(room: Room) -> None:
    intake = room.intake()
    send(intake, 1, range(2))
    other = Frame(FrameKey(1, 5, 1), np.ones(6, np.float32), 99)
    assert intake.ingest(small_frame(SPEC, 1, 0, attempt=5))[0] is Verdict.DUPLICATE
    assert intake.ingest(other)[0] is Verdict.DIFFERENT
    assert len(intake.take(10)) == 2
    assert room.events == [("conflict", {"sample": 1, "attempt": 5, "step": 1})]


def test_a_hello_is_told_what_is_there(room: Room) -> None:
    intake = room.intake()
    assert intake.ingest(Hello(1, 0)) == (Verdict.ACCEPTED, frozenset())
    send(intake, 1, range(2))
    assert intake.ingest(Hello(1, 1)) == (Verdict.ACCEPTED, frozenset({0, 1}))
    send(intake, 1, range(2, 5))
    assert intake.ingest(Hello(1, 2))[0] is Verdict.DUPLICATE
    assert intake.ingest(Hello(17, 0))[0] is Verdict.REFUSED


@pytest.mark.parametrize(
    ("mu", "verdict"),
    [
        ({}, Verdict.ACCEPTED),
        ({"a": 2.0}, Verdict.ACCEPTED),
        ({"a": 2.0, "more": 1.0}, Verdict.ACCEPTED),
        ({"a": 3.0}, Verdict.REFUSED),  # not those of sample 1
        ({"b": 2.0}, Verdict.REFUSED),
        ({"a": float("nan")}, Verdict.REFUSED),
    ],
)
def test_parameters_that_are_not_those_of_the_study_are_refused(
    room: Room, mu: dict[str, float], verdict: Verdict
) -> None:
    assert room.intake().ingest(Hello(1, 0, mu))[0] is verdict


def test_parameters_may_be_announced_by_the_client_alone(room: Room) -> None:
    known = small_design(SPEC)
    design = Design(known.names, known.times, 6, known.training, known.validation, {})
    intake = room.intake(design=design)
    assert intake.ingest(small_frame(SPEC, 0, 0))[0] is Verdict.REFUSED
    assert intake.ingest(Hello(0, 0))[0] is Verdict.REFUSED
    assert intake.ingest(Hello(0, 0, {"a": 7.0}))[0] is Verdict.ACCEPTED
    send(intake, 0, range(1))
    assert intake.take(1)[0].mu.tolist() == [7.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_frame_that_is_not_finite_is_refused_and_its_sample_is_a_hole(
    room: Room, bad: float
) -> None:
    intake = room.intake()
    send(intake, 1, range(2))
    values = np.ones(6, np.float32)
    values[3] = bad
    verdict, _ = intake.ingest(Frame(FrameKey(1, 0, 2), values, frame_digest(values)))
    assert verdict is Verdict.REFUSED
    assert intake.holes == {1: "not-finite"}
    assert keys(intake.take(10)) == [(1, 0), (1, 1)]
    assert intake.ingest(small_frame(SPEC, 1, 3))[0] is Verdict.DUPLICATE
    assert ("hole", {"sample": 1, "reason": "not-finite"}) in room.events


def test_large_finite_values_are_accepted(room: Room) -> None:
    values = np.full(6, 3e38, np.float32)  # their sum is not finite
    frame = Frame(FrameKey(0, 0, 0), values, frame_digest(values))
    assert room.intake().ingest(frame)[0] is Verdict.ACCEPTED


def test_a_frame_of_another_size_is_refused(room: Room) -> None:
    values = np.ones(7, np.float32)
    frame = Frame(FrameKey(0, 0, 0), values, frame_digest(values))
    intake = room.intake()
    assert intake.ingest(frame)[0] is Verdict.REFUSED
    assert not intake.holes


def test_validation_samples_are_handed_over_whole_and_never_trained_on(room: Room) -> None:
    intake = room.intake()
    send(intake, 3, range(1, 5))
    assert intake.take_validation() == []
    send(intake, 3, range(1))
    (held,) = intake.take_validation()
    assert held.sample == 3
    assert held.mu.tolist() == [4.0]
    np.testing.assert_allclose(held.times, [0.0, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(held.values, [small_values(SPEC, 3, step) for step in range(5)])
    assert intake.take_validation() == []
    assert intake.take(10) == []


def test_without_partial_samples_only_complete_ones_are_handed_over(room: Room) -> None:
    intake = room.intake(keep_partial=False)
    send(intake, 0, range(4))
    send(intake, 1, range(2))
    assert intake.take(10) == []
    send(intake, 0, range(4, 5))
    intake.close_sample(1, "crashed")
    assert keys(intake.take(10)) == [(0, step) for step in range(5)]
    assert intake.take(1) == []


def test_what_was_not_admitted_before_a_checkpoint_comes_again(room: Room) -> None:
    first = room.intake()
    send(first, 0, range(3))
    send(first, 3, range(5))
    taken = first.take(2)
    state = first.state()
    send(first, 1, range(4))
    first.close_sample(2, "crashed")
    second = room.intake()
    second.recover(state, np.array([arrival.number for arrival in taken]))
    assert keys(second.take(100)) == [(0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert second.holes == {2: "crashed"}
    assert len(second.take_validation()) == 1
    assert second.ingest(Hello(1, 1)) == (Verdict.ACCEPTED, frozenset({0, 1, 2, 3}))
    assert second.ingest(small_frame(SPEC, 1, 0))[0] is Verdict.DUPLICATE


def test_without_a_checkpoint_everything_in_the_journal_comes_again(room: Room) -> None:
    send(room.intake(), 0, range(3))
    second = room.intake()
    second.start()
    assert keys(receive(second, 3)) == [(0, 0), (0, 1), (0, 2)]


def test_a_journal_with_missing_frames_is_a_clear_error(room: Room) -> None:
    first = room.intake()
    send(first, 0, range(3))
    (room.folder / "training").joinpath(f"{0:020d}.frames").unlink()
    journal = Journal(room.folder / "training", SPEC.study, 6)
    frame = small_frame(SPEC, 0, 3)
    journal.append([Entry(3, frame.key, frame.values, np.ones(1), frame.digest, 0.0)])
    with pytest.raises(UserError, match="the next one there is 3"):
        room.intake().recover({}, np.empty(0, np.int64))


def test_the_inbox_stays_within_its_memory(room: Room) -> None:
    intake = room.intake(memory=3 * FRAME_BYTES)
    send(intake, 0, range(5))
    send(intake, 1, range(5))
    assert intake.inbox_bytes <= 3 * FRAME_BYTES
    assert keys(intake.take(100)) == [(s, k) for s in (0, 1) for k in range(5)]


def test_frames_of_live_clients_arrive_and_clients_are_released(room: Room) -> None:
    intake = room.intake()
    intake.start()
    for sample in range(4):
        with room.link.connect(sample) as stream:
            for step in range(5):
                stream.send(step, small_values(SPEC, sample, step))
    arrivals = receive(intake, 15)
    assert sorted(keys(arrivals)) == [(s, k) for s in range(3) for k in range(5)]
    assert intake.over
    assert len(intake.take_validation()) == 1


def test_a_full_inbox_grants_no_credit_until_something_is_taken(room: Room) -> None:
    intake = room.intake(memory=2 * FRAME_BYTES)
    intake.start()

    def run(sample: int) -> None:
        with room.link.connect(sample) as stream:
            for step in range(5):
                stream.send(step, small_values(SPEC, sample, step))

    clients = [threading.Thread(target=run, args=(sample,)) for sample in range(3)]
    for client in clients:
        client.start()
    arrivals: list[Arrival] = []
    most = 0
    while len(arrivals) < 15:
        intake.wait(30.0)
        most = max(most, intake.waiting)
        arrivals += intake.take(1)
    for client in clients:
        client.join(30.0)
        assert not client.is_alive()
    assert most <= 2
    assert len(set(keys(arrivals))) == 15


def test_no_client_within_the_stated_time_is_a_clear_error(room: Room) -> None:
    intake = room.intake(first_client=0.0)
    intake.start()
    with pytest.raises(UserError, match="a simulation to connect within 0 s"):
        receive(intake, 1)


def test_a_newer_trainer_stops_this_one(room: Room) -> None:
    intake = room.intake()
    intake.start()
    room.link.source()
    with pytest.raises(FencedError):
        receive(intake, 1)


def test_an_answer_is_given_only_after_the_frame_is_on_disk(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = room.intake()

    def full(*_: Any, **__: Any) -> None:
        raise StorageAccessError("no room")

    monkeypatch.setattr(intake.journal, "append", full)
    with pytest.raises(StorageAccessError):
        intake.ingest(small_frame(SPEC, 0, 0))
    monkeypatch.undo()
    send(intake, 0, range(1))  # it was not noted as accepted
    assert keys(intake.take(9)) == [(0, 0)]


def test_a_killed_trainer_loses_no_frame_that_it_has_accepted(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from infra.streaming.memory import MemoryLink\n"
        "from surrogates.intake import Intake\n"
        "from surrogates.journal import Entry, Journal\n"
        "from surrogates.testing import small_design, small_frame, small_spec\n"
        "spec = small_spec(n_samples=400, n_frames=5, n_values=2000)\n"
        "journals = [Journal(Path(sys.argv[1], name), 'study', 2000) for name in 'ab']\n"
        "intake = Intake(MemoryLink(spec).source(), small_design(spec), *journals)\n"
        "for number in range(2000):\n"
        "    intake.ingest(small_frame(spec, number // 5, number % 5))\n"
        "    print(number, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    spec = small_spec(n_samples=400, n_frames=5, n_values=2000)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 137:
                process.kill()
                break
        accepted = [137, *(int(line) for line in process.stdout if line.endswith("\n"))]
    journals = [Journal(tmp_path / name, "study", 2000) for name in "ab"]
    intake = Intake(MemoryLink(spec).source(), small_design(spec), *journals)
    intake.recover({}, np.empty(0, np.int64))
    numbers = [arrival.number for arrival in intake.take(3000)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (accepted[-1] + 1, accepted[-1] + 2)  # the last one may be unsaid


def test_an_error_of_the_thread_is_raised_in_the_trainer(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = room.intake()

    def full(*_: Any, **__: Any) -> None:
        raise StorageAccessError("no room")

    monkeypatch.setattr(intake.journal, "append", full)
    intake.start()
    stream = room.link.connect(0)
    stream.send(0, small_values(SPEC, 0, 0))
    with pytest.raises(StorageAccessError, match="no room"):
        receive(intake, 1)


def test_a_silent_client_is_reported_once_and_its_sample_stays_open(room: Room) -> None:
    intake = room.intake(silence=-1.0)
    intake.start()
    stream = room.link.connect(0)
    stream.send(0, small_values(SPEC, 0, 0))
    reported = wait_for(lambda: [e for e in room.events if e[0] == "client-silent"])
    assert [values["sample"] for _, values in reported] == [0]
    assert not intake.holes
