"""The solver's end of a stream over ZeroMQ."""

import sys
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import final

from infra.errors import StreamError, UserError
from infra.streaming.client import LINGER, ClientLimits, FrameStream
from infra.streaming.frames import Ending, Hello, Values
from infra.streaming.leftovers import wholly_in_spool
from infra.streaming.outbox import Outbox
from infra.streaming.rendezvous import Rendezvous
from infra.streaming.reuse import Reuse, process_reuse
from infra.streaming.shared_memory import FrameSlots
from infra.streaming.spool import Owner, Spool
from infra.streaming.zmq_carrier import Carrier

__all__ = ["ZmqStream"]

# How often a client looks for the file of a trainer that was never there, seconds.
_LOOK = 0.2

# So many frames before the end, those that wait to be carried together are carried at once: then
# few are left for the end to wait for.
_LAST = 5


@final
class ZmqStream(FrameStream):
    """Sends frames to another process; see `infra.streaming.client.connect`, which makes it.

    Parameters
    ----------
    rendezvous, sample, mu, seed, part, attempt, study, limits
        As in `connect`.
    """

    def __init__(
        self,
        rendezvous: Path,
        sample: int,
        *,
        mu: Mapping[str, float],
        seed: int,
        part: tuple[int, int] | None,
        attempt: int,
        study: str | None,
        limits: ClientLimits,
    ) -> None:
        found = _found(rendezvous, limits.rendezvous_seconds)
        if study not in (None, found.study):
            raise UserError(
                f"Expected a client of the study {found.study[:12]}; received {str(study)[:12]}. "
                f"The trainer at {rendezvous} trains on another study or version."
            )
        super().__init__(found.spec, sample, attempt, part)
        self._limits = limits
        hello = Hello(sample, attempt, {name: float(value) for name, value in mu.items()}, seed)
        place = part or (0, found.spec.n_values)
        owner = Owner(found.study, found.spec.n_values, hello, place)
        self._spool = Spool(found.spool, found.spool_limit, owner)
        self._path, self._epoch, self._reuse = rendezvous, found.epoch, process_reuse()
        # Behind keys the trainer may be on another machine, and reads nothing here.
        shared = found.keys is None
        self._slots = _slots(place[1] - place[0], limits, self._reuse) if shared else None
        self._carrier = Carrier(rendezvous, found, hello, place, limits, self._reuse, self._slots)
        self._outbox = Outbox(
            Ending(sample, attempt, complete=False),
            4 * (place[1] - place[0]),
            limits,
            self._spool,
            self._carrier.wake,
        )
        # For a program that ends without a word: its thread would be stopped in the middle.
        self._forgotten = weakref.finalize(
            self, _leave_behind, self._outbox, self._carrier, self._slots
        )
        if part is None and wholly_in_spool(found.spool, found.spec, sample):
            # The trainer is not even asked: to hear of a newer attempt, it would put off the old.
            self._outbox.skip()
        else:
            self._carrier.start(self._outbox)

    @property
    def held(self) -> frozenset[int]:
        """Steps that the trainer already has."""
        self._await_welcome()
        return self._outbox.held

    @property
    def complete(self) -> bool:
        """Whether the trainer has the whole sample, or finds in the spool what it lacks."""
        self._await_welcome()
        return self._outbox.complete

    @property
    def blocked_seconds(self) -> float:
        """How long the solver has waited so far."""
        return self._outbox.blocked_seconds

    def _buffer(self) -> Values:
        # New memory is several times slower to write than memory that was just in use.
        spare = self._outbox.spare()
        if spare is None and self._slots is not None:
            spare = self._slots.take()
        return super()._buffer() if spare is None else spare

    def _send(self, step: int, vector: Values, digest: int) -> None:
        self._outbox.put(step, vector, digest)
        if self._spec.n_frames - len(self._sent) == _LAST:
            self._carrier.wake()

    def _end(self, complete: bool, reason: str, linger: float) -> None:
        outbox, carrier = self._outbox, self._carrier
        self._forgotten.detach()
        outbox.end(complete=complete, reason=reason)
        self._linger(0.0 if self._is_silent else linger)
        if not outbox.over and outbox.trouble is None:
            carrier.flush()
            patience = self._limits.patience_seconds if complete else LINGER
            outbox.wait(lambda: outbox.over or outbox.troubled, patience)
        over, trouble = outbox.over, outbox.trouble or outbox.disk_trouble
        carrier.close(LINGER)
        outbox.forget_spares()
        if self._slots is not None and carrier.is_closed:
            self._reuse.keep_slots(self._slots)
        elif self._slots is not None:
            self._slots.close()
        self._spool.close(keep=not (outbox.complete or outbox.ended or outbox.refused))
        if over:
            if complete:
                outbox.raise_trouble()
            return
        lost = trouble or StreamError(
            f"Expected room for the last frames of sample {self.sample}; neither the trainer nor "
            f"the spool takes them. {outbox.stuck} Compute the sample again."
        )
        if complete:
            raise lost
        print(f"Sample {self.sample} was abandoned ({reason}). {lost}", file=sys.stderr)

    @property
    def _is_silent(self) -> bool:
        return self._reuse.is_silent(self._path, self._epoch)

    def _linger(self, seconds: float) -> None:
        """Wait for the last answers, as long as the trainer says anything."""
        outbox, carrier = self._outbox, self._carrier
        since = outbox.waiting_since
        outbox.wait(
            lambda: outbox.over or outbox.trouble is not None or carrier.silent_since(since),
            seconds,
        )
        # A trainer that gives no credits is busy, and still answers what it is sent.
        if outbox.asks and not outbox.over and carrier.silent_since(since):
            self._reuse.fell_silent(self._path, self._epoch)

    def _await_welcome(self) -> None:
        outbox = self._outbox
        if not outbox.answered_once and outbox.trouble is None and not self._is_silent:
            heard = outbox.wait(
                lambda: outbox.answered_once or outbox.trouble is not None,
                self._limits.welcome_seconds if self._open else 0.0,
            )
            if not heard and self._open:
                self._reuse.fell_silent(self._path, self._epoch)
        outbox.raise_trouble()


