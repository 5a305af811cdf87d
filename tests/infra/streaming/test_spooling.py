"""Laws of the spool: order, limits, torn files, and what happens when the disk fails."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infra.errors import StorageAccessError, StreamError, UserError
from infra.streaming.client import ClientLimits, FrameStream, connect
from infra.streaming.frames import Ending, Frame, Hello, StreamSpec, frame_digest
from infra.streaming.leftovers import leftovers
from infra.streaming.spool import Owner, Spool
from infra.streaming.testing import Application, SmallLedger, values_of, wait_for
from infra.streaming.zmq_source import ZmqSource
from infra.streaming.zmq_stream import ZmqStream

# Memory for two frames only, and these for a moment.
TIGHT = ClientLimits(beat_seconds=0.05, idle_seconds=0.0, welcome_seconds=20.0, memory_bytes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rendezvous.json"


@pytest.fixture
def ledger(spec: StreamSpec) -> SmallLedger:
    return SmallLedger(spec)


def spool_of(folder: Path, spec: StreamSpec, sample: int = 1, limit: int = 10**6) -> Spool:
    hello = Hello(sample, 11, {"a": 0.5}, 2**53 - 1)
    return Spool(folder, limit, Owner(spec.study, spec.n_values, hello, (0, spec.n_values)))


def fill(spool: Spool, spec: StreamSpec, steps: range) -> None:
    for step in steps:
        vector = values_of(spec, spool.owner.hello.sample, step).astype("f4")
        assert spool.append(step, frame_digest(vector), vector) is not None


def test_frames_keep_their_order_through_memory_and_disk(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    with ZmqSource(path, spec, spool=path.parent / "spool") as source:
        stream = connect(path, 0, limits=TIGHT)
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
        assert list((path.parent / "spool").iterdir()), "two frames fit into memory"
        with Application(source, ledger, frames=3):
            stream.finish()
    ledger.assert_holds(0, set(range(spec.n_frames)))
    assert [key.step for key in ledger.delivered] == list(range(spec.n_frames))
    assert list((path.parent / "spool").iterdir()) == []


def test_an_end_while_frames_are_being_moved_to_the_spool_leaves_none_behind(
    path: Path, spec: StreamSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(spec, n_frames=2)
    folder, put = path.parent / "spool", threading.Event()
    with ZmqSource(path, spec, spool=folder):
        stream = connect(path, 0, limits=TIGHT)
        assert isinstance(stream, ZmqStream)
        outbox, carrier = stream._outbox, stream._carrier
        spill = outbox.spill

        def spill_and_end(*, everything: bool) -> bool:
            moved = spill(everything=everything)  # one of the two
            assert put.wait(20.0)
            outbox.end(complete=True, reason="")
            carrier.flush()
            return moved

        monkeypatch.setattr(outbox, "spill", spill_and_end)
        send_all(stream)
        put.set()
        wait_for(lambda: outbox.spooled)
        stream.finish(linger=0.0)
    (left,) = leftovers(folder, spec)
    assert (sorted(left.steps), left.ending) == ([0, 1], Ending(0, stream.attempt, complete=True))
    left.close()


def test_the_solver_runs_on_until_the_spool_is_full_then_waits_and_says_so(
    path: Path, spec: StreamSpec, ledger: SmallLedger, capfd: pytest.CaptureFixture[str]
) -> None:
    with ZmqSource(path, spec, spool=path.parent / "spool", spool_limit=250) as source:
        stream = connect(path, 2, limits=TIGHT)
        sent: list[int] = []

        def solve() -> None:
            for step in range(spec.n_frames):
                stream.send(step, values_of(spec, 2, step))
                sent.append(step)

        solver = threading.Thread(target=solve)
        solver.start()
        wait_for(lambda: bool(said_by(capfd)))
        assert 2 < len(sent) < spec.n_frames
        before = stream.blocked_seconds
        assert before > 0.0
        wait_for(lambda: stream.blocked_seconds > before)
        with Application(source, ledger):
            solver.join(20.0)
            stream.finish()
    ledger.assert_holds(2, set(range(spec.n_frames)))
    assert "waits" not in capfd.readouterr().err, "it is said once"


def said_by(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if "Sample 2 waits" in line]


def test_waiting_for_room_has_an_end(
    path: Path, spec: StreamSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    limits = replace(TIGHT, patience_seconds=0.2, welcome_seconds=0.1)
    with ZmqSource(path, spec, spool=path.parent / "spool", spool_limit=0):
        stream = connect(path, 2, limits=limits)
        with pytest.raises(StreamError, match="Start the trainer again"):
            send_all(stream)
        with pytest.raises(UserError, match="Expected all 8 steps"):
            stream.finish(linger=0.0)
    assert "neither the trainer nor" in capfd.readouterr().err


def send_all(stream: FrameStream, start: int = 0) -> None:
    for step in range(start, stream.spec.n_frames):
        stream.send(step, values_of(stream.spec, stream.sample, step))


def spoil(folder: Path) -> None:
    """Put a file where the folder was: even the superuser cannot write into it."""
    folder.rmdir()
    folder.write_text("no folder")


def test_a_spool_that_cannot_be_written_is_an_error_and_what_is_in_memory_is_kept(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    spool = path.parent / "spool"
    with ZmqSource(path, spec, spool=spool) as source:
        stream = connect(path, 2, limits=TIGHT)
        spoil(spool)
        with pytest.raises(StorageAccessError, match=r"Cannot (use|write)"):
            send_all(stream)
        spool.unlink()
        with Application(source, ledger):
            wait_for(lambda: len(ledger.held(2)) >= 2)
            send_all(stream, start=len(ledger.held(2)))
            stream.finish()
    ledger.assert_holds(2, set(range(spec.n_frames)))


def test_an_end_that_can_go_nowhere_is_an_error(path: Path, spec: StreamSpec) -> None:
    ZmqSource(path, spec, spool=path.parent / "spool").close()
    spoil(path.parent / "spool")
    stream = connect(path, 2, limits=replace(TIGHT, memory_bytes=1 << 20))
    send_all(stream)
    with pytest.raises(StorageAccessError, match=r"Cannot (use|write)"):
        stream.finish(linger=0.0)


def test_giving_up_never_raises_but_says_what_is_lost(
    path: Path, spec: StreamSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    ZmqSource(path, spec, spool=path.parent / "spool").close()
    spoil(path.parent / "spool")
    with pytest.raises(ZeroDivisionError), connect(path, 2, limits=TIGHT):
        raise ZeroDivisionError
    assert "Sample 2 was abandoned (ZeroDivisionError)" in capfd.readouterr().err


def test_a_source_without_a_spool_folder_says_so_at_once(path: Path, spec: StreamSpec) -> None:
    (path.parent / "file").write_text("no folder")
    with pytest.raises(StorageAccessError, match=r"Cannot (use|write)"):
        ZmqSource(path, spec, spool=path.parent / "file" / "spool")


def test_what_was_spooled_is_read_back_as_it_was(tmp_path: Path, spec: StreamSpec) -> None:
    spool = spool_of(tmp_path, spec)
    fill(spool, spec, range(3))
    spool.end(Ending(1, 11, complete=False, reason="diverged"))
    assert list(leftovers(tmp_path, spec)) == [], "its owner lives"
    spool.close(keep=True)
    (found,) = leftovers(tmp_path, spec)
    hello, *frames, ending = found.deliveries()
    assert hello == spool.owner.hello
    assert ending == Ending(1, 11, complete=False, reason="diverged")
    for step, frame in enumerate(frames):
        assert isinstance(frame, Frame)
        assert frame.key.step == step
        np.testing.assert_array_equal(frame.values, values_of(spec, 1, step).astype("f4"))
    assert list(leftovers(tmp_path, spec)) == [], "it is being read"
    found.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 20, 24, 30, 50])
def test_a_torn_tail_costs_only_what_was_torn(tmp_path: Path, spec: StreamSpec, cut: int) -> None:
    spool = spool_of(tmp_path, spec)
    fill(spool, spec, range(3))
    spool.close(keep=True)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    (found,) = leftovers(tmp_path, spec)
    assert found.steps == (0, 1)
    assert found.ending is None
    found.close()


def test_a_damaged_frame_is_left_out(tmp_path: Path, spec: StreamSpec) -> None:
    spool = spool_of(tmp_path, spec)
    fill(spool, spec, range(3))
    spool.close(keep=True)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (found,) = leftovers(tmp_path, spec)
    kept = [delivery for delivery in found.deliveries() if isinstance(delivery, Frame)]
    assert [frame.key.step for frame in kept] == [0, 1]
    found.close()


def test_parts_in_several_files_are_one_attempt(tmp_path: Path, spec: StreamSpec) -> None:
    hello = Hello(1, 11)
    for start, stop in ((4, 6), (0, 4)):
        spool = Spool(tmp_path, 10**6, Owner(spec.study, spec.n_values, hello, (start, stop)))
        for step in (0, 1) if start else (0, 1, 2):
            vector = values_of(spec, 1, step).astype("f4")[start:stop]
            spool.append(step, frame_digest(vector), vector)
        spool.end(Ending(1, 11, complete=True))
        spool.close(keep=True)
    (found,) = leftovers(tmp_path, spec)
    frames = [delivery for delivery in found.deliveries() if isinstance(delivery, Frame)]
    assert [frame.key.step for frame in frames] == [0, 1], "of step 2 a part is missing"
    for frame in frames:
        expected = values_of(spec, 1, frame.key.step).astype("f4")
        np.testing.assert_array_equal(frame.values, expected)
        assert frame.digest == frame_digest(expected)
    assert found.ending == Ending(1, 11, complete=True)
    found.close()


def test_files_of_another_study_are_left_alone(tmp_path: Path, spec: StreamSpec) -> None:
    spool = spool_of(tmp_path, replace(spec, study="study-2"))
    fill(spool, spec, range(1))
    spool.close(keep=True)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "1-2-3.4.spool").write_text("no segment")
    assert list(leftovers(tmp_path, spec)) == []
    assert len(list(tmp_path.iterdir())) == 3


def test_segments_go_away_with_their_last_frame(tmp_path: Path, spec: StreamSpec) -> None:
    spool = spool_of(tmp_path, spec)
    spool.segment_bytes = 200
    vectors = [values_of(spec, 1, step).astype("f4") for step in range(20)]
    places = [spool.append(k, frame_digest(v), v) for k, v in enumerate(vectors)]
    files = len(list(tmp_path.iterdir()))
    assert files > 4
    used = spool.used
    for place, vector in zip(places, vectors, strict=True):
        assert place is not None
        np.testing.assert_array_equal(spool.read(place), vector)
        spool.release(place)
    assert len(list(tmp_path.iterdir())) <= 1
    assert spool.used < used / 4
    spool.close(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_the_limit_is_for_all_clients_together(tmp_path: Path, spec: StreamSpec) -> None:
    first = spool_of(tmp_path, spec, sample=1)
    fill(first, spec, range(4))
    second = spool_of(tmp_path, spec, sample=2, limit=first.used + 10)
    assert second.append(0, 0, np.zeros(spec.n_values, "f4")) is None
    assert "holds its limit" in second.why_full
    first.close(keep=False)
    second.close(keep=False)


def leave(folder: Path, spec: StreamSpec, steps: range, *, complete: bool | None) -> None:
    """Be a client of sample 1 that has spooled these steps and perhaps an ending, and is gone."""
    spool = spool_of(folder, spec)
    fill(spool, spec, steps)
    if complete is not None:
        spool.end(Ending(1, 11, complete=complete, reason="" if complete else "diverged"))
    spool.close(keep=True)


@pytest.mark.parametrize("first", [0, 6])
def test_a_sample_whose_rest_lies_in_the_spool_is_not_computed_again(
    path: Path, spec: StreamSpec, ledger: SmallLedger, first: int
) -> None:
    spool = path.parent / "spool"
    with ZmqSource(path, spec, spool=spool) as source:
        with Application(source, ledger):
            early = connect(path, 1, attempt=11, limits=TIGHT)
            for step in range(first):
                early.send(step, values_of(spec, 1, step))
            early.abandon("discarded")
        leave(spool, spec, range(first, spec.n_frames), complete=True)
    with connect(path, 1, limits=TIGHT) as again:
        assert again.complete, "the trainer is away, but it will find the sample"
        again.send(0, values_of(spec, 1, 0))
    with ZmqSource(path, spec, spool=spool) as source, Application(source, ledger):
        wait_for(lambda: ledger.complete(1))
    ledger.assert_holds(1, set(range(spec.n_frames)))
    assert {hello.attempt for hello in ledger.hellos} == {11}, "the second one did not disturb"
    assert len(ledger.delivered) == spec.n_frames


@pytest.mark.parametrize("fault", ["no ending", "gave up", "torn", "damaged", "another sample"])
def test_a_sample_that_is_not_whole_in_the_spool_is_computed(
    path: Path, spec: StreamSpec, fault: str
) -> None:
    spool = path.parent / "spool"
    ZmqSource(path, spec, spool=spool).close()
    complete = {"no ending": None, "gave up": False}.get(fault, True)
    leave(spool, spec, range(spec.n_frames), complete=complete)
    (file,) = spool.iterdir()
    data = bytearray(file.read_bytes())
    if fault == "damaged":
        data[len(data) // 2] ^= 1
    file.write_bytes(data[:-1] if fault == "torn" else data)
    sample = 2 if fault == "another sample" else 1
    stream = connect(path, sample, limits=replace(TIGHT, welcome_seconds=0.05))
    assert not stream.complete
    stream.abandon("seen")


def test_a_source_expects_what_is_connected_or_lies_in_the_spool(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    spool = path.parent / "spool"
    with ZmqSource(path, spec, spool=spool) as source:
        assert not source.expects(1)
        leave(spool, spec, range(3), complete=None)
        (spool / "000002-11-0.000000.spool").write_text("nothing that can be read")
        assert source.expects(1)
        assert not source.expects(2)
        with Application(source, ledger):
            wait_for(lambda: not source.expects(1))
            ledger.assert_holds(1, {0, 1, 2})
            stream = connect(path, 3, limits=TIGHT)
            assert not stream.complete
            assert source.expects(3)
            stream.abandon("seen")
            wait_for(lambda: not source.expects(3))
