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
from infra.streaming.line import Line
from infra.streaming.outbox import Outbox
from infra.streaming.packets import Packet
from infra.streaming.protocol import MALFORMED, Kind, Message, pack, unpack
from infra.streaming.rendezvous import Rendezvous
from infra.streaming.reuse import Reuse
from infra.streaming.shared_memory import FrameSlots

__all__ = ["Carrier"]

# Frames that share one message: so many bytes, but not more than so many frames.
_BATCH_BYTES, _BATCH_FRAMES = 1 << 20, 64
# Frames below this size, bytes, are copied into one part; ZeroMQ would copy them one by one.
_SMALL = 1 << 16
# Between two turns of the thread while frames come quickly, seconds: a batch of them, and a batch
# of answers, wakes it once. What cannot wait wakes it at once.
_PACE = 0.05


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
    reuse
        What the streams of this process share.
    slots
        Where the outbox keeps frames that a trainer on this machine may read itself.
    """

    def __init__(
        self,
        path: Path,
        rendezvous: Rendezvous,
        hello: Hello,
        part: tuple[int, int],
        limits: ClientLimits,
        reuse: Reuse,
        slots: FrameSlots | None = None,
    ) -> None:
        self._path = path
        self._reuse = reuse
        self._rendezvous = rendezvous
        self._hello = hello
        self._part = part
        self._limits = limits
        self._slots = slots
        self._shared = False  # whether the trainer reads them
        size = 4 * (part[1] - part[0])
        self._batch = min(max(1, _BATCH_BYTES // size), _BATCH_FRAMES)
        self._outbox: Outbox
        self._line: Line | None = None
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._signalled = self._flushing = self._stopping = self._ending_sent = False
        self._hello_said = self._beat_due = -np.inf
        self._hellos = self._endings = 0
        self._heard = time.monotonic()
        self._paced = False  # whether the thread has just sent, and looks again after a while
        self._asleep = False  # whether it sleeps until it is woken
        self._blocked = False  # whether the socket took no more
        self._seen = self._stamp()
        self._goal = 0
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)

    def start(self, outbox: Outbox) -> None:
        """Begin to carry."""
        self._outbox = outbox
        self._thread.start()

    def wake(self, urgent: bool = True) -> None:
        """Say that the outbox has something new; from any thread.

        Parameters
        ----------
        urgent
            False: the thread sees it in time, unless it sleeps.
        """
        if not self._signalled and (urgent or self._asleep):
            self._signalled = True
            os.write(self._write_end, b"\0")

    def flush(self) -> None:
        """Move everything to the spool, the ending last, and leave the rest to its reader."""
        self._flushing = True
        self.wake()

    def close(self, seconds: float) -> None:
        """End the thread, and wait for it no longer than this."""
        self._stopping = True
        if self._thread.ident is None:
            self._leave()  # it was never started
        else:
            self.wake()
            self._thread.join(seconds)
        if self.is_closed:
            # Not by the thread itself: `wake` must never write to a number that is in use again.
            os.close(self._read_end)
            os.close(self._write_end)

    @property
    def is_closed(self) -> bool:
        """Whether the thread has ended, or never began."""
        return not self._thread.is_alive()

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller is the carrying thread itself."""
        return threading.current_thread() is self._thread

    def silent_since(self, moment: float) -> bool:
        """Whether the trainer says nothing, and said nothing for long after a moment."""
        seconds = time.monotonic() - max(self._heard, moment)
        return seconds > self._limits.answer_seconds

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
        line, self._line = self._line, None
        if line is None:
            return
        outbox = self._outbox
        # Nothing that is still on its way may be taken for an answer to the next stream.
        answered = (outbox.ended or outbox.complete) and not outbox.spooled
        once = self._hellos == 1 and self._endings <= 1
        if answered and once and outbox.trouble is None and not self._flushing:
            self._reuse.keep_line(line, self._connection)
        else:
            # Whatever matters has been answered or spooled.
            line.close()

    @property
    def _connection(self) -> tuple[Rendezvous, tuple[int, int]]:
        return self._rendezvous, self._part

    def _turn(self) -> None:
        """Wait for something to do, and do it."""
        self._wait()
        if self._line is not None and self._line.is_refused(self._limits.refused_seconds):
            self._look_again()
        while self._line is not None and not self._outbox.over:
            try:
                data = self._line.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            message = unpack(data)
            if message is not None:
                self._heard = time.monotonic()
                self._reuse.spoke(self._path)
                try:
                    self._take(message)
                except MALFORMED as error:
                    self._outbox.refuse(f"its message cannot be read ({error})")
        if time.monotonic() >= self._beat_due:
            self._beat()
        self._send_frames()
        self._send_ending()
        flushing = self._flushing  # once: the solver may end while frames are being moved
        spilled = not (flushing or self._outbox.crowded) or self._outbox.spill(everything=flushing)
        if flushing and spilled and not self._outbox.over:
            self._outbox.spill_ending()
        # Frames that wait for a welcome or a credit: no need to hear of each.
        self._paced |= self._outbox.starved

    def _wait(self) -> None:
        outbox, paced = self._outbox, self._paced
        due = max(0.0, self._beat_due - time.monotonic())
        if outbox.crowded or self._flushing:
            due = min(due, self._limits.idle_seconds / 2)
        if paced:
            due = min(due, _PACE)
        self._paced, self._asleep = False, not paced
        if self._asleep and outbox.sendable:
            due = 0.0  # it came while this thread was not asleep yet
        # Answers may wait for each other as long as nobody waits for them.
        patient = paced and outbox.patient and not (self._blocked or self._flushing)
        poller = zmq.Poller()
        poller.register(self._read_end, zmq.POLLIN)
        line = self._line
        if line is not None and line.handshakes is not None:
            poller.register(line.handshakes.socket, zmq.POLLIN)
        if line is not None and not patient:
            poller.register(line.socket, zmq.POLLIN | (zmq.POLLOUT if self._blocked else 0))
        ready = dict(poller.poll(math.ceil(1000 * due)))
        if line is not None and ready.get(line.socket, 0) & zmq.POLLOUT:
            self._blocked = False
        if self._signalled:
            with suppress(BlockingIOError):
                os.read(self._read_end, 4096)
            self._signalled = False
        self._asleep = False

    def _join(self) -> None:
        """Turn to the trainer that the file names."""
        self._drop_line()
        self._outbox.lost()
        self._ending_sent = False
        self._hello_said = -np.inf
        self._line = self._reuse.line(self._connection)
        if self._line is not None:
            self._say_hello()

    def _drop_line(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _look_again(self) -> None:
        """Look whether there are other keys by now, since these are refused."""
        refused = self._rendezvous
        self._read_again(self._stamp())
        if self._rendezvous is refused and self._outbox.trouble is None:
            self._drop_line()
            self._outbox.refuse("its key is wrong or has expired")

    def _say_hello(self) -> None:
        known, own = self._rendezvous, self._hello
        told = self._send(
            Kind.HELLO, known.token, known.study, own.sample, own.attempt, dict(own.mu), own.seed,
            *self._part, self._offer,
        )  # fmt: skip
        if told:
            self._hello_said = time.monotonic()
            self._hellos += 1

    @property
    def _offer(self) -> tuple[str, int, int, bytes] | None:
        """Memory that the trainer may read, where it is on this machine."""
        if self._slots is None or self._rendezvous.keys is not None:
            return None
        return self._slots.offer

    def _send(self, kind: Kind, *values: object, parts: Sequence[np.ndarray] = ()) -> bool:
        if self._line is None:
            return False
        head = pack(kind, self._rendezvous.epoch, *values)
        try:
            self._line.socket.send_multipart((head, *parts), zmq.NOBLOCK, copy=False)
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
            self._shared = bool(message[6])
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
            self._goal = outbox.goal
            if not self._send_some(packets):
                outbox.put_back(packets)
                return
            self._paced = True
        if outbox.goal > self._goal and self._goal <= outbox.allowed:
            # The source believes that nothing waits: tell it now, not with the next beat.
            self._beat()

    def _send_some(self, packets: list[Packet]) -> bool:
        slots = [self._slot_of(packet) for packet in packets]
        pairs = zip(packets, slots, strict=True)
        vectors = self._payload([self._outbox.values(p) for p, slot in pairs if slot < 0])
        steps = [packet.step for packet in packets]
        digests = [packet.digest for packet in packets]
        return self._send(
            Kind.FRAMES, self._goal, self._outbox.last_step, steps, digests, slots, parts=vectors
        )

    def _slot_of(self, packet: Packet) -> int:
        """Return where the trainer finds a frame itself, or -1.

        One that it did not get out of its slot the first time is sent.
        """
        if not self._shared or self._slots is None or packet.vector is None or packet.sends > 1:
            return -1
        return self._slots.number(packet.vector)

    def _payload(self, vectors: list[Values]) -> list[Values]:
        """Return the parts of a message; small frames share one, since each part has its cost."""
        if len(vectors) > 1 and vectors[0].nbytes < _SMALL:
            return [np.concatenate(vectors)]
        return vectors

    def _send_ending(self) -> None:
        outbox, ending = self._outbox, self._outbox.ending
        if ending is None or not outbox.welcomed or self._ending_sent:
            return
        # With the last frames, not after their answers: the source waits for these.
        if outbox.all_sent:
            self._ending_sent = self._send(Kind.ENDING, ending.complete, ending.reason)
            self._endings += 1
