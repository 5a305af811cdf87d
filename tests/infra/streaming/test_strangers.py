"""Who has no key gets nothing, is told of, and costs those who have one nothing."""

import random
import socket as network
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from pydantic import TypeAdapter

from infra.errors import StorageAccessError, StreamError, UserError
from infra.streaming.client import ClientLimits, connect
from infra.streaming.curve import new_keys, secure_client
from infra.streaming.frames import StreamSpec
from infra.streaming.keys import StreamKeys
from infra.streaming.protocol import Kind, pack
from infra.streaming.rendezvous import Rendezvous, claim
from infra.streaming.strangers import Strangers
from infra.streaming.testing import Application, SmallLedger, values_of, wait_for
from infra.streaming.transport import Transport, listening_address
from infra.streaming.zmq_source import ZmqSource

HOST = "127.0.0.1"
LIMITS = ClientLimits(
    beat_seconds=0.05, idle_seconds=0.02, welcome_seconds=20.0, refused_seconds=0.2, shared_bytes=1
)
# The greeting of ZMTP 3.0 without security (RFC 23), and the head of a command of 2^62 bytes.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
ENDLESS = b"\x06" + (1 << 62).to_bytes(8, "big")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "trainer.json"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def source(path: Path, spec: StreamSpec, told: list[str]) -> Iterator[ZmqSource]:
    with source_at(path, spec, told) as made:
        yield made


def source_at(
    path: Path, spec: StreamSpec, told: list[str], transport: Transport = "tcp"
) -> ZmqSource:
    return ZmqSource(
        path,
        spec,
        spool=path.parent / "spool",
        transport=transport,
        interface=HOST,
        report=lambda _, line: told.append(line),
    )


def keys_of_another_run(path: Path) -> tuple[StreamKeys, bytes]:
    folder = path.parents[1] / "other"
    folder.mkdir(mode=0o700)
    return new_keys(folder / "own.key")


def forged(path: Path, source: ZmqSource, **changes: Any) -> Path:
    """Write a file like the trainer's with other entries, and return its path."""
    made = path.with_name("forged.json")
    text = TypeAdapter(Rendezvous).dump_json(replace(source.rendezvous, **changes))
    made.write_bytes(text)
    return made


def test_keys_lie_in_a_file_and_a_folder_that_only_their_owner_reads(
    path: Path, spec: StreamSpec, told: list[str]
) -> None:
    secrets = set()
    for _ in range(2):
        with source_at(path, spec, told) as source:
            keys = Rendezvous.read(path).keys
            assert keys is not None
            assert keys == source.rendezvous.keys
            assert keys.secret not in repr(source.rendezvous)
            secrets |= {keys.secret, keys.server}
            own = path.with_name("trainer.json.key")
            assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert len(secrets) == 3, "each trainer makes new keys for its clients"
    assert path.with_name("trainer.json.key").read_text() not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent / "spool"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_keys_are_not_written_where_others_could_replace_them(path: Path, spec: StreamSpec) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o770)
    with pytest.raises(StorageAccessError, match="chmod go-w"):
        claim(path, spec, (), path.parent, 10, keys_of_another_run(path)[0])
    with pytest.raises(StorageAccessError, match="chmod go-w"):
        new_keys(path.with_name("own.key"))
    claim(path, spec, (), path.parent, 10)  # nothing secret that goes over a network


def test_what_is_no_key_is_no_file_of_a_trainer(path: Path, source: ZmqSource) -> None:
    assert source.rendezvous.keys is not None
    text = path.read_text().replace(source.rendezvous.keys.server, "short")
    path.with_name("torn.json").write_text(text)
    with pytest.raises(StreamError, match="something else"):
        Rendezvous.read(path.with_name("torn.json"))


def test_an_expired_key_is_refused_and_told_of(
    path: Path, spec: StreamSpec, ledger: SmallLedger, told: list[str]
) -> None:
    with source_at(path, spec, told) as source:
        expired = source.rendezvous.keys
    patient = replace(LIMITS, refused_seconds=3600.0)  # this refusal is an answer
    with source_at(path, spec, told) as source, Application(source, ledger):
        old = forged(path, source, keys=expired)
        with (
            pytest.raises(StreamError, match="key is wrong or has expired"),
            connect(old, 0, limits=patient) as stream,
        ):
            _ = stream.held
    assert_told_of_the_key(told)
    assert not ledger.hellos