def _found(path: Path, seconds: float) -> Rendezvous:
    """Read the file of the trainer; wait for it if there is none yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            return Rendezvous.read(path)
        except UserError:
            if time.monotonic() >= end:
                raise
        time.sleep(_LOOK)


def _slots(n_values: int, limits: ClientLimits, reuse: Reuse) -> FrameSlots | None:
    """Return memory that a trainer on this machine can read, if that is wanted and can be had."""
    if limits.shared_bytes is None or 4 * n_values < limits.shared_bytes:
        return None
    try:
        return reuse.take_slots(n_values, limits.memory_bytes)
    except OSError:
        return None


def _leave_behind(outbox: Outbox, carrier: Carrier, slots: FrameSlots | None) -> None:
    """End the stream of a program that did not; briefly."""
    outbox.end(complete=False, reason="the program ended without finishing the sample")
    if carrier.is_current_thread:
        if slots is not None:
            slots.close()
        carrier.flush()  # the garbage collector runs in any thread, and this one must not wait
        return
    started = time.monotonic()
    outbox.wait(
        lambda: outbox.over or outbox.trouble is not None or carrier.silent_since(started),
        LINGER / 2,
    )
    if not outbox.over:
        carrier.flush()
        outbox.wait(lambda: outbox.over or outbox.troubled, LINGER / 2)
    if not outbox.over:
        why = outbox.trouble or outbox.disk_trouble or outbox.stuck
        print(
            f"A sample was left without an end, and its last frames are lost. {why}",
            file=sys.stderr,
        )
    carrier.close(LINGER / 2)
    if slots is not None:
        slots.close()
