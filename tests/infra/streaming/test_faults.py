"""Laws under kills: clients and sources are real processes."""

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest
import zmq

from infra.streaming.client import ClientLimits, connect
from infra.streaming.frames import StreamSpec, Verdict, frame_digest
from infra.streaming.protocol import Kind, Message, pack, unpack
from infra.streaming.testing import Application, SmallLedger, values_of, wait_for
from infra.streaming.zmq_source import ZmqSource

type Program = Callable[..., Popen[str]]

LIMITS = ClientLimits(beat_seconds=0.05, idle_seconds=0.02, welcome_seconds=20.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rendezvous.json"


@pytest.fixture
def ledger(spec: StreamSpec) -> SmallLedger:
    return SmallLedger(spec)


def source_at(path: Path, spec: StreamSpec, **options: float) -> ZmqSource:
    return ZmqSource(path, spec, spool=path.parent / "spool", **options)  # type: ignore[arg-type]


def line_of(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def lines_in(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("sent", [1, 4, 7])
def test_a_killed_client_is_completed_by_its_next_attempt(
    path: Path, spec: StreamSpec, ledger: SmallLedger, program: Program, sent: int
) -> None:
    with source_at(path, spec) as source, Application(source, ledger, frames=2):
        client = program("solve", path, 3, sent)
        line_of(client)
        wait_for(lambda: bool(ledger.accepted))
        client.kill()
        client.wait()
        second = program("solve", path, 3, spec.n_frames)
        held = json.loads(line_of(second))
        assert second.wait(20) == 0
        assert set(held) <= set(range(sent))
    ledger.assert_holds(3, set(range(spec.n_frames)))
    assert ledger.complete(3)


@pytest.mark.parametrize("accepted", [0, 2, 5])
def test_clients_survive_a_killed_source_and_nothing_is_lost_or_doubled(
    path: Path, spec: StreamSpec, tmp_path: Path, program: Program, accepted: int
) -> None:
    log = tmp_path / "accepted"
    first = program("train", path, log, 1)
    assert line_of(first) == "ready\n"
    with connect(path, 2, limits=LIMITS) as stream:
        assert not stream.complete
        for step in range(5):
            stream.send(step, values_of(spec, 2, step))
        wait_for(lambda: len(lines_in(log)) >= accepted)
        first.kill()
        first.wait()
        # Nobody is there: the solver goes on without waiting.
        for step in range(5, spec.n_frames):
            stream.send(step, values_of(spec, 2, step))
        second = program("train", path, log, 4)
        assert line_of(second) == "ready\n"
        stream.finish(linger=20.0)
    assert second.wait(20) == 0
    places = [tuple(map(int, line.split()[:2])) for line in lines_in(log)]
    assert sorted(places) == [(2, step) for step in range(spec.n_frames)]


def test_a_stale_source_stops_when_it_wakes_up(
    path: Path, spec: StreamSpec, ledger: SmallLedger, program: Program, tmp_path: Path
) -> None:
    stale = program("train", path, tmp_path / "accepted", 4)
    assert line_of(stale) == "ready\n"
    stale.send_signal(signal.SIGSTOP)
    with (
        source_at(path, spec) as source,
        Application(source, ledger),
        connect(path, 0, limits=LIMITS) as stream,
    ):
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
        stale.send_signal(signal.SIGCONT)
        assert line_of(stale) == "fenced\n"
        assert stale.wait(20) == 0
        stream.finish()
    ledger.assert_holds(0, set(range(spec.n_frames)))


def test_a_client_turns_from_a_stale_source_to_the_new_one(
    path: Path, spec: StreamSpec, ledger: SmallLedger, program: Program, tmp_path: Path
) -> None:
    stale = program("train", path, tmp_path / "accepted", 4)
    assert line_of(stale) == "ready\n"
    with connect(path, 0, limits=LIMITS) as stream:
        assert not stream.complete
        stale.send_signal(signal.SIGSTOP)
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
        with source_at(path, spec) as source, Application(source, ledger):
            stream.finish()
    ledger.assert_holds(0, set(range(spec.n_frames)))


def test_the_next_source_reads_what_finished_clients_have_left(
    path: Path, spec: StreamSpec, ledger: SmallLedger, program: Program
) -> None:
    source_at(path, spec).close()
    clients = [program("solve", path, sample, spec.n_frames) for sample in (1, 2)]
    for client in clients:
        assert client.wait(20) == 0
    assert len(list((path.parent / "spool").iterdir())) == 2
    with source_at(path, spec) as source, Application(source, ledger, frames=3):
        wait_for(lambda: ledger.complete(1) and ledger.complete(2))
        wait_for(lambda: not list((path.parent / "spool").iterdir()))
        assert source.clients() == ()
    for sample in (1, 2):
        ledger.assert_holds(sample, set(range(spec.n_frames)))
    assert len(ledger.delivered) == 2 * spec.n_frames


def test_what_a_killed_client_has_spooled_is_not_computed_again(
    path: Path, spec: StreamSpec, ledger: SmallLedger, program: Program
) -> None:
    source_at(path, spec).close()
    client = program("solve", path, 4, 6, "small")
    line_of(client)
    client.kill()
    client.wait()
    with source_at(path, spec) as source, Application(source, ledger):
        wait_for(lambda: len(ledger.held(4)) >= 3)
        wait_for(lambda: not list((path.parent / "spool").iterdir()))
        held = set(ledger.held(4))
        assert not ledger.endings, "nobody knows how it would have ended"
        second = program("solve", path, 4, spec.n_frames)
        assert set(json.loads(line_of(second))) == held
        assert second.wait(20) == 0
    ledger.assert_holds(4, set(range(spec.n_frames)))
    assert len(ledger.delivered) == spec.n_frames


def test_a_source_killed_over_leftovers_leaves_them_to_the_next(
    path: Path, spec: StreamSpec, program: Program, tmp_path: Path
) -> None:
    log = tmp_path / "accepted"
    source_at(path, spec).close()
    assert program("solve", path, 1, spec.n_frames).wait(20) == 0
    first = program("train", path, log, 1)
    wait_for(lambda: bool(lines_in(log)))
    first.kill()
    first.wait()
    second = program("train", path, log, 1)
    assert second.wait(20) == 0
    steps = [int(line.split()[1]) for line in lines_in(log)]
    assert sorted(steps) == list(range(spec.n_frames))


def test_a_program_that_forgets_to_finish_ends_and_says_so(
    path: Path, spec: StreamSpec, ledger: SmallLedger, program: Program
) -> None:
    with source_at(path, spec) as source, Application(source, ledger):
        assert program("solve", path, 0, 3, "forget").wait(20) == 0
        wait_for(lambda: bool(ledger.endings))
    ledger.assert_holds(0, {0, 1, 2})
    assert not ledger.endings[0].complete
    assert "without finishing" in ledger.endings[0].reason


def test_a_client_that_was_silent_for_long_loses_nothing(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    quiet = ClientLimits(beat_seconds=3600.0, welcome_seconds=20.0)
    with (
        source_at(path, spec, silence=0.0) as source,
        Application(source, ledger, frames=2),
        connect(path, 1, limits=quiet) as stream,
    ):
        stream.send(0, values_of(spec, 1, 0))
        wait_for(lambda: ledger.held(1) == {0})
        # The next look at the clients forgets it; its status stays known.
        wait_for(lambda: len(source._reception._sessions) == 0)
        assert [status.sample for status in source.clients()] == [1]
        for step in range(1, spec.n_frames):
            stream.send(step, values_of(spec, 1, step))
        wait_for(lambda: ledger.held(1) == set(range(spec.n_frames)))
    ledger.assert_holds(1, set(range(spec.n_frames)))
    assert ledger.complete(1)


def test_strangers_are_ignored_or_turned_away(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    with source_at(path, spec) as source, zmq.Context() as context:
        known = source.rendezvous
        with Application(source, ledger), context.socket(zmq.DEALER) as stranger:
            stranger.linger = 0
            stranger.connect(known.endpoints[-1])
            stranger.send_multipart([b"\xc1 noise"])
            stranger.send_multipart([b""])
            frames = pack(Kind.FRAMES, known.epoch, 1, 0, [0], [0], [-1])
            stranger.send_multipart([frames, b"12345678"])
            assert heard(stranger)[2] == "hello"
            stranger.send_multipart([pack(Kind.BEAT, known.epoch - 1, 1, 0, 0.0, 0)])
            assert heard(stranger)[2] == "epoch"
            for token, study, sample, why in (
                ("wrong", spec.study, 0, "another run"),
                (known.token, "study-2", 0, "another study"),
                (known.token, spec.study, 9, "outside the study"),
                (known.token, spec.study, "x", "cannot be read"),
            ):
                hello = (token, study, sample, 1, {}, 0, 0, spec.n_values, None)
                stranger.send_multipart([pack(Kind.HELLO, known.epoch, *hello)])
                assert why in heard(stranger)[2]
    assert not ledger.hellos
    assert not ledger.delivered


def test_a_frame_that_was_damaged_on_the_way_is_asked_for_again(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    vector = values_of(spec, 0, 5).astype("f4")
    digest = frame_digest(vector)
    with source_at(path, spec, verify=True) as source, zmq.Context() as context:
        known = source.rendezvous
        with Application(source, ledger), context.socket(zmq.DEALER) as client:
            client.linger = 0
            client.connect(known.endpoints[-1])
            hello = (known.token, spec.study, 0, 1, {}, 0, 0, spec.n_values, None)
            client.send_multipart([pack(Kind.HELLO, known.epoch, *hello)])
            assert heard(client)[:1] == [Kind.WELCOME]
            head = pack(Kind.FRAMES, known.epoch, 2, 5, [5], [digest], [-1])
            client.send_multipart([head, (vector + 1.0).tobytes()])
            assert answer_of(client) == ([5], [Verdict.STALE])
            client.send_multipart([head, np.concatenate([vector, vector]).tobytes()])
            assert "cannot be read" in heard(client)[2]
            client.send_multipart([head, vector.tobytes()])
            assert answer_of(client) == ([5], [Verdict.ACCEPTED])
    ledger.assert_holds(0, {5})


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


def test_a_thread_of_the_stream_lives_as_long_as_its_stream(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    before = threading.active_count()
    with source_at(path, spec) as source, Application(source, ledger):
        for sample in range(spec.n_samples):
            with connect(path, sample, limits=LIMITS) as stream:
                for step in range(spec.n_frames):
                    stream.send(step, values_of(spec, sample, step))
    assert threading.active_count() <= before + 1, "ZeroMQ's own collector may stay"
