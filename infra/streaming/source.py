"""The trainer's end of a stream: what a source of frames promises to the application.

The application reads deliveries, makes each safe (ledger, journal) and only then answers it. A
client keeps its frame until that answer, hence a killed process on either side loses none::

    source.grant(64)
    while not over:
        for ticket, delivery in source.receive(timeout=1.0):
            source.answer(ticket, judge(delivery))
"""

from abc import ABC, abstractmethod
from collections.abc import Set
from dataclasses import dataclass
from types import TracebackType
from typing import Self, final

from infra.streaming.frames import Delivery, Verdict

__all__ = ["ClientStatus", "FrameSource", "Ticket"]


class Ticket:
    """Names one delivery until it is answered; only its source looks inside."""

    __slots__ = ()


@final
@dataclass(frozen=True, slots=True)
class ClientStatus:
    """What a source knows of one client; of ranks that send in parts, of all of them together.

    Attributes
    ----------
    sample, attempt
        What it computes.
    last_seen
        Time of its last sign of life, seconds of `time.monotonic` on the source's machine. It
        beats every second; the beats pause while the solver holds Python's interpreter lock.
    last_step
        Largest step that its solver has handed over, -1 before the first.
    blocked_seconds
        How long its solver has waited inside the stream so far.
    spooled_bytes
        Bytes of its frames that lie on disk.
    """

    sample: int
    attempt: int
    last_seen: float
    last_step: int
    blocked_seconds: float
    spooled_bytes: int


class FrameSource(ABC):
    """Receives what all clients of one study send.

    One thread calls `receive`; the other methods may be called from any thread.
    """

    @abstractmethod
    def receive(self, timeout: float) -> list[tuple[Ticket, Delivery]]:
        """Return what has come; wait for the first delivery, and no longer than this.

        Answers and grants that were given before are sent out first.

        Parameters
        ----------
        timeout
            Seconds.

        Returns
        -------
        list of (Ticket, Hello or Frame or Ending)
            In the order of their arrival; empty after the timeout. A frame is delivered again
            only after its answer was lost or its client is another attempt.

        Raises
        ------
        FencedError
            If another source has taken over the stream.
        """

    @abstractmethod
    def answer(self, ticket: Ticket, verdict: Verdict, held: Set[int] = frozenset()) -> None:
        """Say what became of a delivery, once for each.

        Parameters
        ----------
        ticket
            As `receive` gave it.
        verdict
            See `Verdict`. ``ACCEPTED``, ``DUPLICATE`` and ``DIFFERENT`` let the client forget a
            frame. For a hello, ``DUPLICATE`` says that the sample is complete, and ``REFUSED``
            that it is not wanted; for an ending anything but ``STALE`` lets the client go.
        held
            For a hello: the steps that are already there. They are not sent again.
        """

    @abstractmethod
    def grant(self, frames: int) -> None:
        """Set how many frames may be in flight, of all clients together, from now on.

        In flight means sent and not yet answered. Before the first grant it is none. A smaller
        number than before takes effect as answers are given.
        """

    @abstractmethod
    def clients(self) -> tuple[ClientStatus, ...]:
        """Return the status of every client that has said hello and not ended, by sample."""

    @abstractmethod
    def expects(self, sample: int) -> bool:
        """Whether frames of a sample may come without another attempt at it.

        Its client is connected, or is gone and has left frames that were not read yet.
        """

    @abstractmethod
    def close(self) -> None:
        """Send the last answers and leave; clients keep what was not answered. Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