def test_a_wrong_key_of_a_client_that_knows_the_trainers_is_refused_and_told_of(
    path: Path, source: ZmqSource, ledger: SmallLedger, told: list[str]
) -> None:
    own, (other, _) = source.rendezvous.keys, keys_of_another_run(path)
    assert own is not None
    keys = StreamKeys(own.server, other.public, other.secret)
    patient = replace(LIMITS, refused_seconds=3600.0)  # this refusal is an answer
    with (
        Application(source, ledger),
        pytest.raises(StreamError, match="key is wrong or has expired"),
        connect(forged(path, source, keys=keys), 0, limits=patient) as stream,
    ):
        _ = stream.held
    assert_told_of_the_key(told)
    assert not ledger.hellos


@pytest.mark.parametrize("transport", ["local", "tcp"])
def test_a_wrong_token_is_refused_and_told_of(
    path: Path, spec: StreamSpec, ledger: SmallLedger, told: list[str], transport: Transport
) -> None:
    with (
        source_at(path, spec, told, transport) as source,
        Application(source, ledger),
        pytest.raises(StreamError, match="token is wrong"),
        connect(forged(path, source, token="stolen"), 0, limits=LIMITS) as stream,
    ):
        _ = stream.held
    (line,) = told
    assert HOST in line
    assert "token is wrong or has expired" in line
    assert not ledger.hellos


def test_whoever_has_no_key_is_neither_heard_nor_answered(
    source: ZmqSource, ledger: SmallLedger, told: list[str], spec: StreamSpec
) -> None:
    known = source.rendezvous
    hello = (known.token, spec.study, 0, 1, {}, 0, 0, spec.n_values, None)
    with Application(source, ledger), zmq.Context() as context:

        def come() -> bool:
            with context.socket(zmq.DEALER) as stranger:
                stranger.linger = 0
                stranger.connect(known.endpoints[0])
                with suppress(zmq.Again):
                    stranger.send(pack(Kind.HELLO, known.epoch, *hello), zmq.NOBLOCK)
                assert not stranger.poll(50)
            return any(HOST in line for line in told)

        wait_for(come)  # seen at last, see `UNKNOWN`
    assert not ledger.hellos


def test_the_key_of_another_run_is_refused_and_told_of(
    path: Path, source: ZmqSource, ledger: SmallLedger, told: list[str]
) -> None:
    led = forged(path, source, keys=keys_of_another_run(path)[0])
    patient = replace(LIMITS, refused_seconds=2.0)
    with (
        Application(source, ledger),
        pytest.raises(StreamError, match="key is wrong or has expired"),
        connect(led, 0, limits=patient) as stream,
    ):
        _ = stream.held
    assert all("key is wrong or has expired" in line for line in told)
    assert len(told) in (1, 2), "one line for each address, and one where it was not seen"
    assert not ledger.hellos


def test_who_has_another_trainers_key_cannot_play_the_trainer(
    path: Path, source: ZmqSource
) -> None:
    """A client that is led to another server hands nothing over."""
    other, own = keys_of_another_run(path)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as impostor:
        impostor.linger = 0
        impostor.curve_server = True
        impostor.curve_secretkey = own
        port = impostor.bind_to_random_port(f"tcp://{HOST}")
        led = forged(path, source, endpoints=(f"tcp://{HOST}:{port}",))
        with (
            pytest.raises(StreamError, match="key is wrong or has expired"),
            connect(led, 0, limits=LIMITS) as stream,
        ):
            _ = stream.held
        assert not impostor.poll(0)
        with context.socket(zmq.DEALER) as client:  # it does listen
            client.linger = 0
            secure_client(client, other)
            client.connect(f"tcp://{HOST}:{port}")
            client.send(b"hello")
            assert impostor.poll(20_000)


def scans(port: int, kept: ExitStack) -> Iterator[Callable[[], None]]:
    """Yield what scanners do with a port; connections that they leave open are in `kept`."""

    def come() -> network.socket:
        return network.create_connection((HOST, port), timeout=20.0)

    def knock() -> None:
        come().close()

    def reset() -> None:
        with come() as made:
            made.setsockopt(network.SOL_SOCKET, network.SO_LINGER, struct.pack("ii", 1, 0))

    def say(*texts: bytes) -> Callable[[], None]:
        def speak() -> None:
            with come() as made:
                for text in texts:
                    made.sendall(text)

        return speak

    def stay(text: bytes) -> Callable[[], None]:
        def speak() -> None:
            kept.enter_context(come()).sendall(text)

        return speak

    yield from (knock, reset)
    yield say(b"GET / HTTP/1.1\r\nHost: trainer\r\n\r\n")
    yield say(random.Random(0).randbytes(4096))
    yield say(GREETING, ENDLESS)
    yield say(b"\x16\x03\x01\x02\x00\x01\x00")
    yield from (stay(b""), stay(b"\xff"), stay(GREETING[:40]), stay(GREETING))


