"""Laws of the memory that solver and trainer share, alone and under kills."""

import gc
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest
import zmq

from infra.streaming.client import ClientLimits, connect
from infra.streaming.frames import StreamSpec, Values, frame_digest
from infra.streaming.protocol import Kind, Message, pack, unpack
from infra.streaming.recycled import RecycledArrays
from infra.streaming.reuse import process_reuse
from infra.streaming.shared_memory import FrameSlots, SharedFrames
from infra.streaming.testing import Application, SmallLedger, values_of, wait_for
from infra.streaming.zmq_source import ZmqSource

type Program = Callable[..., Popen[str]]

LIMITS = ClientLimits(
    beat_seconds=0.05, idle_seconds=0.02, welcome_seconds=20.0, shared_bytes=1, memory_bytes=1 << 17
)
N = 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rendezvous.json"


@pytest.fixture
def ledger(spec: StreamSpec) -> SmallLedger:
    return SmallLedger(spec)


def source_at(path: Path, spec: StreamSpec) -> ZmqSource:
    return ZmqSource(path, spec, spool=path.parent / "spool")


def filled(slots: FrameSlots, number: float) -> Values:
    values = slots.take()
    assert values is not None
    values[:] = np.arange(N) + number
    return values


def test_a_frame_is_read_as_it_was_written() -> None:
    slots = FrameSlots(N, 10**5)
    frames = [filled(slots, 1000.0 * number) for number in range(5)]
    seen = SharedFrames.attach(slots.offer, N)
    assert seen is not None
    slots.close()
    copy = np.empty(N, "<f4")
    for frame in frames:
        assert seen.read(slots.number(frame), frame_digest(frame), copy)
        np.testing.assert_array_equal(copy, frame)
    seen.close()


def test_a_slot_is_free_when_nobody_holds_its_array_and_not_before() -> None:
    slots = FrameSlots(N, 1)
    frames = [filled(slots, 0.0) for _ in range(4)]
    assert slots.take() is None
    part, number = frames.pop()[3:], slots.number(frames[-1]) + 1
    assert slots.take() is None, "a part of the array is still held"
    del part
    again = slots.take()
    assert again is not None
    assert slots.number(again) == number
    assert slots.number(np.empty(N, "<f4")) == -1
    slots.close()


def test_a_slot_that_was_used_again_does_not_pass_for_the_frame_before() -> None:
    slots = FrameSlots(N, 10**5)
    frame = filled(slots, 1.0)
    number, digest = slots.number(frame), frame_digest(frame)
    seen = SharedFrames.attach(slots.offer, N)
    assert seen is not None
    frame[50] = -1.0
    assert not seen.read(number, digest, np.empty(N, "<f4"))
    for outside in (-1, 10**9):
        assert not seen.read(outside, digest, np.empty(N, "<f4"))
    seen.close()
    slots.close()


def test_only_what_a_client_offers_is_opened(tmp_path: Path) -> None:
    slots = FrameSlots(N, 10**5)
    boot, pid, file, token = slots.offer
    with (tmp_path / "file").open("w+b") as other:
        other.write(token)
        other.flush()
        for offer in (
            None,
            (),
            ("another machine", pid, file, token),
            (boot, pid, file, b"x" * 16),
            (boot, pid, file, b""),
            (boot, pid, 10**6, token),
            (boot, "/etc", file, token),
            (boot, pid, other.fileno(), token),
        ):
            assert SharedFrames.attach(offer, N) is None
    slots.close()
    assert SharedFrames.attach((boot, pid, file, token), N) is None, "it was closed"


def test_memory_cannot_be_taken_from_under_a_reader() -> None:
    slots = FrameSlots(N, 10**5)
    with pytest.raises(PermissionError):
        os.ftruncate(slots.offer[2], 0)
    slots.close()


def test_recycled_arrays_come_back_only_when_no_view_of_them_is_left() -> None:
    arrays = RecycledArrays(N, 1)
    first = arrays.take()
    view, where = first[10:], first.__array_interface__["data"][0]
    del first
    gc.collect()
    other = arrays.take()
    assert other.__array_interface__["data"][0] != where
    del view
    assert arrays.take().__array_interface__["data"][0] == where


