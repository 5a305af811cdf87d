"""Reception: from the stream to the ledger, the journal and the inbox, in a thread of its own.

The trainer may validate, write a checkpoint or wait for a GPU: frames are received, judged,
written to the journal and answered meanwhile, as far as the inbox has room. Room becomes credits
of the stream, so that what does not fit stays with the clients.
"""

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.streaming.frames import Delivery, Frame, Hello, Verdict
from infra.streaming.source import FrameSource, Ticket
from surrogates.accepted import Batch
from surrogates.arrivals import Arrival, Design, HeldOut
from surrogates.attempts import Attempts
from surrogates.client_watch import ClientWatch, IntakeLimits, Report
from surrogates.finite import all_finite
from surrogates.holes import Closing, Hole
from surrogates.inbox import Inbox, arrival_bytes
from surrogates.journal import Journal
from surrogates.ledger import Ledger
from surrogates.recovery import Recovery
from surrogates.states import State

__all__ = ["NOT_FINITE", "Intake", "IntakeLimits", "Report"]

NOT_FINITE = "not-finite"
"""Reason of a hole whose frames hold NaN or infinite values."""
_POLL = 0.2
_POLL_FULL = 0.02


@final
class Intake:
    """Owns the source, the ledger, the journals and the inbox.

    The methods may be called from any thread.

    Parameters
    ----------
    source
        Where the frames come from.
    design
        Which frames may come.
    journal, held_out
        For the samples that are trained on, and for those that validate; the latter should keep
        everything. What they hold is received already.
    limits
        Bounds.
    keep_partial
        Whether the frames of a sample that never gets complete are trained on. If not, a sample
        is handed over when it is complete; until then its frames are on disk only.
    report
        Told of events: ``hole``, ``client-silent``, ``conflict``.
    """

    def __init__(
        self,
        source: FrameSource,
        design: Design,
        journal: Journal,
        held_out: Journal,
        *,
        limits: IntakeLimits | None = None,
        keep_partial: bool = True,
        report: Report | None = None,
    ) -> None:
        self._source = source
        self._design = design
        self._journal = journal
        self._held_out = held_out
        self._limits = limits or IntakeLimits()
        self._keep_partial = keep_partial
        self._report: Report = report or (lambda _event, **_values: None)
        self._ledger = Ledger(design)
        self._attempts = Attempts(design, self._ledger, journal, keep_partial=keep_partial)
        self._closing = Closing(source.expects, self._limits.silence)
        self._inbox = Inbox(self._limits.memory)
        self._most = self._limits.memory // arrival_bytes(design.n_values)
        self._validation: list[int] = []
        self._mus: dict[int, NDArray[np.float64]] = {}
        # Held while something is judged and written to disk; `take` never waits for that.
        self._judging = threading.RLock()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._recovered = False
        self._greeted = False

    @property
    def design(self) -> Design:
        """Which frames may come."""
        return self._design

    @property
    def ledger(self) -> Ledger:
        """The ledger; to be read only, and exact only while nothing is received."""
        return self._ledger

    @property
    def journal(self) -> Journal:
        """The journal of the samples that are trained on."""
        return self._journal

    @property
    def source(self) -> FrameSource:
        """Where the frames come from."""
        return self._source

    @property
    def keeps_partial(self) -> bool:
        """Whether the frames of samples that never get complete are trained on."""
        return self._keep_partial

    @property
    def waiting(self) -> int:
        """Frames that can be taken."""
        with self._changed:
            return len(self._inbox)

    @property
    def inbox_bytes(self) -> int:
        """Bytes of the frames in the inbox that are in memory."""
        with self._changed:
            return self._inbox.nbytes

    @property
    def over(self) -> bool:
        """Whether reception is over and everything was taken."""
        with self._changed:
            return self._ledger.over and not self._inbox

    @property
    def holes(self) -> dict[int, str]:
        """Samples that are given up, with the reason."""
        with self._changed:
            return dict(self._ledger.holes)

    def samples_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sample of each arrival, by its number."""
        with self._changed:
            samples = self._ledger.lines["sample"][numbers]
        return np.asarray(samples, dtype=np.int64)

    def recover(self, state: State, admitted: NDArray[np.int64]) -> None:
        """Go on from a checkpoint and from the journals; before `start`, which does it else.

        Parameters
        ----------
        state
            The ledger at the checkpoint; empty: there is none.
        admitted
            Numbers of the arrivals that were taken before the checkpoint. All others are queued
            again.

        Raises
        ------
        UserError
            If the checkpoint or a journal is of another study, or frames are missing.
        """
        recovery = Recovery(self._design, self._ledger, self._journal, self._held_out)
        recovery.run(state)
        self._inbox.put_numbers(recovery.untaken(admitted, keep_partial=self._keep_partial))
        self._validation = recovery.held_out()
        self._recovered = True

    def start(self) -> None:
        """Begin to receive."""
        if not self._recovered:
            self.recover({}, np.empty(0, np.int64))
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End reception and wait for its thread; frames that were not answered are not lost."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def take(self, limit: int) -> list[Arrival]:
        """Take out up to `limit` frames of the samples that are trained on.

        Raises
        ------
        UserError
            If no client came in time.
        RomflowError
            What ended reception, for example a full disk or another trainer.
        """
        with self._changed:
            self._raise_error()
            entries = self._inbox.take(limit)
            self._changed.notify_all()
        return [entry if isinstance(entry, Arrival) else self.read(entry) for entry in entries]

    def read(self, number: int) -> Arrival:
        """Read an arrival from the journal; raises as `Journal.read`."""
        record, mu, values = self._journal.read(number)
        return Arrival(number, record.key, values, mu, self._design.times[record.key.step])

    def take_validation(self) -> list[HeldOut]:
        """Return the validation samples that became complete since the last call."""
        with self._changed:
            samples, self._validation = self._validation, []
            numbers = [self._ledger.numbers(sample).tolist() for sample in samples]
        return [self._trajectory(sample, of) for sample, of in zip(samples, numbers, strict=True)]

    def wait(self, timeout: float) -> None:
        """Return when something can be taken, reception is over or failed, or after `timeout`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._inbox or self._ledger.over or self._error is not None, timeout
            )

    def close_sample(self, sample: int, reason: str) -> bool:
        """Give a sample up that has a failure record; a new attempt at it is heard until the end.

        Where partial samples are trained on, that is put off while frames of it are on their way,
        in the memory of a client or in the spool, though not for ever: ask again.

        Parameters
        ----------
        sample
            Its number.
        reason
            Why.

        Returns
        -------
        bool
            False if it is complete, was given up before, is not of this study, or is put off.
        """
        with self._judging:
            wanted = self._keep_partial and sample in self._design.training
            if wanted and not self._ledger.settled(sample) and not self._closing.due(sample):
                return False
            return self._close(sample, Hole(reason, recorded=True))

    def reopen(self, failed: Collection[int]) -> None:
        """Want the holes again that had a failure record and are not among the failed any more.

        After `recover`, before `start`. A hole that a client has left without one stays, until a
        newer attempt comes.
        """
        with self._judging, self._changed:
            self._attempts.reopen(failed)

    def ingest(self, delivery: Delivery) -> tuple[Verdict, frozenset[int]]:
        """Judge a delivery, and make safe what is accepted.

        Returns
        -------
        verdict, held
            What to answer.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be made safe; then there is no answer.
        """
        if isinstance(delivery, Frame):
            return self.ingest_frames([delivery])[0], frozenset()
        with self._judging:
            self._greeted = True
            if isinstance(delivery, Hello):
                return self._greet(delivery)
            if (reason := self._attempts.reason(delivery)) is not None:
                self._close(delivery.sample, Hole(reason, delivery.attempt))
            return Verdict.ACCEPTED, frozenset()

    def ingest_frames(self, frames: Sequence[Frame]) -> list[Verdict]:
        """Judge frames in their order: one write to the journal, and one word to the trainer.

        Returns
        -------
        list of Verdict
            Of each frame, the same as one after the other.

        Raises
        ------
        StorageFullError, StorageAccessError
            As `ingest`; all frames are then without an answer.
        """
        with self._judging:
            self._greeted = True
            batch = Batch()
            verdicts = [self._judge(frame, batch) for frame in frames]
            self._accept(batch)
        return verdicts

    def state(self) -> State:
        """Return the ledger, for `recover`, after flushing what it speaks of to the device."""
        with self._judging:
            state = self._ledger.state()
        # Without the lock: reception goes on while the device writes.
        self._journal.flush()
        self._held_out.flush()
        return state

    def _greet(self, hello: Hello) -> tuple[Verdict, frozenset[int]]:
        if not self._ledger.knows(hello.sample):
            return Verdict.REFUSED, frozenset()
        if not self._attempts.heard(hello):
            return Verdict.DUPLICATE, self._ledger.held(hello.sample)
        mu = self._design.mu(hello.sample, hello.mu)
        if mu is None:
            return Verdict.REFUSED, frozenset()
        self._mus[hello.sample] = mu
        with self._changed:
            self._ledger.reopen(hello.sample)
        return Verdict.ACCEPTED, self._ledger.held(hello.sample)

    def _judge(self, frame: Frame, batch: Batch) -> Verdict:
        if frame.values.size != self._design.n_values:
            return Verdict.REFUSED
        if batch.full or frame.key in batch:
            self._accept(batch)  # the ledger must know of it
        verdict, sample = self._ledger.judge(frame.key, frame.digest), frame.key.sample
        if verdict is Verdict.DIFFERENT:
            self._report("conflict", sample=sample, attempt=frame.key.attempt, step=frame.key.step)
        if verdict is not Verdict.ACCEPTED:
            return verdict
        mu = self._mus.get(sample, self._design.mus.get(sample))
        if mu is None:
            return Verdict.REFUSED
        if not all_finite(frame.values):
            self._accept(batch)  # came before the hole
            self._close(sample, Hole(NOT_FINITE, frame.key.attempt))
            return Verdict.REFUSED
        journal = self._journal_of(sample)
        if batch.sample is not None and self._journal_of(batch.sample) is not journal:
            self._accept(batch)  # a batch is in one journal, wholly or not at all
        batch.add(frame, mu)
        return verdict

    def _accept(self, batch: Batch) -> None:
        """Make frames safe, and queue those that are trained on."""
        if not batch:
            return
        training = self._design.training
        entries = batch.take(len(self._ledger), time.time())
        self._journal_of(entries[0].key.sample).append(entries)
        with self._changed:
            for entry in entries:
                key = entry.key
                self._ledger.accept(key, entry.digest, entry.seconds)
                if self._keep_partial and key.sample in training:
                    time_ = self._design.times[key.step]
                    self._inbox.put(Arrival(entry.number, key, entry.values, entry.mu, time_))
                if self._ledger.complete(key.sample):
                    self._complete(key.sample)
            self._changed.notify_all()

    def _close(self, sample: int, hole: Hole) -> bool:
        """Note a hole, or that one has a failure record by now; return whether it is new."""
        if not self._ledger.knows(sample) or self._ledger.complete(sample):
            return False
        former = self._ledger.hole(sample)
        if former is not None:
            if former.recorded or not hole.recorded:
                return False
            hole = replace(former, recorded=True)
        journal = self._journal_of(sample)
        journal.append_hole(len(self._ledger), sample, hole, seconds=time.time())
        with self._changed:
            self._ledger.close(sample, hole)
            self._changed.notify_all()
        if former is None:
            self._report("hole", sample=sample, reason=hole.reason)
        return former is None

    def _complete(self, sample: int) -> None:
        self._mus.pop(sample, None)
        if sample in self._design.validation:
            self._validation.append(sample)
        elif not self._keep_partial:
            self._inbox.put_numbers(self._ledger.numbers(sample).tolist())

    def _journal_of(self, sample: int) -> Journal:
        return self._held_out if sample in self._design.validation else self._journal

    def _trajectory(self, sample: int, numbers: list[int]) -> HeldOut:
        times = np.array(self._design.times)
        values = np.empty((len(times), self._design.n_values), dtype=np.float32)
        mu = np.empty(0)
        for row, number in zip(values, numbers, strict=True):
            _, mu, row[:] = self._held_out.read(number)
        return HeldOut(sample, mu, times, values)

    def _run(self) -> None:
        try:
            self._receive_until_stopped()
        except Exception as error:  # noqa: BLE001 - the trainer's thread raises it, see `take`
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _receive_until_stopped(self) -> None:
        watch = ClientWatch(self._limits, self._source.clients, self._report)
        granted = -1
        while not self._stopping.is_set():
            room = self._room()
            if room != granted:
                self._source.grant(room)
                granted = room
            self._answer(self._source.receive(_POLL if room > 1 else _POLL_FULL))
            watch.look(anyone=self._greeted or self._ledger.over)

    def _answer(self, ready: Sequence[tuple[Ticket, Delivery]]) -> None:
        """Judge what has come, frames that follow each other together."""
        for together, group in groupby(ready, lambda entry: isinstance(entry[1], Frame)):
            entries = list(group)
            if together:
                verdicts = self.ingest_frames([d for _, d in entries if isinstance(d, Frame)])
                for (ticket, _), verdict in zip(entries, verdicts, strict=True):
                    self._source.answer(ticket, verdict)
                continue
            for ticket, delivery in entries:
                verdict, held = self.ingest(delivery)
                self._source.answer(ticket, verdict, held)

    def _room(self) -> int:
        """Return how many frames may be under way; at least one if the inbox is empty."""
        with self._changed:
            return max(self._most - len(self._inbox), 0 if self._inbox else 1)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
