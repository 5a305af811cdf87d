"""Laws of the ledger."""

import tracemalloc

import numpy as np
import pytest

from infra.errors import StoreError, UserError
from infra.streaming.frames import FrameKey, Verdict
from surrogates.holes import Hole
from surrogates.ledger import LINE, Ledger
from surrogates.testing import small_design, small_spec


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(small_design(small_spec(n_samples=3, n_frames=2)))


def test_a_frame_is_accepted_once(ledger: Ledger) -> None:
    assert ledger.judge(FrameKey(1, 7, 0), 11) is Verdict.ACCEPTED
    assert ledger.accept(FrameKey(1, 7, 0), 11, 5.0) == 0
    assert ledger.judge(FrameKey(1, 7, 0), 11) is Verdict.DUPLICATE
    assert (len(ledger), ledger.duplicates, ledger.different) == (1, 1, 0)
    assert ledger.lines.tolist() == [(1, 7, 0, 11, 5.0)]
    with pytest.raises(StoreError, match="not in the ledger"):
        ledger.accept(FrameKey(1, 7, 0), 11, 5.0)


def test_the_first_attempt_wins_and_other_values_are_listed(ledger: Ledger) -> None:
    ledger.accept(FrameKey(1, 7, 0), 11, 0.0)
    assert ledger.judge(FrameKey(1, 8, 0), 11) is Verdict.DUPLICATE
    assert ledger.judge(FrameKey(1, 8, 0), 12) is Verdict.DIFFERENT
    assert ledger.different == 1
    assert ledger.conflicts == (FrameKey(1, 8, 0),)
    assert ledger.lines["attempt"].tolist() == [7]


def test_attempts_are_64_bit(ledger: Ledger) -> None:
    ledger.accept(FrameKey(1, 1 << 60, 0), 11, 0.0)
    assert ledger.lines["attempt"].tolist() == [1 << 60]


@pytest.mark.parametrize(("sample", "step"), [(3, 0), (-1, 0), (0, 2), (0, -1)])
def test_a_frame_outside_the_design_is_refused(ledger: Ledger, sample: int, step: int) -> None:
    assert ledger.judge(FrameKey(sample, 0, step), 0) is Verdict.REFUSED


def test_reception_is_over_when_every_sample_is_complete_or_a_hole(ledger: Ledger) -> None:
    for sample in (0, 1):
        for step in (1, 0):
            assert not ledger.over
            assert not ledger.settled(sample)
            ledger.accept(FrameKey(sample, 0, step), 0, 0.0)
        assert ledger.complete(sample)
    ledger.accept(FrameKey(2, 0, 1), 0, 0.0)
    assert ledger.close(2, Hole("crashed"))
    assert ledger.over
    assert ledger.holes == {2: "crashed"}
    assert ledger.complete_samples == 2
    assert not ledger.complete(2)


def test_a_hole_takes_no_further_frame_and_is_recorded_once(ledger: Ledger) -> None:
    assert ledger.close(2, Hole("crashed"))
    assert not ledger.close(2, Hole("again"))
    assert not ledger.close(9, Hole("unknown"))
    assert ledger.judge(FrameKey(2, 0, 0), 0) is Verdict.DUPLICATE
    with pytest.raises(StoreError, match="not in the ledger"):
        ledger.accept(FrameKey(2, 0, 0), 0, 0.0)
    assert ledger.holes == {2: "crashed"}


def test_a_hole_that_is_reopened_takes_frames_again(ledger: Ledger) -> None:
    ledger.accept(FrameKey(2, 0, 0), 0, 0.0)
    assert ledger.close(2, Hole("crashed"))
    assert ledger.reopen(2)
    assert not ledger.reopen(2)
    assert not ledger.holes
    assert ledger.held(2) == {0}
    ledger.accept(FrameKey(2, 1, 1), 0, 0.0)
    assert ledger.complete(2)


def test_a_complete_sample_is_never_a_hole(ledger: Ledger) -> None:
    for step in range(2):
        ledger.accept(FrameKey(0, 0, step), 0, 0.0)
    assert not ledger.close(0, Hole("late report"))
    assert not ledger.holes


def test_held_steps_and_their_lines_are_known(ledger: Ledger) -> None:
    ledger.accept(FrameKey(1, 0, 1), 0, 0.0)
    assert ledger.held(1) == {1}
    ledger.accept(FrameKey(0, 0, 0), 0, 0.0)
    ledger.accept(FrameKey(1, 0, 0), 0, 0.0)
    assert ledger.held(1) == {0, 1}
    assert ledger.numbers(1).tolist() == [2, 0]


def test_a_restored_ledger_is_the_same(ledger: Ledger) -> None:
    ledger.accept(FrameKey(1, 1 << 40, 0), 4_000_000_000, 1e9 + 0.25)
    ledger.accept(FrameKey(1, 1 << 40, 1), 1, 1e9 + 0.5)
    ledger.close(2, Hole("crashed"))
    ledger.judge(FrameKey(1, 3, 0), 12)
    other = Ledger(small_design(small_spec(n_samples=3, n_frames=2)))
    other.restore(ledger.state())
    np.testing.assert_equal(other.state(), ledger.state())
    assert other.judge(FrameKey(1, 4, 0), 4_000_000_000) is Verdict.DUPLICATE
    assert other.complete(1)
    assert other.accept(FrameKey(0, 0, 1), 3, 0.0) == 2


def test_the_ledger_of_another_study_is_refused(ledger: Ledger) -> None:
    ledger.accept(FrameKey(2, 0, 1), 0, 0.0)
    for spec in (small_spec(n_samples=2, n_frames=2), small_spec(n_samples=3, n_frames=1)):
        with pytest.raises(UserError, match="ledger of this study"):
            Ledger(small_design(spec)).restore(ledger.state())


def test_a_line_takes_28_bytes_and_nothing_else_grows() -> None:
    assert LINE.itemsize == 28
    ledger = Ledger(small_design(small_spec(n_samples=50, n_frames=1000)))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for sample in range(20):
            for step in range(1000):
                ledger.accept(FrameKey(sample, 0, step), step, 0.0)
                ledger.judge(FrameKey(sample, 1, step), step + 1)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= 2 * 28 * 20_000 + 50_000  # the columns may have just doubled


def test_a_hole_keeps_its_first_reason_and_learns_of_a_failure_record(ledger: Ledger) -> None:
    assert ledger.close(2, Hole("diverged", 7))
    assert not ledger.close(2, Hole("lost", recorded=True))
    assert ledger.hole(2) == Hole("diverged", 7, recorded=True)
    again = Ledger(small_design(small_spec(n_samples=3, n_frames=2)))
    again.restore(ledger.state())
    assert again.hole(2) == ledger.hole(2)