def test_frames_that_go_through_memory_are_not_sent(
    path: Path, spec: StreamSpec, ledger: SmallLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = SharedFrames.read

    def note(seen: SharedFrames, slot: int, digest: int, values: Values) -> bool:
        read.append(slot)
        return original(seen, slot, digest, values)

    monkeypatch.setattr(SharedFrames, "read", note)
    with source_at(path, spec) as source, Application(source, ledger):
        for sample, shared in ((0, 1), (1, None), (2, 10**6)):
            limits = replace(LIMITS, shared_bytes=shared)
            with connect(path, sample, limits=limits) as stream:
                assert not stream.complete
                for step in range(spec.n_frames):
                    stream.send(step, values_of(spec, sample, step))
            assert len(read) == spec.n_frames
    for sample in range(3):
        ledger.assert_holds(sample, set(range(spec.n_frames)))


def test_a_system_without_such_memory_sends_its_frames(
    path: Path, spec: StreamSpec, ledger: SmallLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError("none")

    monkeypatch.setattr(os, "memfd_create", refused)
    with (
        source_at(path, spec) as source,
        Application(source, ledger),
        connect(path, 0, limits=LIMITS) as stream,
    ):
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
    ledger.assert_holds(0, set(range(spec.n_frames)))


def test_where_memory_runs_short_frames_are_sent(
    path: Path, spec: StreamSpec, ledger: SmallLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter([None, None])

    def scarce(*_: object) -> None:
        if next(given, OSError) is OSError:
            raise OSError("no space")

    monkeypatch.setattr(os, "posix_fallocate", scarce)
    with source_at(path, spec) as source:
        stream = connect(path, 0, limits=LIMITS)
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
        with Application(source, ledger):
            stream.finish()
    ledger.assert_holds(0, set(range(spec.n_frames)))


def test_a_slot_with_other_bytes_is_asked_for_again_and_memory_that_is_not_there_is_refused(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    slots = FrameSlots(spec.n_values, 10**5)
    vector = slots.take()
    assert vector is not None
    vector[:] = values_of(spec, 0, 5)
    with source_at(path, spec) as source, zmq.Context() as context:
        known = source.rendezvous
        with Application(source, ledger), context.socket(zmq.DEALER) as client:
            client.linger = 0
            client.connect(known.endpoints[-1])
            hello = (known.token, spec.study, 0, 1, {}, 0, 0, spec.n_values)
            client.send_multipart([pack(Kind.HELLO, known.epoch, *hello, slots.offer)])
            assert heard(client)[6] is True
            digest, slot = frame_digest(vector), slots.number(vector)
            for claimed, verdict in ((digest ^ 1, 4), (digest, 0)):
                frames = (2, 5, [5], [claimed], [slot])
                client.send_multipart([pack(Kind.FRAMES, known.epoch, *frames)])
                assert answer_of(client) == ([5], [verdict])
            client.send_multipart([pack(Kind.HELLO, known.epoch, *hello, None)])
            assert heard(client)[6] is False
            client.send_multipart([pack(Kind.FRAMES, known.epoch, 3, 6, [6], [digest], [slot])])
            assert "cannot be read" in heard(client)[2]
    ledger.assert_holds(0, {5})
    slots.close()


def heard(socket: "zmq.Socket[bytes]") -> Message:
    assert socket.poll(20_000), "the source says nothing"
    message = unpack(socket.recv())
    assert message is not None
    return message


def answer_of(socket: "zmq.Socket[bytes]") -> tuple[list[int], list[int]]:
    """Return the next answer to a frame; credits alone come in the same kind of message."""
    while not (message := heard(socket))[2]:
        assert message[0] == Kind.ANSWERS
    return message[2], message[3]


def test_a_killed_client_leaves_no_memory_behind(
    path: Path, spec: StreamSpec, ledger: SmallLedger, program: Program
) -> None:
    gc.collect()  # of other tests
    process_reuse().clear()
    before = files_in_memory()
    with source_at(path, spec) as source, Application(source, ledger):
        client = program("solve", path, 3, 5, "shared")
        assert client.stdout is not None
        client.stdout.readline()
        wait_for(lambda: ledger.held(3) == set(range(5)))
        assert shared_files(client.pid)
        assert len(mapped()) == 1
        client.kill()
        client.wait()
        # A new attempt puts the dead one off; then the source lets go of its memory.
        second = program("solve", path, 3, spec.n_frames, "shared")
        assert second.wait(20) == 0
        wait_for(lambda: not mapped())
    ledger.assert_holds(3, set(range(spec.n_frames)))
    assert files_in_memory() <= before


def files_in_memory() -> set[str]:
    """Return our files with a name in shared memory: there should be none at any time."""
    folder = Path("/dev/shm")
    return {entry.name for entry in folder.iterdir() if "romflow" in entry.name}


def shared_files(pid: int) -> list[str]:
    folder = Path(f"/proc/{pid}/fd")
    return [
        link for entry in folder.iterdir() if "romflow-frames" in (link := str(entry.readlink()))
    ]


def mapped() -> list[str]:
    """Return the memory of streams that this process has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if "romflow-frames" in line]


def test_streams_that_have_ended_keep_memory_for_one_more_and_no_longer_than_wanted(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    gc.collect()  # of other tests
    gc.disable()
    process_reuse().clear()
    try:
        with source_at(path, spec) as source, Application(source, ledger):
            numbers: set[str] = set()
            for sample in range(3):
                stream = connect(path, sample, limits=LIMITS)
                for step in range(spec.n_frames):
                    stream.send(step, values_of(spec, sample, step))
                stream.finish()
                numbers |= {line.split()[4] for line in mapped()}
            assert len(numbers) == 1, "all had the same memory"
            process_reuse().clear()
            wait_for(lambda: not mapped())
    finally:
        gc.enable()


def test_frames_in_the_memory_of_a_client_survive_a_killed_source(
    path: Path, spec: StreamSpec, tmp_path: Path, program: Program
) -> None:
    log = tmp_path / "accepted"
    first = program("train", path, log, 1)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    with connect(path, 2, limits=LIMITS) as stream:
        assert not stream.complete
        first.send_signal(signal.SIGSTOP)
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 2, step))
        first.kill()
        first.wait()
        second = program("train", path, log, 4)
        assert second.stdout is not None
        assert second.stdout.readline() == "ready\n"
        stream.finish(linger=20.0)
    assert second.wait(20) == 0
    places = [tuple(map(int, line.split()[:2])) for line in log.read_text().splitlines()]
    assert sorted(places) == [(2, step) for step in range(spec.n_frames)]
