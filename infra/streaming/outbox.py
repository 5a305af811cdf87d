"""What a client still has to hand over: frames in order, those in flight, and the credits.

The solver puts frames in at one end; what carries them takes them at the other and tells what
was answered. A frame stays here, in memory or on disk, until its answer has come. No sockets.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Set
from typing import final

from infra.errors import RomflowError, StorageAccessError
from infra.streaming import complaints
from infra.streaming.client import ClientLimits
from infra.streaming.frames import Ending, Values, Verdict
from infra.streaming.packets import OVERHEAD, Packet
from infra.streaming.spares import Spares
from infra.streaming.spool import Spool

__all__ = ["Outbox"]

_SLICE = 0.1
# So many bytes are carried at once; less than that may wait for more.
_RIPE = 1 << 20
# After so long a wait the solver's log says why.
_PATIENT = 1.0


@final
class Outbox:
    """Frames of one client; one thread puts them in, another carries them away.

    Parameters
    ----------
    ending
        What the client's ending will be called: sample and attempt, the rest is set at the end.
    frame_bytes
        Size of what this client sends for one frame.
    limits
        Bounds of memory and waiting.
    spool
        Where frames go that memory has no room for; None if there is none.
    wake
        Called by the solver's thread when there is something new to carry, with whether that
        cannot wait.
    """

    def __init__(
        self,
        ending: Ending,
        frame_bytes: int,
        limits: ClientLimits,
        spool: Spool | None,
        wake: Callable[[bool], None],
    ) -> None:
        self.changed = threading.Condition()
        self._who = ending
        self._limits = limits
        self._window = max(limits.memory_bytes, 2 * (frame_bytes + OVERHEAD))
        self._ripe = min(_RIPE, self._window // 4)
        self._fresh = 0  # bytes that were put in since the carrying thread has looked
        self._waiting = False
        # Small frames come back many at a time: the solver wakes once for a batch of them.
        self._slack = 16 * frame_bytes if 64 * frame_bytes < self._window else 0
        self._spare = Spares(max(2, self._window // (4 * frame_bytes)))
        self._spool = spool
        self._wake = wake
        self._queue: deque[Packet] = deque()
        self._flying: dict[int, Packet] = {}
        self._memory = 0
        self._sent = self.allowed = 0
        self._told = False
        self.answered_once = self.welcomed = self.refused = False
        self.complete = self.ended = self.spooled = False
        self.held: frozenset[int] = frozenset()
        self.ending: Ending | None = None
        self.trouble: RomflowError | None = None
        self.stuck = ""
        self.disk_trouble: StorageAccessError | None = None
        self.last_step = -1
        self.blocked_seconds = 0.0

    # The solver's side.

    def put(self, step: int, vector: Values, digest: int) -> None:
        """Queue a frame, waiting for room; skip it if the trainer has it already."""
        packet = Packet(step, digest, vector, time.monotonic())
        with self.changed:
            self.raise_trouble()
            self.last_step = max(self.last_step, step)
            if self.complete or step in self.held:
                return
            if self._memory + packet.memory > self._window:
                self._wait_for_room(packet.memory)
                if self.complete or step in self.held:
                    return
            packet.queued = time.monotonic()
            self._queue.append(packet)
            self._memory += packet.memory
            before, self._fresh = self._fresh, self._fresh + packet.memory
            urgent = before < self._ripe <= self._fresh
        self._wake(urgent)

    def spare(self) -> Values | None:
        """Return an array that a frame no longer needs, if there is one."""
        with self.changed:
            return self._spare.take()

    def forget_spares(self) -> None:
        """Free the arrays that no frame needs: nothing more will be put in."""
        self._spare.forget()

    def end(self, *, complete: bool, reason: str) -> None:
        """Say that nothing more will be put in."""
        with self.changed:
            self.ending = Ending(self._who.sample, self._who.attempt, complete, reason)
        self._wake(True)

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is true of this outbox; return whether it is, in time."""
        started = last = time.monotonic()
        with self.changed:
            while not (reached := done()) and last - started < seconds:
                if not self._waiting:
                    self._waiting = True
                    self._wake(True)
                # In slices, since the carrying thread may have died.
                self.changed.wait(min(started + seconds - last, _SLICE))
                now = time.monotonic()
                self.blocked_seconds += now - last
                last = now
                self._say_why(started)
            self._waiting = False
        return reached

    def raise_trouble(self) -> None:
        """Raise what the carrying thread met."""
        if self.trouble is not None:
            raise self.trouble

    @property
    def troubled(self) -> bool:
        """Whether waiting longer makes no sense, for the stream or the spool has an error."""
        return self.trouble is not None or self.disk_trouble is not None

    # The carrying thread's side.

    @property
    def idle(self) -> bool:
        """Whether every frame was answered."""
        return not self._queue and not self._flying

    @property
    def asks(self) -> bool:
        """Whether the source owes an answer: to a hello, a frame, an ending, not only credits."""
        return bool(self._flying) or not (self.welcomed and self._queue)

    @property
    def all_sent(self) -> bool:
        """Whether every frame was sent, though perhaps not answered."""
        return not self._queue

    @property
    def sendable(self) -> bool:
        """Whether frames wait that may be sent."""
        return bool(self._queue) and self.welcomed and self.allowed > self._sent

    @property
    def starved(self) -> bool:
        """Whether frames wait that may not be sent."""
        return bool(self._queue) and not self.sendable

    @property
    def waiting_since(self) -> float:
        """When the oldest frame without an answer was put in; now, if there is none."""
        with self.changed:
            flying = next(iter(self._flying.values()), None)
            oldest = flying or (self._queue[0] if self._queue else None)
            return time.monotonic() if oldest is None else oldest.queued

    @property
    def patient(self) -> bool:
        """Whether nobody waits for an answer: neither the solver nor a frame without credit."""
        return self.welcomed and not (self._waiting or self.ending or self.starved)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do for the carrying thread."""
        return self.complete or self.ended or self.spooled

    @property
    def crowded(self) -> bool:
        """Whether frames in memory may have to go to the spool before long."""
        return self._spool is not None and self._memory > self._window // 2

    @property
    def goal(self) -> int:
        """How many frames this client would like to be allowed, since the session began."""
        return self._sent + len(self._queue)

    @property
    def spooled_bytes(self) -> int:
        """Bytes in the spool."""
        return 0 if self._spool is None else self._spool.used

    def take(self, most: int) -> list[Packet]:
        """Return the next frames to send, as credits and memory allow; they are in flight then."""
        taken: list[Packet] = []
        with self.changed:
            room = min(most, self.allowed - self._sent) if self.welcomed else 0
            while room > len(taken) and self._queue:
                packet = self._queue.popleft()
                packet.sends += 1
                self._flying[packet.step] = packet
                taken.append(packet)
            self._sent += len(taken)
            self._fresh = 0
        return taken

    def values(self, packet: Packet) -> Values:
        """Return the values of a packet, from memory or from disk."""
        if packet.vector is not None:
            return packet.vector
        assert self._spool is not None, "only a spool takes values out of memory"
        assert packet.place is not None
        return self._spool.read(packet.place)

    def put_back(self, packets: Iterable[Packet]) -> None:
        """Take back packets that could not be sent: they are not in flight."""
        with self.changed:
            for packet in reversed(list(packets)):
                if self._flying.pop(packet.step, None) is not None:
                    packet.sends -= 1
                    self._queue.appendleft(packet)
                    self._sent -= 1

    def allow(self, frames: int) -> None:
        """Set how many frames may have been sent since the session began."""
        with self.changed:
            self.allowed = frames

    def answered(self, steps: Iterable[int], verdicts: Iterable[int]) -> None:
        """Take in the source's answers to frames."""
        with self.changed:
            for step, verdict in zip(steps, verdicts, strict=True):
                packet = self._flying.pop(step, None)
                if packet is None:
                    continue
                if verdict == Verdict.STALE:
                    self._queue.appendleft(packet)
                else:
                    self._forget(packet)
                if verdict == Verdict.REFUSED:
                    self.trouble = complaints.frame_refused(step, self._who.sample)
            self.changed.notify_all()

    def welcome(self, verdict: Verdict, held: Set[int], answered: int, allowed: int) -> None:
        """Take in the answer to the hello; what the source holds is dropped here."""
        with self.changed:
            if verdict is Verdict.REFUSED:
                self.refuse(f"it does not want sample {self._who.sample}")
            self._return_flying()
            self.answered_once = True
            self.complete |= verdict is Verdict.DUPLICATE
            self.welcomed = verdict is Verdict.ACCEPTED
            self.held = frozenset(held)
            self._sent, self.allowed = answered, allowed
            keep: deque[Packet] = deque()
            for packet in self._queue:
                if self.complete or packet.step in self.held:
                    self._forget(packet)
                else:
                    keep.append(packet)
            self._queue = keep
            self.changed.notify_all()

    def skip(self) -> None:
        """Take in that an earlier attempt has left the whole sample to the trainer."""
        with self.changed:
            self.complete = self.answered_once = True

    def refuse(self, why: str) -> None:
        """Take in that the source turns this client away for good."""
        with self.changed:
            self.refused = True
            self.trouble = complaints.turned_away(why)
            self.changed.notify_all()

    def lost(self) -> None:
        """Take back what is in flight, since the source is gone or has forgotten this client."""
        with self.changed:
            self.welcomed = False
            self._return_flying()

    def finished(self) -> None:
        """Take in the answer to the ending."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def fail(self, error: RomflowError) -> None:
        """Keep an error of the carrying thread for the solver."""
        with self.changed:
            self.trouble = self.trouble or error
            self.changed.notify_all()

    def spill(self, *, everything: bool) -> bool:
        """Move frames from memory to disk where they wait too long there; False if it cannot.

        An error of the disk is kept in `disk_trouble` until it is over: the frames stay in
        memory, and the solver hears of it if it needs room that only the disk can give.

        Parameters
        ----------
        everything
            Whether nothing at all shall stay in memory, frames in flight included.
        """
        if self._spool is None:
            return False
        try:
            return all(self._spill_one(packet) for packet in self._to_spill(everything=everything))
        except StorageAccessError as error:
            with self.changed:
                self.disk_trouble = error
                self.changed.notify_all()
            return False

    def spill_ending(self) -> None:
        """Put the ending into the spool, after all frames; then the next trainer has it all."""
        assert self.ending is not None, "only a stream that has ended is left to the spool"
        assert self._spool is not None, "the frames went there"
        self._spool.end(self.ending)
        with self.changed:
            self.spooled = True
            self.changed.notify_all()

    def _spill_one(self, packet: Packet) -> bool:
        assert self._spool is not None, "the caller knows"
        vector = self.values(packet)
        place = self._spool.append(packet.step, packet.digest, vector)
        with self.changed:
            self.disk_trouble = None
            self.stuck = "" if place is not None else self._spool.why_full
            if place is not None:
                packet.place = place
                self._memory -= packet.memory
                self._spare.keep(packet)
                packet.vector = None
                self.changed.notify_all()
        return place is not None

    def _to_spill(self, *, everything: bool) -> list[Packet]:
        with self.changed:
            if everything:
                both = [*self._flying.values(), *self._queue]
                return [packet for packet in both if packet.vector is not None]
            excess = self._memory - self._window // 2
            oldest = time.monotonic() - self._limits.idle_seconds
            chosen = []
            for packet in self._queue:
                if excess <= 0 or packet.queued > oldest:
                    break
                if packet.vector is not None:
                    chosen.append(packet)
                    excess -= packet.memory
            return chosen

    def _wait_for_room(self, needed: int) -> None:
        """Wait inside the lock; the caller checks again what the trainer holds."""

        def room() -> bool:
            fits = self._memory + needed + self._slack <= self._window
            return fits or self.complete or self.troubled

        if not self.wait(room, self._limits.patience_seconds):
            raise complaints.no_room(self._who.sample, self._limits.patience_seconds, self.stuck)
        self.raise_trouble()
        if not self.complete and self.disk_trouble is not None:
            raise self.disk_trouble

    def _say_why(self, started: float) -> None:
        if self._told or time.monotonic() - started < _PATIENT or not self.stuck:
            return
        self._told = True
        complaints.say_that_it_waits(self._who.sample, self.stuck)

    def _return_flying(self) -> None:
        self._queue.extendleft(reversed(self._flying.values()))
        self._flying.clear()

    def _forget(self, packet: Packet) -> None:
        self._memory -= packet.memory
        self._spare.keep(packet)
        if packet.place is not None:
            assert self._spool is not None, "it gave the place"
            self._spool.release(packet.place)