@pytest.mark.parametrize("transport", ["local", "tcp"])
def test_a_port_scan_neither_stops_nor_stalls_a_reception(
    path: Path, spec: StreamSpec, ledger: SmallLedger, told: list[str], transport: Transport
) -> None:
    with (
        ExitStack() as kept,
        source_at(path, spec, told, transport) as source,
        Application(source, ledger),
    ):
        port = int(source.rendezvous.endpoints[0].rpartition(":")[2])
        over = threading.Event()

        def scan() -> None:
            while not over.is_set():
                for act in scans(port, kept):
                    act()
                    scanned.append(1)

        scanned: list[int] = []
        scanner = threading.Thread(target=scan)
        scanner.start()
        try:
            with connect(path, 0, limits=LIMITS) as stream:
                for step in range(spec.n_frames):
                    before = len(scanned)
                    wait_for(lambda before=before: len(scanned) > before + 10)
                    stream.send(step, values_of(spec, 0, step))
                    wait_for(lambda step=step: step in ledger.held(0))
            with connect(path, 1, limits=LIMITS) as late:  # through the same gate, meanwhile
                for step in range(spec.n_frames):
                    late.send(step, values_of(spec, 1, step))
        finally:
            over.set()
            scanner.join()
        assert len(scanned) > 80
    for sample in (0, 1):
        ledger.assert_holds(sample, set(range(spec.n_frames)))
    assert [hello.sample for hello in ledger.hellos] == [0, 1]
    # One line on each address, though it came a hundred times.
    assert len(told) <= (2 if transport == "tcp" else 0)


def test_one_address_is_told_of_once_a_while_and_how_often_it_came() -> None:
    lines: list[tuple[str, str]] = []
    now = [0.0]
    strangers = Strangers(lambda *line: lines.append(line), every=60.0, clock=lambda: now[0])
    for moment in (0.0, 1.0, 59.0, 60.0, 61.0):
        now[0] = moment
        strangers.note("10.0.0.1", "why")
    strangers.note("10.0.0.2", "why")
    assert lines == [
        ("10.0.0.1", "A client at 10.0.0.1 was turned away: why."),
        (
            "10.0.0.1",
            "A client at 10.0.0.1 was turned away: why (2 more times since this was last said).",
        ),
        ("10.0.0.2", "A client at 10.0.0.2 was turned away: why."),
    ]


def test_on_one_machine_there_are_no_keys_and_no_gate(
    path: Path, spec: StreamSpec, told: list[str]
) -> None:
    before = threading.active_count()
    with source_at(path, spec, told, "local") as source:
        assert source.rendezvous.keys is None
        assert threading.active_count() == before


def test_memory_is_shared_on_one_machine_only(
    path: Path, spec: StreamSpec, ledger: SmallLedger, source: ZmqSource
) -> None:
    with Application(source, ledger), connect(path, 0, limits=LIMITS) as stream:
        assert stream._slots is None  # type: ignore[attr-defined]
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
    ledger.assert_holds(0, set(range(spec.n_frames)))


def test_a_trainer_listens_where_its_transport_says() -> None:
    assert listening_address("local", None) == HOST
    assert listening_address("local", "localhost") == "localhost"
    assert listening_address("tcp", None) == "*"
    assert listening_address("tcp", "10.0.0.1") == "10.0.0.1"
    with pytest.raises(UserError, match="expected tcp"):
        listening_address("local", "*")


def test_a_trainer_on_all_addresses_is_found_by_the_name_of_its_host(
    path: Path, spec: StreamSpec
) -> None:
    with ZmqSource(path, spec, spool=path.parent / "spool", transport="tcp") as source:
        assert source.rendezvous.endpoints[0].startswith(f"tcp://{network.gethostname()}:")


def assert_told_of_the_key(told: list[str]) -> None:
    (line,) = told
    assert HOST in line
    assert "key is wrong or has expired" in line
