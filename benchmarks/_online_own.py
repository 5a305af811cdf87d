"""Our way of frames from a client process to a server process: journal, answers and all."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from _online_carriers import batch_of, capacity_of, field, ring, warm_up
from _online_pair import Watch, await_file, publish_text

from infra.streaming.client import ClientLimits, connect
from infra.streaming.frames import StreamSpec
from infra.streaming.transport import Transport
from infra.streaming.zmq_source import ZmqSource
from surrogates.arrivals import Design
from surrogates.assembly import Direct
from surrogates.draws import Wait
from surrogates.intake import Intake, IntakeLimits
from surrogates.journal import Journal
from surrogates.online_feed import OnlineFeed
from surrogates.pool import Pool, PoolShape
from surrogates.reservoirs.published import Published
from surrogates.reservoirs.reservoir import Reservoir

__all__ = ["Server", "our_client", "our_reading_server", "our_server"]

_PATIENCE = 60.0
_AT_ONCE = 64


def our_client(folder: Path, n_values: int, frames: int, *, shared: bool = True) -> Watch:
    """Our three lines; the stream takes the quickest way to a trainer on this machine by itself.

    Parameters
    ----------
    folder, n_values, frames : as for all
    shared : whether large frames may go through shared memory, as they do by default; clients on
        other machines have none
    """
    watch, values, path = Watch(), field(n_values), folder / "rendezvous.json"
    await_file(path)
    limits = ClientLimits() if shared else ClientLimits(shared_bytes=None)
    with connect(path, sample=0, limits=limits) as stream:
        for step in range(frames):
            if step == warm_up(n_values):
                await_file(folder / "go")
                watch.begin()
            stream.send(step, values)
    return watch.end()


@final
@dataclass
class Server:
    """Source and reception of a study with one field, whose samples all have the same length.

    Attributes
    ----------
    source, intake, journal : the parts
    """

    source: ZmqSource
    intake: Intake
    journal: Journal

    @classmethod
    def open(
        cls,
        folder: Path,
        n_values: int,
        samples: int,
        frames: int,
        stack: ExitStack,
        transport: Transport = "local",
        **limits: Any,
    ) -> Self:
        """Make it, not started; `limits` as for `IntakeLimits`, `transport` as for `ZmqSource`."""
        spec = StreamSpec("ingest", (("u", n_values),), samples, frames)
        ids, times = frozenset(range(samples)), tuple(float(step) for step in range(frames))
        mus = {sample: np.full(1, float(sample)) for sample in ids}
        design = Design(("a",), times, n_values, ids, frozenset(), mus)
        journal, held_out = (
            Journal(folder / name, spec.study, n_values) for name in ("journal", "held-out")
        )
        source = ZmqSource(
            folder / "rendezvous.json",
            spec,
            spool=folder / "spool",
            transport=transport,
            interface="127.0.0.1",
        )
        intake = Intake(source, design, journal, held_out, limits=IntakeLimits(**limits))
        for part in (journal.close, held_out.close, source.close, intake.stop):
            stack.callback(part)
        return cls(source, intake, journal)

    def feed(self, reservoir: Reservoir, n_values: int) -> OnlineFeed:
        """Return the feed of a trainer over this reception."""
        pool = Pool(PoolShape(reservoir.capacity, 2, 1, n_values))
        return OnlineFeed(self.intake, Direct(), reservoir, pool, np.random.default_rng(0))

    def farewell(self) -> None:
        """Wait until the clients have had their answers."""
        wait_until(lambda: not self.source.clients())


def our_server(
    folder: Path, n_values: int, frames: int, *, transport: Transport = "local"
) -> Watch:
    """Receive until the last frame is judged, in the journal, answered and copied to its place."""
    watch, slots = Watch(), ring(n_values)
    with ExitStack() as stack:
        server = Server.open(folder, n_values, 1, frames, stack, transport)
        server.intake.start()
        taken, said, deadline = 0, False, time.monotonic() + _PATIENCE
        while taken < frames and time.monotonic() < deadline:
            server.intake.wait(1.0)
            arrivals = server.intake.take(_AT_ONCE)
            for arrival in arrivals:
                slots[arrival.number % len(slots)] = arrival.values
            taken += len(arrivals)
            if taken >= warm_up(n_values) and not said:
                said = True
                watch.begin()
                publish_text(folder / "go", "")
        watch.end()
        server.farewell()
    return watch


def our_reading_server(folder: Path, n_values: int, frames: int) -> Watch:
    """Receive into the reservoir, and read batches as fast as possible, with repetitions."""
    watch, capacity, batch = Watch(), capacity_of(n_values), batch_of(n_values)
    with ExitStack() as stack:
        server = Server.open(folder, n_values, 1, frames, stack)
        # The published policy: it lets the reader go on and on, as the published loop does.
        feed = server.feed(Published(capacity, capacity // 6), n_values)
        server.intake.start()
        deadline, said = time.monotonic() + _PATIENCE, False
        while feed.counts().admitted < frames and time.monotonic() < deadline:
            feed.admit()
            if not said and feed.counts().admitted >= warm_up(n_values):
                said = True
                watch.begin()
                publish_text(folder / "go", "")
            drawn = feed.choose(batch)
            if isinstance(drawn, Wait):
                feed.wait(1.0)
            elif isinstance(drawn, np.ndarray):
                feed.pool.gather(drawn)
        watch.end()
        server.farewell()
    return watch


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + _PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
