"""Laws of samples that are given up, and of what opens them again."""

from pathlib import Path

import numpy as np

from infra.streaming.frames import Ending, Hello, Verdict
from infra.streaming.spool import Owner, Spool
from infra.streaming.zmq_source import ZmqSource
from surrogates.intake import Intake
from surrogates.journal import Journal
from surrogates.testing import small_design, small_frame
from surrogates.testing_intake import SPEC, Room, keys, receive, send, wait_for


def test_an_attempt_that_ends_without_all_frames_gives_its_sample_up_unless_it_was_discarded(
    room: Room,
) -> None:
    intake = room.intake()
    send(intake, 0, range(5))
    send(intake, 3, range(4))
    intake.ingest(Ending(0, 0, complete=True))
    intake.ingest(Ending(1, 0, complete=False, reason="diverged"))
    intake.ingest(Ending(2, 0, complete=False, reason="discarded"))
    intake.ingest(Ending(3, 0, complete=True))
    intake.ingest(Ending(9, 0, complete=False, reason="not-finite"))
    assert intake.holes == {1: "diverged", 3: "incomplete"}
    assert ("hole", {"sample": 3, "reason": "incomplete"}) in room.events


def test_a_new_attempt_at_a_hole_is_heard_until_reception_is_over(room: Room) -> None:
    intake = room.intake()
    assert intake.ingest(Hello(1, 4))[0] is Verdict.ACCEPTED
    send(intake, 1, range(2), attempt=4)
    intake.ingest(Ending(1, 4, complete=False, reason="killed"))
    assert intake.ingest(Hello(1, 4))[0] is Verdict.DUPLICATE  # the old one joins again
    assert intake.ingest(Hello(1, 5)) == (Verdict.ACCEPTED, frozenset({0, 1}))
    assert not intake.holes
    # What the old one has left says its end late; the new one is under way.
    intake.ingest(Ending(1, 4, complete=False, reason="killed"))
    send(intake, 1, range(2, 5), attempt=5)
    assert not intake.holes
    for sample in (0, 2, 3):
        intake.ingest(Ending(sample, 0, complete=False, reason="killed"))
    assert intake.ingest(Hello(0, 6))[0] is Verdict.DUPLICATE  # it was the end


def test_frames_that_may_be_dropped_are_not_built_upon_by_a_new_attempt(room: Room) -> None:
    intake = room.intake(keep_partial=False)
    send(intake, 1, range(2))
    for sample in (0, 1):
        intake.close_sample(sample, "crashed")
    assert intake.ingest(Hello(0, 1))[0] is Verdict.ACCEPTED
    assert intake.ingest(Hello(1, 1))[0] is Verdict.DUPLICATE


def test_holes_of_an_earlier_trainer_are_open_again_unless_they_have_failed(room: Room) -> None:
    first = room.intake()
    send(first, 1, range(2))
    state = first.state()
    for sample in (0, 1, 3):
        first.close_sample(sample, "crashed")
    second = room.intake()
    second.recover(state, np.empty(0, np.int64))
    second.reopen({0})
    assert second.holes == {0: "crashed"}
    send(second, 1, range(2, 5), attempt=1)
    # The hole is older than these frames; and so for a trainer from a checkpoint with the hole.
    third = room.intake()
    third.recover({**first.state()}, np.empty(0, np.int64))
    assert third.holes == {0: "crashed", 3: "crashed"}
    assert keys(third.take(9)) == [(1, step) for step in range(5)]


def test_a_hole_whose_frames_were_dropped_is_never_open_again(room: Room) -> None:
    first = room.intake(keep_partial=False)
    send(first, 1, range(2))
    first.close_sample(1, "crashed")
    state = first.state()
    room.folder.joinpath("training", f"{0:020d}.frames").unlink()
    second = room.intake(keep_partial=False)
    second.recover(state, np.empty(0, np.int64))
    second.reopen(())
    assert second.holes == {1: "crashed"}


def test_reception_is_over_when_all_are_complete_or_holes_and_everything_was_taken(
    room: Room,
) -> None:
    intake = room.intake()
    for sample in (0, 3):
        send(intake, sample, range(5))
    send(intake, 1, range(2))
    assert intake.close_sample(1, "crashed")
    assert not intake.close_sample(1, "again")
    assert not intake.close_sample(0, "complete")
    assert not intake.close_sample(77, "unknown")
    assert intake.close_sample(2, "crashed")
    assert not intake.over
    assert len(intake.take(100)) == 7
    assert intake.over


def test_a_hole_without_a_failure_record_stays_until_a_newer_attempt_comes(room: Room) -> None:
    """A user's own loop that gave up: nobody has said that it will compute the sample again."""
    first = room.intake()
    send(first, 1, range(2), attempt=4)
    state = first.state()
    first.ingest(Ending(1, 4, complete=False, reason="diverged"))
    first.ingest(Ending(2, 7, complete=False, reason="diverged"))
    first.close_sample(2, "diverged")  # and this one's record was seen
    for known in (state, first.state(), {}):
        second = room.intake()
        second.recover(known, np.empty(0, np.int64))
        second.reopen(())
        assert second.holes == {1: "diverged"}
        assert second.ingest(Hello(1, 3))[0] is Verdict.DUPLICATE  # older than what gave it up
        assert second.ingest(Hello(1, 4))[0] is Verdict.DUPLICATE
        assert second.holes == {1: "diverged"}
        assert second.ingest(Hello(1, 5)) == (Verdict.ACCEPTED, frozenset({0, 1}))
        assert not second.holes


def test_a_sample_is_not_given_up_while_frames_of_it_lie_in_the_spool(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    source = ZmqSource(tmp_path / "rendezvous.json", SPEC, spool=spool)
    journals = [Journal(tmp_path / name, SPEC.study, SPEC.n_values) for name in "ab"]
    intake = Intake(source, small_design(SPEC), *journals)
    intake.recover({}, np.empty(0, np.int64))
    intake.ingest(Hello(1, 11))
    send(intake, 1, range(2), attempt=11)
    left = Spool(spool, 10**6, Owner(SPEC.study, SPEC.n_values, Hello(1, 11), (0, SPEC.n_values)))
    for step in (2, 3):
        frame = small_frame(SPEC, 1, step)
        left.append(step, frame.digest, frame.values)
    left.close(keep=True)
    try:
        assert not intake.close_sample(1, "lost")
        assert not intake.holes
        intake.start()
        assert keys(receive(intake, 4)) == [(1, step) for step in range(4)]
        wait_for(lambda: intake.close_sample(1, "lost"))
        assert intake.holes == {1: "lost"}
    finally:
        intake.stop()
        source.close()


def test_a_sample_is_given_up_at_once_where_partial_samples_are_not_trained_on(room: Room) -> None:
    intake = room.intake(keep_partial=False)
    stream = room.link.connect(1)
    assert intake.close_sample(1, "lost")
    stream.abandon("seen")


def test_a_client_that_hangs_does_not_keep_its_sample_open_for_ever(room: Room) -> None:
    stream = room.link.connect(1)
    assert not room.intake().close_sample(1, "lost")
    impatient = room.intake(silence=0.0)
    assert impatient.close_sample(1, "lost")
    assert impatient.holes == {1: "lost"}
    stream.abandon("seen")
