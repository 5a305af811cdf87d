"""Both ends of a stream in one process: for tests, and for a solver beside its trainer.

The link keeps the frames of clients that have finished, as the spool does between processes.
"""

import threading
import time
from collections.abc import Mapping, Set
from typing import final

from infra.errors import FencedError, UserError
from infra.streaming.client import ClientLimits, FrameStream, chosen_attempt
from infra.streaming.frames import Delivery, Ending, Hello, StreamSpec, Values, Verdict
from infra.streaming.outbox import Outbox
from infra.streaming.reception import Reception
from infra.streaming.sessions import Peer
from infra.streaming.source import ClientStatus, FrameSource, Ticket

__all__ = ["MemoryLink", "MemorySource", "MemoryStream"]

# Frames that go over at once.
_BATCH = 64


@final
class MemoryLink:
    """Joins the clients and the source of one study within this process.

    Parameters
    ----------
    spec
        The study.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.changed = threading.Condition(threading.RLock())
        self.peers: list[_MemoryPeer] = []
        self._source: MemorySource | None = None

    def source(self) -> "MemorySource":
        """Return a new source; one that was there before is fenced, as by a new trainer."""
        with self.changed:
            self._source = MemorySource(self)
            for peer in self.peers:
                peer.rejoin()
            self.changed.notify_all()
            return self._source

    def is_current(self, source: "MemorySource") -> bool:
        """Return whether no other source has taken over."""
        return self._source is source

    def connect(
        self,
        sample: int,
        *,
        mu: Mapping[str, float] | None = None,
        seed: int = 0,
        part: tuple[int, int] | None = None,
        attempt: int | None = None,
        study: str | None = None,
        limits: ClientLimits | None = None,
    ) -> "MemoryStream":
        """Join as `infra.streaming.client.connect` does, with this link in place of the file."""
        if study not in (None, self.spec.study):
            raise UserError(
                f"Expected a client of the study {self.spec.study}; received {study}. "
                "Start the solver from the study that the trainer trains on."
            )
        hello = Hello(sample, chosen_attempt(attempt, part), dict(mu or {}), seed)
        return MemoryStream(self, hello, part, limits or ClientLimits())

    def wake(self) -> None:
        """Tell the source that there is something new."""
        with self.changed:
            self.changed.notify_all()


@final
class MemorySource(FrameSource):
    """The trainer's end; `MemoryLink.source` makes it."""

    def __init__(self, link: MemoryLink) -> None:
        self._link = link
        self._reception = Reception(link.spec, silence=float("inf"))

    def receive(self, timeout: float) -> list[tuple[Ticket, Delivery]]:
        """Return what has come; see `FrameSource.receive`."""
        deadline = time.monotonic() + timeout
        with self._link.changed:
            while True:
                if not self._link.is_current(self):
                    raise FencedError("Another source has taken over this link. Stop this one.")
                self._carry()
                ready = self._reception.take()
                left = deadline - time.monotonic()
                if ready or left <= 0:
                    return ready
                self._link.changed.wait(left)

    def answer(self, ticket: Ticket, verdict: Verdict, held: Set[int] = frozenset()) -> None:
        """Say what became of a delivery; see `FrameSource.answer`."""
        with self._link.changed:
            self._reception.answer(ticket, verdict, held)

    def grant(self, frames: int) -> None:
        """Set how many frames may be in flight; see `FrameSource.grant`."""
        with self._link.changed:
            self._reception.grant(frames)
            self._link.changed.notify_all()

    def clients(self) -> tuple[ClientStatus, ...]:
        """Return the status of every client; see `FrameSource.clients`."""
        with self._link.changed:
            return self._reception.clients()

    def expects(self, sample: int) -> bool:
        """Whether frames of a sample may come; see `FrameSource.expects`."""
        with self._link.changed:
            return any(peer.sample == sample and not peer.over for peer in self._link.peers)

    def close(self) -> None:
        """Leave; clients keep what was not answered."""

    def _carry(self) -> None:
        for peer in self._link.peers:
            peer.greet(self._reception)
        self._reception.allot()
        for peer in self._link.peers:
            peer.carry(self._reception)
        self._link.peers = [peer for peer in self._link.peers if not peer.over]


