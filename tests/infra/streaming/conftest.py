"""Fixtures of the streaming tests: a small study and processes of their own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.streaming.client import ClientLimits, FrameStream, connect
from infra.streaming.frames import StreamSpec
from infra.streaming.memory import MemoryLink
from infra.streaming.testing import SmallLedger
from infra.streaming.transport import Transport
from infra.streaming.zmq_source import ZmqSource

LIMITS = ClientLimits(beat_seconds=0.05, idle_seconds=0.02, welcome_seconds=20.0)

type Program = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def spec() -> StreamSpec:
    return StreamSpec("study-1", (("u", 4), ("p", 2)), n_samples=5, n_frames=8)


@pytest.fixture
def ledger(spec: StreamSpec) -> SmallLedger:
    return SmallLedger(spec)


class ZmqLink:
    """Both ends of one study over sockets, as `MemoryLink` is in memory."""

    def __init__(
        self, spec: StreamSpec, folder: Path, limits: ClientLimits, transport: Transport = "local"
    ) -> None:
        self.spec = spec
        self.transport: Transport = transport
        self.folder = folder
        self.limits = limits
        self.sources: list[ZmqSource] = []

    def source(self) -> ZmqSource:
        path, spool = self.folder / "rendezvous.json", self.folder / "spool"
        places: dict[str, Any] = {"transport": self.transport, "interface": "127.0.0.1"}
        self.sources.append(ZmqSource(path, self.spec, spool=spool, **places))
        return self.sources[-1]

    def connect(self, sample: int, **options: Any) -> FrameStream:
        path = self.folder / "rendezvous.json"
        return connect(path, sample, **({"limits": self.limits} | options))


@pytest.fixture(params=["memory", "sockets", "shared-memory", "encrypted"])
def link(
    request: pytest.FixtureRequest, spec: StreamSpec, tmp_path: Path
) -> Iterator[MemoryLink | ZmqLink]:
    """Give each way of streaming; a new one joins the conformance tests by an entry here."""
    if request.param == "memory":
        yield MemoryLink(spec)
        return
    shared = 1 if request.param == "shared-memory" else None
    transport: Transport = "tcp" if request.param == "encrypted" else "local"
    link = ZmqLink(spec, tmp_path, replace(LIMITS, shared_bytes=shared), transport)
    yield link
    for source in link.sources:
        source.close()


@pytest.fixture
def program() -> Iterator[Program]:
    """Give a function that starts `programs.py` as a process, which ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        script = Path(__file__).with_name("programs.py")
        started.append(
            subprocess.Popen(
                [sys.executable, str(script), *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
