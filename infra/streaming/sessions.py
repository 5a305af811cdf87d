"""What a source keeps of each attempt that is connected, and how it speaks to its clients."""

import time
from abc import ABC, abstractmethod
from collections.abc import Set
from dataclasses import dataclass, field
from typing import final

from infra.streaming.frames import Ending, StreamSpec, Verdict
from infra.streaming.parts import PartAssembly
from infra.streaming.source import ClientStatus, Ticket

__all__ = ["EndingTicket", "FrameTicket", "HelloTicket", "Peer", "Session"]


class Peer(ABC):
    """One client of a source: what the source has to say goes out through it.

    Parameters
    ----------
    part
        Range of the vector that it sends.
    """

    def __init__(self, part: tuple[int, int]) -> None:
        self.part = part
        self.session: Session | None = None
        self.begin()

    def begin(self) -> None:
        """Forget what it has told: its client begins another attempt, or begins again."""
        self.waiting = False  # whether its hello is with the application
        self.goal = 0  # how many frames it would like to be allowed, counted like `allowed`
        self.seen = time.monotonic()
        self.last_step = -1
        self.blocked_seconds = 0.0
        self.spooled_bytes = 0

    def leave(self, session: "Session") -> None:
        """Belong to a session no more, unless its client has begun another one since."""
        if self.session is session:
            self.session = None

    @abstractmethod
    def welcome(self, verdict: Verdict, held: Set[int], answered: int, allowed: int) -> None:
        """Pass on the answer to a hello, and the counts that the session has reached."""

    @abstractmethod
    def answer(self, step: int, verdict: Verdict) -> None:
        """Pass on the answer to a frame."""

    @abstractmethod
    def allow(self, frames: int) -> None:
        """Say how many frames may have been sent since the session began."""

    @abstractmethod
    def ended(self, verdict: Verdict) -> None:
        """Pass on the answer to an ending."""


@final
@dataclass(eq=False)
class Session:
    """One attempt at one sample, with one peer or, where ranks send parts, several.

    Attributes
    ----------
    spec, sample, attempt
        What it is.
    peers
        By the start of their part.
    allowed, answered
        Frames that were ever allowed, and that were ever answered: the difference is in flight,
        or may come at any time.
    pending
        Steps that the application has and has not answered.
    damaged
        Steps that were asked for again and have not come yet.
    parts
        Frames that are still coming in parts.
    endings
        Whether each peer that has ended was complete.
    farewell
        The ending for the application: it gets it after the answers to all frames before.
    ending_given
        Whether it has it.
    ending_verdict
        The application's answer to the ending; None before.
    alive
        False once the session was forgotten or is over.
    """

    spec: StreamSpec
    sample: int
    attempt: int
    peers: dict[int, Peer] = field(default_factory=dict)
    welcomed: bool = False
    allowed: int = 0
    answered: int = 0
    pending: set[int] = field(default_factory=set)
    damaged: set[int] = field(default_factory=set)
    endings: dict[int, bool] = field(default_factory=dict)
    farewell: Ending | None = None
    ending_given: bool = False
    ending_verdict: Verdict | None = None
    alive: bool = True

    def __post_init__(self) -> None:
        self.parts = PartAssembly(self.spec.n_values)

    @property
    def outstanding(self) -> int:
        """Frames in flight, those included that may come at any time."""
        return self.allowed - self.answered

    @property
    def wanted(self) -> int:
        """Frames that wait at the client for permission; the farthest rank decides."""
        if not self.welcomed:
            return 0
        return max((peer.goal for peer in self.peers.values()), default=0) - self.allowed

    @property
    def settled(self) -> bool:
        """Whether nothing that was sent before the ending is still to be answered."""
        if self.farewell is None or self.damaged:
            return False
        return not self.farewell.complete or not (self.pending or self.parts.steps)

    @property
    def seen(self) -> float:
        """Time of the last sign of life of any peer."""
        return max(peer.seen for peer in self.peers.values())

    @property
    def whole(self) -> bool:
        """Whether all parts of the vector have ended."""
        return sum(p.part[1] - p.part[0] for s, p in self.peers.items() if s in self.endings) == (
            self.spec.n_values
        )

    @property
    def listeners(self) -> list[Peer]:
        """Peers that what happens here concerns: not ranks that compute another sample already."""
        return [peer for peer in self.peers.values() if peer.session in (self, None)]

    def allow(self, more: int) -> None:
        """Allow so many frames more."""
        self.allowed += more
        for peer in self.listeners:
            peer.allow(self.allowed)

    def status(self) -> ClientStatus:
        """Return what is known of it."""
        peers = self.peers.values()
        return ClientStatus(
            self.sample,
            self.attempt,
            self.seen,
            max(peer.last_step for peer in peers),
            max(peer.blocked_seconds for peer in peers),
            sum(peer.spooled_bytes for peer in peers),
        )


@final
class HelloTicket(Ticket):
    """Names a hello."""

    __slots__ = ("peer", "session")

    def __init__(self, session: Session, peer: Peer) -> None:
        self.session = session
        self.peer = peer


@final
class FrameTicket(Ticket):
    """Names a frame."""

    __slots__ = ("session", "step")

    def __init__(self, session: Session, step: int) -> None:
        self.session = session
        self.step = step


@final
class EndingTicket(Ticket):
    """Names an ending."""

    __slots__ = ("session",)

    def __init__(self, session: Session) -> None:
        self.session = session
