"""One client of a source over ZeroMQ: what it is told, and the memory that it shares."""

from collections.abc import Iterable, Set
from typing import Any, final

import numpy as np

from infra.streaming.frames import WIRE, Values, Verdict
from infra.streaming.protocol import Kind, pack
from infra.streaming.recycled import RecycledArrays
from infra.streaming.sessions import Peer
from infra.streaming.shared_memory import SharedFrames

__all__ = ["ZmqPeer", "frame_vectors"]


@final
class ZmqPeer(Peer):
    """One connected client; what it is told is gathered, so that one message serves many frames.

    Parameters
    ----------
    identity
        Its name in ZeroMQ.
    part
        As in `Peer`.
    """

    def __init__(self, identity: bytes, part: tuple[int, int]) -> None:
        super().__init__(part)
        self.identity = identity
        self._shared: SharedFrames | None = None
        self._messages: list[tuple[Any, ...]] = []
        self._steps: list[int] = []
        self._verdicts: list[int] = []
        self._allowed = 0
        self._changed = False

    def share(self, offer: Any) -> None:
        """Open the memory that the client offers, if that can be done from here."""
        if self._shared is None or not self._shared.is_of(offer):
            self.close()
            self._shared = SharedFrames.attach(offer, self.part[1] - self.part[0])

    def fetch(self, slot: int, digest: int, arrays: RecycledArrays) -> Values | None:
        """Return a copy of a frame in the shared memory; None if it is not what was announced.

        Raises
        ------
        ValueError
            If no memory is shared.
        """
        if self._shared is None:
            raise ValueError("a slot without shared memory")
        size = self.part[1] - self.part[0]
        values = arrays.take() if size == arrays.n_values else np.empty(size, WIRE)
        if not self._shared.read(slot, digest, values):
            return None
        values.flags.writeable = False
        return values

    def close(self) -> None:
        """Let go of the shared memory."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def welcome(self, verdict: Verdict, held: Set[int], answered: int, allowed: int) -> None:
        """Pass on the answer to a hello."""
        self._allowed = allowed
        packed = np.fromiter(held, "<i4", len(held)).tobytes()
        self._say(Kind.WELCOME, int(verdict), packed, answered, allowed, self._shared is not None)

    def answer(self, step: int, verdict: Verdict) -> None:
        """Pass on the answer to a frame."""
        self._steps.append(step)
        self._verdicts.append(int(verdict))
        self._changed = True

    def allow(self, frames: int) -> None:
        """Pass on how many frames may have been sent."""
        self._allowed = frames
        self._changed = True

    def ended(self, verdict: Verdict) -> None:
        """Pass on the answer to an ending."""
        self._say(Kind.ENDED, int(verdict))

    def outgoing(self, epoch: int) -> list[bytes]:
        """Return the messages for it in the order of the events, and forget them."""
        if not self._changed and not self._messages:
            return []
        self._close_answers()
        messages, self._messages = self._messages, []
        return [pack(kind, epoch, *values) for kind, *values in messages]

    def _say(self, kind: Kind, *values: Any) -> None:
        self._close_answers()
        self._messages.append((kind, *values))

    def _close_answers(self) -> None:
        if self._changed:
            self._messages.append((Kind.ANSWERS, self._steps, self._verdicts, self._allowed))
            self._steps, self._verdicts, self._changed = [], [], False


def frame_vectors(buffer: Any, part: tuple[int, int]) -> Iterable[Values]:
    """Return the frames of a message part, without a copy where they lie well.

    Parameters
    ----------
    buffer
        Bytes of one or more frames.
    part
        Range of the vector that the client sends.

    Raises
    ------
    ValueError
        If these are not whole frames.
    """
    values = np.frombuffer(buffer, WIRE)
    # ZeroMQ gives small messages any address.
    values = values if values.flags.aligned else values.copy()
    values.flags.writeable = False
    size = part[1] - part[0]
    return (values,) if values.size == size else values.reshape(-1, size)