@final
class _MemoryPeer(Peer):
    """One client of the link, seen from its source."""

    def __init__(self, hello: Hello, part: tuple[int, int], outbox: Outbox) -> None:
        super().__init__(part)
        self._hello = hello
        self._outbox = outbox
        self._greeted = self._ending_sent = False

    @property
    def sample(self) -> int:
        """What it computes."""
        return self._hello.sample

    @property
    def over(self) -> bool:
        """Whether the client needs the source no more."""
        return self._outbox.over

    def rejoin(self) -> None:
        """Turn to a new source."""
        self._outbox.lost()
        self.session = None
        self.waiting = self._greeted = self._ending_sent = False

    def greet(self, reception: Reception) -> None:
        """Say hello once, and tell how many frames wait."""
        if not self._greeted:
            self._greeted = True
            reception.hello(self, self._hello)
        self.seen = time.monotonic()
        self.goal = self._outbox.goal
        self.last_step = self._outbox.last_step
        self.blocked_seconds = self._outbox.blocked_seconds

    def carry(self, reception: Reception) -> None:
        """Hand over what may be sent, and the ending after the last answer."""
        if self.session is None:
            return
        outbox = self._outbox
        taken = outbox.take(_BATCH)
        frames = [(packet.step, packet.digest, outbox.values(packet)) for packet in taken]
        reception.frames(self, frames)
        ending = outbox.ending
        if ending is not None and outbox.welcomed and outbox.idle and not self._ending_sent:
            self._ending_sent = True
            reception.ending(self, ending.complete, ending.reason)

    def welcome(self, verdict: Verdict, held: Set[int], answered: int, allowed: int) -> None:
        self._outbox.welcome(verdict, held, answered, allowed)

    def answer(self, step: int, verdict: Verdict) -> None:
        self._outbox.answered((step,), (verdict,))

    def allow(self, frames: int) -> None:
        self._outbox.allow(frames)

    def ended(self, verdict: Verdict) -> None:
        self._ending_sent = verdict is not Verdict.STALE
        if self._ending_sent:
            self._outbox.finished()


@final
class MemoryStream(FrameStream):
    """The solver's end; `MemoryLink.connect` makes it."""

    def __init__(
        self, link: MemoryLink, hello: Hello, part: tuple[int, int] | None, limits: ClientLimits
    ) -> None:
        super().__init__(link.spec, hello.sample, hello.attempt, part)
        start, stop = part or (0, link.spec.n_values)
        self._limits = limits
        who = Ending(hello.sample, hello.attempt, complete=False)
        self._outbox = Outbox(who, 4 * (stop - start), limits, None, lambda _: link.wake())
        with link.changed:
            link.peers.append(_MemoryPeer(hello, (start, stop), self._outbox))
        link.wake()

    @property
    def held(self) -> frozenset[int]:
        """Steps that the trainer already has."""
        self._await_welcome()
        return self._outbox.held

    @property
    def complete(self) -> bool:
        """Whether the trainer has the whole sample."""
        self._await_welcome()
        return self._outbox.complete

    @property
    def blocked_seconds(self) -> float:
        """How long the solver has waited so far."""
        return self._outbox.blocked_seconds

    def _send(self, step: int, vector: Values, digest: int) -> None:
        vector.flags.writeable = False
        self._outbox.put(step, vector, digest)

    def _end(self, complete: bool, reason: str, linger: float) -> None:
        outbox = self._outbox
        outbox.end(complete=complete, reason=reason)
        outbox.wait(lambda: outbox.over or outbox.trouble is not None, linger)
        if complete:
            outbox.raise_trouble()

    def _await_welcome(self) -> None:
        outbox = self._outbox
        if not outbox.answered_once and outbox.trouble is None:
            outbox.wait(
                lambda: outbox.answered_once or outbox.trouble is not None,
                self._limits.welcome_seconds,
            )
        outbox.raise_trouble()
