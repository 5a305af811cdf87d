"""What the streams of one process, one after the other, share and use again.

To open a stream anew costs several milliseconds: threads of ZeroMQ, a connection, memory that the
kernel has to clear, and a trainer that opens that memory. A process that computes one short
sample after the other pays for it once. It also remembers a trainer that gave no answer, so that
only one sample waits for it.
"""

import os
import threading
import weakref
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, final

import zmq

from infra.streaming.line import Line
from infra.streaming.rendezvous import Rendezvous
from infra.streaming.shared_memory import FrameSlots

__all__ = ["Reuse", "process_reuse"]

type Connection = tuple[Rendezvous, tuple[int, int]]


@final
@dataclass
class _Spare:
    """The last connection that is not in use, and the last memory; at most one of each."""

    line: Line | None = None
    connection: Connection | None = None
    slots: FrameSlots | None = None
    owner: int = field(default_factory=os.getpid)

    def close(self) -> None:
        """Let go of both; not in a forked process, to which they do not belong."""
        if self.owner != os.getpid():
            return
        if self.line is not None:
            self.line.close()
        if self.slots is not None:
            self.slots.close()
        self.line = self.slots = None


@final
class Reuse:
    """Keeps one connection and one memory for the next stream; its methods are safe for threads.

    `process_reuse` gives the one of this process.
    """

    def __init__(self) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self._lock = threading.Lock()
        self._spare = _Spare()
        self._silent: dict[Path, int] = {}
        # Before ZeroMQ is taken down: that would wait for its open sockets.
        weakref.finalize(self, _Spare.close, self._spare)

    def is_silent(self, path: Path, epoch: int) -> bool:
        """Return whether a trainer gave no answer the last time that one was waited for."""
        with self._lock:
            return self._silent.get(path.absolute()) == epoch

    def fell_silent(self, path: Path, epoch: int) -> None:
        """Note that a trainer gives no answer; another epoch is another trainer."""
        with self._lock:
            self._silent[path.absolute()] = epoch

    def spoke(self, path: Path) -> None:
        """Note that a trainer has said something."""
        if self._silent:
            with self._lock:
                self._silent.pop(path.absolute(), None)

    def line(self, connection: Connection) -> Line | None:
        """Return a line that is connected so, None if nobody is there."""
        with self._lock:
            spare = self._spare
            if spare.line is not None and spare.connection == connection:
                line, spare.line = spare.line, None
                return line
        return Line(self.context, connection[0]) if connection[0].endpoints else None

    def keep_line(self, line: Line, connection: Connection) -> None:
        """Keep a line whose stream has ended, everything on it being answered."""
        with self._lock:
            spare = self._spare
            former, spare.line, spare.connection = spare.line, line, connection
        if former is not None:
            former.close()

    def take_slots(self, n_values: int, memory: int) -> FrameSlots:
        """Return memory for frames.

        Raises
        ------
        OSError
            If there is none.
        """
        with self._lock:
            spare = self._spare
            if spare.slots is not None and spare.slots.size == (n_values, memory):
                slots, spare.slots = spare.slots, None
                return slots
        return FrameSlots(n_values, memory)

    def keep_slots(self, slots: FrameSlots) -> None:
        """Keep the memory of a stream that has ended."""
        with self._lock:
            spare = self._spare
            former, spare.slots = spare.slots, slots
        if former is not None:
            former.close()

    def clear(self) -> None:
        """Close what is kept; the next stream begins anew."""
        with self._lock:
            self._spare.close()


def process_reuse() -> Reuse:
    """Return what the streams of this process share.

    The only state of a process here: `connect` is called anew for every sample, by programs that
    know nothing of it.
    """
    return _reuse_of(os.getpid())


@cache
def _reuse_of(process: int) -> Reuse:
    del process  # a forked one shares nothing with its parent
    return Reuse()
