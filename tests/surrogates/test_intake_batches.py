"""Frames that are judged together: as if one came after the other."""

import numpy as np
import pytest

from infra.errors import StorageFullError
from infra.streaming.frames import Frame, FrameKey, Verdict, frame_digest
from surrogates.accepted import Batch
from surrogates.intake import Intake
from surrogates.testing import small_frame
from surrogates.testing_intake import SPEC, Room, keys


def arbitrary(rng: np.random.Generator) -> Frame:
    """Return a frame that may be new, a duplicate, different, outside the study or no number."""
    sample, step, attempt = (int(rng.integers(n)) for n in (5, 6, 2))
    frame = small_frame(SPEC, min(sample, 3), min(step, 4), attempt)
    values = np.array(frame.values)
    kind = rng.random()
    if kind < 0.1:
        values = values + np.float32(1.0)
    elif kind < 0.13:
        values[2] = np.nan
    elif kind < 0.16:
        values = values[:-1]
    return Frame(FrameKey(sample, attempt, step), values, frame_digest(values))


def outcome(intake: Intake) -> tuple[object, ...]:
    """Return all that a trainer can see of a reception."""
    state = {name: entry for name, entry in intake.ledger.state().items() if name != "lines"}
    lines = intake.ledger.lines
    named = [tuple(int(line[n]) for n in ("sample", "attempt", "step", "digest")) for line in lines]
    arrivals = intake.take(999)
    taken = [*zip(keys(arrivals), (arrival.number for arrival in arrivals), strict=True)]
    held_out = [(h.sample, h.values.tobytes()) for h in intake.take_validation()]
    return state, named, taken, held_out, intake.holes, intake.journal.numbers.tolist()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("keep_partial", [True, False])
def test_verdicts_and_what_is_kept_do_not_depend_on_what_comes_together(
    room: Room, seed: int, keep_partial: bool
) -> None:
    rng = np.random.default_rng(seed)
    frames = [arbitrary(rng) for _ in range(120)]
    cuts = sorted(int(k) for k in rng.integers(0, len(frames), 9))
    together = Room(room.folder / "together", room.link)
    one, many = room.intake(keep_partial=keep_partial), together.intake(keep_partial=keep_partial)
    single = [one.ingest(frame)[0] for frame in frames]
    pieces = np.split(np.arange(len(frames)), cuts)
    batched = [v for piece in pieces for v in many.ingest_frames([frames[k] for k in piece])]
    assert batched == single
    assert outcome(many) == outcome(one)
    assert together.events == room.events
    # And the next trainer finds the same in the journal.
    again = together.intake(keep_partial=keep_partial)
    again.recover({}, np.empty(0, np.int64))
    assert again.holes == many.holes
    assert len(again.ledger) == len(one.ledger)


def test_frames_of_a_batch_that_could_not_be_written_are_no_gap_for_the_next_trainer(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise StorageFullError("no room")

    intake = room.intake()
    frames = [small_frame(SPEC, sample, step) for sample, step in ((0, 0), (0, 1), (3, 0), (0, 2))]
    monkeypatch.setattr(intake._held_out, "append", full)
    with pytest.raises(StorageFullError):
        intake.ingest_frames(frames)
    following = room.intake()
    following.recover({}, np.empty(0, np.int64))
    assert keys(following.take(9)) == [(0, 0), (0, 1)]
    assert following.ingest_frames(frames[2:]) == [Verdict.ACCEPTED] * 2


def test_a_batch_is_full_after_some_frames_or_bytes() -> None:
    batch, mu = Batch(), np.ones(1)
    for step in range(128):
        assert not batch.full
        frame = small_frame(SPEC, 0, step)
        assert frame.key not in batch
        batch.add(frame, mu)
        assert frame.key in batch
    assert batch.full
    entries = batch.take(7, 1.5)
    assert [entry.number for entry in entries] == list(range(7, 135))
    assert (len(batch), batch.full, batch.take(0, 0.0)) == (0, False, [])
    values = np.zeros(1 << 20, np.float32)
    batch.add(Frame(FrameKey(0, 0, 0), values, frame_digest(values)), mu)
    assert batch.full
