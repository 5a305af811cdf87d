"""Laws of what a solver does not pay for: wake-ups, connections, and trainers that say nothing."""

from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infra.streaming.client import ClientLimits, connect
from infra.streaming.frames import Ending, Hello, StreamSpec, Verdict
from infra.streaming.freed import FreedMemory
from infra.streaming.outbox import Outbox
from infra.streaming.reception import Reception
from infra.streaming.reuse import process_reuse
from infra.streaming.sessions import Peer
from infra.streaming.testing import Application, SmallLedger, values_of, wait_for
from infra.streaming.zmq_source import ZmqSource

# Whoever waits for an answer that never comes, waits for ever.
LONG = 3600.0
LIMITS = ClientLimits(beat_seconds=0.05, welcome_seconds=LONG, answer_seconds=0.05)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rendezvous.json"


@pytest.fixture
def ledger(spec: StreamSpec) -> SmallLedger:
    return SmallLedger(spec)


def source_at(path: Path, spec: StreamSpec) -> ZmqSource:
    return ZmqSource(path, spec, spool=path.parent / "spool")


def compute(path: Path, spec: StreamSpec, sample: int, limits: ClientLimits = LIMITS) -> None:
    """Compute a sample as a sink does: ask first, then send all, then finish."""
    stream = connect(path, sample, limits=limits)
    assert not stream.complete
    for step in sorted(set(range(spec.n_frames)) - stream.held):
        stream.send(step, values_of(spec, sample, step))
    stream.finish(linger=LONG)


def test_a_trainer_that_says_nothing_is_waited_for_once(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    with source_at(path, spec) as source:
        known = source.rendezvous.epoch
        compute(path, spec, 0, replace(LIMITS, welcome_seconds=0.05))  # it is not listening
        assert process_reuse().is_silent(path, known)
        for sample in (1, 2):
            compute(path, spec, sample)  # comes to an end: nobody waits for it
        with Application(source, ledger, frames=100):
            wait_for(lambda: len(ledger.endings) == 3)
    for sample in range(3):
        ledger.assert_holds(sample, set(range(spec.n_frames)))


def test_a_trainer_that_falls_silent_in_the_middle_costs_the_next_samples_nothing(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    with source_at(path, spec) as source:
        stream = connect(path, 0, limits=LIMITS)
        with Application(source, ledger, frames=100):
            assert not stream.complete
            stream.send(0, values_of(spec, 0, 0))
            wait_for(lambda: 0 in ledger.held(0))
        for step in range(1, spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
        stream.finish(linger=LONG)
        compute(path, spec, 1)
        with Application(source, ledger, frames=100):
            wait_for(lambda: len(ledger.endings) == 2)
    for sample in range(2):
        ledger.assert_holds(sample, set(range(spec.n_frames)))


def test_a_trainer_that_has_spoken_again_is_asked_again(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    with source_at(path, spec) as source:
        process_reuse().fell_silent(path, source.rendezvous.epoch)
        with Application(source, ledger, frames=100):
            stream = connect(path, 0, limits=LIMITS)
            wait_for(lambda: not process_reuse().is_silent(path, source.rendezvous.epoch))
            stream.send(2, values_of(spec, 0, 2))
            wait_for(lambda: 2 in ledger.held(0))
            stream.abandon("stopped")
            with connect(path, 0, limits=LIMITS) as second:
                assert second.held == {2}
                for step in sorted(set(range(spec.n_frames)) - {2}):
                    second.send(step, values_of(spec, 0, step))
    ledger.assert_holds(0, set(range(spec.n_frames)))


def test_another_trainer_is_not_taken_for_the_silent_one(path: Path) -> None:
    process_reuse().fell_silent(path, 3)
    assert not process_reuse().is_silent(path, 4)


def test_samples_one_after_the_other_use_one_connection(
    path: Path, spec: StreamSpec, ledger: SmallLedger
) -> None:
    seen: set[bytes] = set()
    limits = replace(LIMITS, answer_seconds=LONG)
    with source_at(path, spec) as source, Application(source, ledger, frames=100):
        for sample in range(spec.n_samples):
            stream = connect(path, sample, limits=limits)
            assert not stream.complete
            seen |= set(source._peers)
            for step in range(spec.n_frames):
                stream.send(step, values_of(spec, sample, step))
            stream.finish(linger=LONG)
    assert len(seen) == 1
    for sample in range(spec.n_samples):
        ledger.assert_holds(sample, set(range(spec.n_frames)))
    assert len(ledger.delivered) == spec.n_samples * spec.n_frames
    assert len(ledger.endings) == spec.n_samples


def test_only_a_full_batch_wakes_the_carrying_thread() -> None:
    woken: list[bool] = []
    vector = np.zeros(25_000, np.float32)
    outbox = Outbox(Ending(0, 1, complete=False), vector.nbytes, ClientLimits(), None, woken.append)
    outbox.welcome(Verdict.ACCEPTED, frozenset(), 0, 1000)
    for step in range(20):
        outbox.put(step, vector, 0)
    assert [number for number, urgent in enumerate(woken) if urgent] == [10], "a megabyte, once"
    assert len(outbox.take(20)) == 20
    for step in range(20, 40):
        outbox.put(step, vector, 0)
    assert sum(woken) == 2


class _Quiet(Peer):
    """A client that only counts what it may send."""

    allowed = 0

    def welcome(self, verdict: Verdict, held: Set[int], answered: int, allowed: int) -> None:
        del verdict, held, answered
        self.allowed = allowed

    def answer(self, step: int, verdict: Verdict) -> None:
        """Ignore it."""

    def allow(self, frames: int) -> None:
        self.allowed = frames

    def ended(self, verdict: Verdict) -> None:
        """Ignore it."""


@pytest.mark.parametrize("granted", [0, 1, 7, 40, 4000])
def test_clients_that_ask_for_nothing_are_lent_a_quarter_of_the_credits_at_most(
    spec: StreamSpec, granted: int
) -> None:
    reception = Reception(spec, silence=LONG)
    peers = [_Quiet((0, spec.n_values)) for _ in range(spec.n_samples)]
    for sample, peer in enumerate(peers):
        reception.hello(peer, Hello(sample, 1, {}, 0))
    for ticket, _ in reception.take():
        reception.answer(ticket, Verdict.ACCEPTED, frozenset())
    reception.grant(granted)
    for _ in range(3):
        reception.allot()
        assert sum(peer.allowed for peer in peers) <= granted // 4
    busy = peers[0]
    busy.goal = 10 * granted
    reception.allot()
    assert sum(peer.allowed for peer in peers) == granted, "who asks gets the rest"


def test_freed_memory_is_given_back_only_after_much_has_passed() -> None:
    freed = FreedMemory(100)
    assert not freed.give_back()
    freed.passed(99)
    assert not freed.give_back()
    freed.passed(1)
    freed.give_back()
    assert not freed.give_back()
