"""Conformance of every stream: the same laws for all; a new one adds a class at the end."""

import threading
from typing import Any, Protocol

import numpy as np
import pytest

from infra.errors import FencedError, StreamError
from infra.streaming.client import FrameStream
from infra.streaming.frames import Ending, Frame, Hello, StreamSpec, Verdict, frame_digest
from infra.streaming.source import FrameSource, Ticket
from infra.streaming.testing import Application, SmallLedger, until, values_of, wait_for


class Link(Protocol):
    """What the conformance tests need: both ends of one study."""

    def source(self) -> FrameSource: ...

    def connect(self, sample: int, **options: Any) -> FrameStream: ...


class TestEveryStream:
    """Laws of delivery; the fixture `link` gives one way of streaming after the other."""

    def test_every_frame_is_delivered_once_and_as_it_was_sent(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        with Application(link.source(), ledger), link.connect(2, mu={"a": 0.5}, seed=7) as stream:
            assert not stream.complete
            assert stream.held == frozenset()
            for step in range(spec.n_frames):
                stream.send(step, values_of(spec, 2, step))
        ledger.assert_holds(2, set(range(spec.n_frames)))
        assert [key.step for key in ledger.delivered] == list(range(spec.n_frames))
        assert ledger.hellos[0] == Hello(2, stream.attempt, {"a": 0.5}, 7)
        assert ledger.endings == [Ending(2, stream.attempt, complete=True)]

    def test_fields_by_name_are_the_vector_in_the_order_of_the_stream(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        vector = values_of(spec, 0, 3)
        with Application(link.source(), ledger), link.connect(0) as stream:
            stream.send(3, {"p": vector[4:], "u": vector[:4].reshape(2, 2)})
            stream.abandon("seen")
        ledger.assert_holds(0, {3})

    def test_arrays_may_be_overwritten_after_they_were_sent(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        source, stream = link.source(), link.connect(1)
        vector = np.empty(spec.n_values)
        for step in range(spec.n_frames):
            vector[:] = values_of(spec, 1, step)
            stream.send(step, vector)
        vector[:] = -1.0
        with Application(source, ledger):
            stream.finish()
        ledger.assert_holds(1, set(range(spec.n_frames)))

    def test_the_values_of_a_frame_cannot_be_changed_and_match_their_digest(
        self, link: Link, spec: StreamSpec
    ) -> None:
        source, stream = link.source(), link.connect(1)
        source.grant(1)
        stream.send(0, values_of(spec, 1, 0))
        frames: list[Frame] = []

        def handle(ticket: Ticket, delivery: Hello | Frame | Ending) -> None:
            if isinstance(delivery, Frame):
                frames.append(delivery)
            source.answer(ticket, Verdict.ACCEPTED)

        until(source, lambda: bool(frames), handle)
        for step in range(1, spec.n_frames):
            stream.send(step, values_of(spec, 1, step))
        assert frames[0].values.dtype == np.dtype("<f4")
        assert frames[0].digest == frame_digest(frames[0].values)
        with pytest.raises(ValueError, match="read-only"):
            frames[0].values[0] = 1.0
        stream.finish(linger=0.0)

    def test_credits_bound_what_is_in_flight(self, link: Link, spec: StreamSpec) -> None:
        source = link.source()
        streams = [link.connect(sample) for sample in range(3)]
        for stream in streams:
            for step in range(spec.n_frames):
                stream.send(step, values_of(spec, stream.sample, step))
        waiting: list[Ticket] = []
        seen = 0

        def keep(ticket: Ticket, delivery: Hello | Frame | Ending) -> None:
            nonlocal seen
            if isinstance(delivery, Frame):
                seen += 1
                waiting.append(ticket)
                assert len(waiting) <= 2
            else:
                source.answer(ticket, Verdict.ACCEPTED)

        until(source, lambda: len(source.clients()) == 3, keep)
        for _ in range(5):
            until_quiet(source, keep)
        assert seen == 0, "nothing was granted"
        source.grant(2)
        while seen < 3 * spec.n_frames:
            before = seen
            until(source, lambda: len(waiting) == 2, keep)
            until_quiet(source, keep)
            assert seen == before + 2
            while waiting:
                source.answer(waiting.pop(), Verdict.ACCEPTED)
        for stream in streams:
            stream.finish(linger=0.0)

    def test_idle_clients_hold_no_credit_back(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        with Application(link.source(), ledger, frames=1):
            idle = [link.connect(sample) for sample in (0, 1, 2)]
            assert all(not stream.complete for stream in idle)
            with link.connect(3) as busy:
                for step in range(spec.n_frames):
                    busy.send(step, values_of(spec, 3, step))
            for stream in idle:
                stream.abandon("idle")
        ledger.assert_holds(3, set(range(spec.n_frames)))

    def test_the_ending_comes_after_the_answers_to_all_frames(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        source, stream = link.source(), link.connect(2)
        source.grant(spec.n_frames)
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 2, step))
        leaving = threading.Thread(target=stream.finish, kwargs={"linger": 20.0})
        leaving.start()
        waiting: list[tuple[Ticket, Frame]] = []
        again = 0

        def keep(ticket: Ticket, delivery: Hello | Frame | Ending) -> None:
            if isinstance(delivery, Frame):
                waiting.append((ticket, delivery))
            else:
                source.answer(ticket, *ledger.judge(delivery))

        until(source, lambda: len(waiting) == spec.n_frames, keep)
        until_quiet(source, keep)
        assert not ledger.endings
        while waiting:
            ticket, frame = waiting.pop(0)
            if frame.key.step == 3 and not again:
                again += 1
                source.answer(ticket, Verdict.STALE)
            else:
                source.answer(ticket, *ledger.judge(frame))
        until(source, lambda: len(waiting) == 1, keep)
        until_quiet(source, keep)
        assert not ledger.endings, "one frame had to come again"
        ticket, frame = waiting.pop()
        source.answer(ticket, *ledger.judge(frame))
        until(source, lambda: len(ledger.endings) == 1, keep)
        until(source, lambda: not leaving.is_alive(), keep)
        ledger.assert_holds(2, set(range(spec.n_frames)))

    def test_a_frame_without_an_answer_goes_to_the_next_source(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        first, stream = link.source(), link.connect(0)
        first.grant(3)
        lost: list[Ticket] = []
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))

        def accept_one(ticket: Ticket, delivery: Hello | Frame | Ending) -> None:
            if isinstance(delivery, Frame) and delivery.key.step > 0:
                lost.append(ticket)
            else:
                first.answer(ticket, *ledger.judge(delivery))

        until(first, lambda: len(lost) == 3, accept_one)
        with Application(link.source(), ledger):
            stream.finish()
        ledger.assert_holds(0, set(range(spec.n_frames)))
        assert len(ledger.delivered) == spec.n_frames, "the answered one was not sent again"

    def test_an_old_source_learns_that_it_must_stop(self, link: Link) -> None:
        first = link.source()
        link.source()
        with pytest.raises(FencedError, match=r"taken\s+over"):
            until(first, lambda: False, lambda *_: None)

    def test_held_steps_are_not_sent_again(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        with Application(link.source(), ledger):
            first = link.connect(4)
            for step in range(5):
                first.send(step, values_of(spec, 4, step))
            first.abandon("killed")
            with link.connect(4) as second:
                assert second.held == set(range(5))
                for step in range(spec.n_frames):
                    second.send(step, values_of(spec, 4, step))
        ledger.assert_holds(4, set(range(spec.n_frames)))
        assert len(ledger.delivered) == spec.n_frames
        assert ledger.endings[0] == Ending(4, first.attempt, complete=False, reason="killed")
        assert second.attempt > first.attempt

    def test_a_complete_sample_says_so_and_takes_nothing(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        with Application(link.source(), ledger):
            with link.connect(1) as stream:
                for step in range(spec.n_frames):
                    stream.send(step, values_of(spec, 1, step))
            with link.connect(1) as again:
                assert again.complete
                again.send(1, values_of(spec, 1, 1))
        assert len(ledger.delivered) == spec.n_frames

    def test_an_exception_reaches_the_source_and_passes(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        def diverge() -> None:
            with link.connect(0) as stream:
                stream.send(0, values_of(spec, 0, 0))
                raise ZeroDivisionError

        with Application(link.source(), ledger), pytest.raises(ZeroDivisionError):
            diverge()
        ledger.assert_holds(0, {0})
        assert [(end.complete, end.reason) for end in ledger.endings] == [
            (False, "ZeroDivisionError")
        ]

    def test_a_stream_is_used_until_its_end_only(self, link: Link, spec: StreamSpec) -> None:
        with Application(link.source(), SmallLedger(spec)):
            stream = link.connect(0)
            for step in range(spec.n_frames):
                stream.send(step, values_of(spec, 0, step))
            stream.finish()
            stream.abandon("after the end")
            with pytest.raises(StreamError, match="open stream"):
                stream.send(0, values_of(spec, 0, 0))
            with pytest.raises(StreamError, match="open stream"):
                stream.finish()

    def test_what_has_no_answer_within_the_linger_is_safe(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        source = link.source()
        source.grant(0)
        stream = link.connect(2)
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 2, step))
        stream.finish(linger=0.0)
        with Application(source, ledger):
            wait_for(lambda: ledger.complete(2))
        ledger.assert_holds(2, set(range(spec.n_frames)))

    def test_parts_make_frames_whatever_their_order(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        parts = [(4, 6), (0, 1), (1, 4)]
        with Application(link.source(), ledger, frames=1):
            ranks = [link.connect(1, part=part, attempt=17) for part in parts]
            # One rank runs ahead of the others as far as it can.
            for rank, (start, stop) in zip(ranks, parts, strict=True):
                for step in range(spec.n_frames):
                    rank.send(step, values_of(spec, 1, step)[start:stop])
            enders = [threading.Thread(target=rank.finish) for rank in ranks]
            for ender in enders:
                ender.start()
            for ender in enders:
                ender.join(20.0)
        ledger.assert_holds(1, set(range(spec.n_frames)))
        assert len(ledger.delivered) == spec.n_frames
        assert ledger.endings == [Ending(1, 17, complete=True)]

    def test_several_clients_send_at_once(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        def solve(sample: int) -> None:
            with link.connect(sample) as stream:
                for step in range(spec.n_frames):
                    stream.send(step, values_of(spec, sample, step))

        with Application(link.source(), ledger, frames=3):
            solvers = [threading.Thread(target=solve, args=(k,)) for k in range(spec.n_samples)]
            for solver in solvers:
                solver.start()
            for solver in solvers:
                solver.join(20.0)
        for sample in range(spec.n_samples):
            ledger.assert_holds(sample, set(range(spec.n_frames)))
            assert ledger.complete(sample)
        assert len(ledger.delivered) == spec.n_samples * spec.n_frames

    def test_the_source_knows_its_clients(self, link: Link, spec: StreamSpec) -> None:
        ledger = SmallLedger(spec)
        with Application(source := link.source(), ledger):
            stream = link.connect(3)
            for step in (0, 4):
                stream.send(step, values_of(spec, 3, step))
            wait_for(lambda: ledger.held(3) == {0, 4})
            wait_for(lambda: [c.last_step for c in source.clients()] == [4])
            status = source.clients()[0]
            assert (status.sample, status.attempt) == (3, stream.attempt)
            stream.abandon("seen")
            wait_for(lambda: source.clients() == ())


def until_quiet(source: FrameSource, handle: Any) -> None:
    """Receive until nothing has come for a while."""
    while ready := source.receive(0.06):
        for ticket, delivery in ready:
            handle(ticket, delivery)
