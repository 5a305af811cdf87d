"""The thread that carries a client's frames to the trainer, and beats.

It alone touches the socket. It never calls MPI and never forks. While the trainer is away it
watches the rendezvous file, and turns to whoever writes a new epoch into it.
"""

import math
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import final

import numpy as np
import zmq

from infra.errors import RomflowError, StreamError, UserError
from infra.streaming.client import ClientLimits
from infra.streaming.frames import Hello, Values, Verdict
from infra.streaming.outbox import Outbox
from infra.streaming.protocol import MALFORMED, Kind, Message, pack, unpack
from infra.streaming.rendezvous import Rendezvous

__all__ = ["Carrier"]

# Frames that share one message: so many bytes, but not more than so many frames.
_BATCH_BYTES, _BATCH_FRAMES = 1 << 20, 64
# Frames below this size, bytes, are copied into one part; ZeroMQ would copy them one by one.
_SMALL = 1 << 16
# A trainer that does not answer for so long is away, seconds.
_AWAY = 1.0


@final
class Carrier:
    """Connects one outbox with the trainer that a rendezvous file names.

    Parameters
    ----------
    path
        The rendezvous file.
    rendezvous
        What it said.
    hello
        Who this client is.
    part
        Range of the vector that it sends.
    limits
        Bounds of waiting.
    """

    def __init__(
        self,
        path: Path,
        rendezvous: Rendezvous,
        hello: Hello,
        part: tuple[int, int],
        limits: ClientLimits,
    ) -> None:
        self._path = path
        self._rendezvous = rendezvous
        self._hello = hello
        self._part = part
        self._limits = limits
        size = 4 * (part[1] - part[0])
        self._batch = min(max(1, _BATCH_BYTES // size), _BATCH_FRAMES)
        self._outbox: Outbox
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._signalled = self._flushing = self._stopping = self._ending_sent = False
        self._hello_said = self._beat_due = -np.inf
        self._joined = time.monotonic()
        self._blocked = False  # whether the socket took no more
        self._seen = self._stamp()
        self._goal = 0
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)

    def start(self, outbox: Outbox) -> None:
        """Begin to carry."""
        self._outbox = outbox
        self._thread.start()

    def wake(self) -> None:
        """Say that the outbox has something new; from any thread."""
        if not self._signalled:
            self._signalled = True
            os.write(self._write_end, b"\0")

    def flush(self) -> None:
        """Move everything to the spool, the ending last, and leave the rest to its reader."""
        self._flushing = True
        self.wake()

    def close(self, seconds: float) -> None:
        """End the thread, and wait for it no longer than this."""
        self._stopping = True
        self.wake()
        self._thread.join(seconds)
        if not self._thread.is_alive():
            # Not by the thread itself: `wake` must never write to a number that is in use again.
            os.close(self._read_end)
            os.close(self._write_end)

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller is the carrying thread itself."""
        return threading.current_thread() is self._thread

    @property
    def away(self) -> bool:
        """Whether the trainer gives no answer."""
        return not self._outbox.welcomed and time.monotonic() - self._joined > _AWAY

    def _run(self) -> None:
        try:
            self._join()
            while not self._stopping and not self._outbox.over:
                self._turn()
        except RomflowError as error:
            self._outbox.fail(error)
        except (OSError, zmq.ZMQError) as error:
            self._outbox.fail(StreamError(f"The stream broke: {error}. Start another attempt."))
        finally:
            if not self._outbox.over:
                self._outbox.fail(StreamError("The thread of the stream has ended."))
            self._leave()

    def _leave(self) -> None:
        if self._socket is not None:
            # Whatever matters has been answered or spooled.
            self._socket.close(linger=0)
        self._context.term()

    def _turn(self) -> None:
        """Wait for something to do, and do it."""
        self._wait()
        while self._socket is not None and not self._outbox.over:
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            message = unpack(data)
            if message is not None:
                try:
                    self._take(message)
                except MALFORMED as error:
                    self._outbox.refuse(f"its message cannot be read ({error})")
        if time.monotonic() >= self._beat_due:
            self._beat()
        self._send_frames()
        self._send_ending()
        spilled = not (self._flushing or self._outbox.crowded) or self._outbox.spill(
            everything=self._flushing
        )
        if self._flushing and spilled and not self._outbox.over:
            self._outbox.spill_ending()

    def _wait(self) -> None:
        due = max(0.0, self._beat_due - time.monotonic())
        if self._outbox.crowded or self._flushing:
            due = min(due, self._limits.idle_seconds / 2)
        poller = zmq.Poller()
        poller.register(self._read_end, zmq.POLLIN)
        if self._socket is not None:
            poller.register(self._socket, zmq.POLLIN | (zmq.POLLOUT if self._blocked else 0))
        ready = dict(poller.poll(math.ceil(1000 * due)))
        if self._socket is not None and ready.get(self._socket, 0) & zmq.POLLOUT:
            self._blocked = False
        if self._signalled:
            with suppress(BlockingIOError):
                os.read(self._read_end, 4096)
            self._signalled = False

    def _join(self) -> None:
        """Turn to the trainer that the file names."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None
        self._outbox.lost()
        self._ending_sent = False
        self._joined = time.monotonic()
        self._hello_said = -np.inf
        endpoint = _nearest(self._rendezvous)
        if endpoint:
            self._socket = self._context.socket(zmq.DEALER)
            # Messages wait for a connection here, where they can go to the spool, not in ZeroMQ.
            self._socket.setsockopt(zmq.IMMEDIATE, 1)
            self._socket.setsockopt(zmq.SNDHWM, 0)
            self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
            self._socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
            self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 20000)
            self._socket.connect(endpoint)
            self._say_hello()

    def _say_hello(self) -> None:
        known, own = self._rendezvous, self._hello
        told = self._send(
            Kind.HELLO, known.token, known.study, own.sample, own.attempt, dict(own.mu), own.seed,
            *self._part,
        )  # fmt: skip
        if told:
            self._hello_said = time.monotonic()

    def _send(self, kind: Kind, *values: object, parts: Sequence[np.ndarray] = ()) -> bool:
        if self._socket is None:
            return False
        head = pack(kind, self._rendezvous.epoch, *values)
        try:
            self._socket.send_multipart((head, *parts), zmq.NOBLOCK, copy=False)
        except zmq.Again:
            self._blocked = True
            return False
        self._blocked = False
        return True

    def _beat(self) -> None:
        self._beat_due = time.monotonic() + self._limits.beat_seconds
        stamp = self._stamp()
        if stamp != self._seen:
            self._read_again(stamp)
        outbox = self._outbox
        if outbox.welcomed:
            self._goal = outbox.goal
            self._send(
                Kind.BEAT, self._goal, outbox.last_step, outbox.blocked_seconds,
                outbox.spooled_bytes,
            )  # fmt: skip

    def _read_again(self, stamp: tuple[int, int]) -> None:
        """Turn to another trainer, if there is one."""
        try:
            found = Rendezvous.read(self._path)
        except (UserError, StreamError):
            return  # being removed, or no file of a trainer any more: it may come back
        self._seen = stamp
        if found.spec != self._rendezvous.spec:
            self._outbox.refuse("a trainer of another study has taken over its file")
        elif found != self._rendezvous:
            self._rendezvous = found
            self._join()

    def _stamp(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0)
        return (status.st_ino, status.st_mtime_ns)

    def _take(self, message: Message) -> None:
        """Act on what the source says."""
        kind, epoch = message[:2]
        outbox = self._outbox
        if kind == Kind.STALE and message[2] == "epoch":
            self._beat_due = -np.inf  # look at the file now
            outbox.lost()
        elif epoch != self._rendezvous.epoch:
            return
        elif kind == Kind.ANSWERS:
            outbox.answered(message[2], message[3])
            outbox.allow(int(message[4]))
        elif kind == Kind.WELCOME:
            held = frozenset(np.frombuffer(message[3], "<i4").tolist())
            outbox.welcome(Verdict(message[2]), held, int(message[4]), int(message[5]))
            self._goal, self._ending_sent = 0, False
        elif kind == Kind.ENDED:
            if message[2] == Verdict.STALE:
                self._ending_sent = False
            else:
                outbox.finished()
        elif kind == Kind.REFUSED:
            outbox.refuse(str(message[2]))
        elif kind == Kind.STALE and outbox.welcomed:
            outbox.lost()
            self._say_hello()

    def _send_frames(self) -> None:
        outbox = self._outbox
        if not outbox.welcomed:
            patience = 2 * self._limits.beat_seconds
            if time.monotonic() - self._hello_said > patience and not self._blocked:
                self._say_hello()
            return
        while not self._blocked and (packets := outbox.take(self._batch)):
            vectors = self._payload([outbox.values(packet) for packet in packets])
            self._goal = outbox.goal
            steps = [packet.step for packet in packets]
            digests = [packet.digest for packet in packets]
            if not self._send(
                Kind.FRAMES, self._goal, outbox.last_step, steps, digests, parts=vectors
            ):
                outbox.put_back(packets)
                return
        if outbox.goal > self._goal and self._goal <= outbox.allowed:
            # The source believes that nothing waits: tell it now, not with the next beat.
            self._beat()

    def _payload(self, vectors: list[Values]) -> list[Values]:
        """Return the parts of a message; small frames share one, since each part has its cost."""
        if len(vectors) > 1 and vectors[0].nbytes < _SMALL:
            return [np.concatenate(vectors)]
        return vectors

    def _send_ending(self) -> None:
        outbox, ending = self._outbox, self._outbox.ending
        if ending is not None and outbox.welcomed and outbox.idle and not self._ending_sent:
            self._ending_sent = self._send(Kind.ENDING, ending.complete, ending.reason)


def _nearest(rendezvous: Rendezvous) -> str:
    """Return the fastest address that this process can reach; empty if nobody is there."""
    for endpoint in rendezvous.endpoints:
        if not endpoint.startswith("ipc://"):
            return endpoint
        if os.uname().nodename == rendezvous.host and Path(endpoint[6:]).is_socket():
            return endpoint
    return ""
