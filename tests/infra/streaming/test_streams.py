"""Conformance of every stream: the same laws for all; a new one adds a class at the end."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from infra.errors import FencedError, NotFiniteError, StreamError, UserError
from infra.streaming.client import ClientLimits, FrameStream, connect
from infra.streaming.frames import Ending, Frame, Hello, StreamSpec, Verdict, frame_digest
from infra.streaming.memory import MemoryLink
from infra.streaming.source import FrameSource, Ticket
from infra.streaming.testing import Application, SmallLedger, until, values_of, wait_for
from infra.streaming.zmq_source import ZmqSource

LIMITS = ClientLimits(beat_seconds=0.05, idle_seconds=0.02, welcome_seconds=20.0)


class Link(Protocol):
    """What the conformance tests need: both ends of one study."""

    def source(self) -> FrameSource: ...

    def connect(self, sample: int, **options: Any) -> FrameStream: ...


class StreamConformance:
    """Laws of every stream; a subclass gives the fixture ``link``."""

    @pytest.fixture
    def link(self, spec: StreamSpec, tmp_path: Path) -> Iterator[Link]:
        raise NotImplementedError("A conformance test gives the fixture `link`.")

    @pytest.fixture
    def ledger(self, spec: StreamSpec) -> SmallLedger:
        return SmallLedger(spec)

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

    def test_a_finish_before_all_steps_is_an_error_that_names_them(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        with Application(link.source(), ledger):
            first = link.connect(2)
            for step in (0, 2):
                first.send(step, values_of(spec, 2, step))
            with pytest.raises(UserError, match=r"steps 1, 3, 4, 5, 6, 7\."):
                first.finish()
            second = link.connect(2)
            for step in range(3, spec.n_frames):
                second.send(step, values_of(spec, 2, step))
            with pytest.raises(UserError, match="none of steps 1"):
                second.finish()
            with link.connect(2) as third:
                third.send(1, values_of(spec, 2, 1))
        assert [(end.complete, end.reason) for end in ledger.endings] == [
            (False, "incomplete"),
            (False, "incomplete"),
            (True, ""),
        ]
        ledger.assert_holds(2, set(range(spec.n_frames)))

    def test_a_rank_that_lacks_steps_is_named_them_and_the_sample_is_not_complete(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger
    ) -> None:
        with Application(link.source(), ledger):
            rank = link.connect(1, part=(0, 4), attempt=17)
            other = link.connect(1, part=(4, 6), attempt=17)
            for step in range(spec.n_frames):
                rank.send(step, values_of(spec, 1, step)[:4])
            with pytest.raises(UserError, match="none of steps 0, 1"):
                other.finish()
            rank.abandon("another rank failed")
        assert ledger.endings == [Ending(1, 17, complete=False, reason="incomplete")]

    def test_another_study_is_refused(self, link: Link) -> None:
        link.source()
        with pytest.raises(UserError, match="Expected a client of the study"):
            link.connect(0, study="study-2")

    @pytest.mark.parametrize("sample", [-1, 5])
    def test_a_sample_outside_the_study_is_refused(self, link: Link, sample: int) -> None:
        link.source()
        with pytest.raises(UserError, match="sample from 0 to 4"):
            link.connect(sample)

    def test_a_sample_that_the_application_refuses_ends_with_an_error(self, link: Link) -> None:
        source, stream = link.source(), link.connect(0)

        def refuse(ticket: Ticket, _: Hello | Frame | Ending) -> None:
            refused.append(1)
            source.answer(ticket, Verdict.REFUSED)

        refused: list[int] = []
        until(source, lambda: bool(refused), refuse)
        with pytest.raises(StreamError, match="does not want sample 0"):
            _ = stream.held
        stream.abandon("refused")

    def test_a_frame_that_the_application_refuses_ends_with_an_error(
        self, link: Link, spec: StreamSpec
    ) -> None:
        source, stream = link.source(), link.connect(0)
        source.grant(1)
        for step in range(spec.n_frames):
            stream.send(step, values_of(spec, 0, step))
        refused: list[int] = []

        def refuse(ticket: Ticket, delivery: Hello | Frame | Ending) -> None:
            verdict = Verdict.REFUSED if isinstance(delivery, Frame) else Verdict.ACCEPTED
            refused.extend([1] if isinstance(delivery, Frame) else [])
            source.answer(ticket, verdict)

        until(source, lambda: bool(refused), refuse)
        with (
            Application(source, SmallLedger(spec)),
            pytest.raises(StreamError, match="refused step 0"),
        ):
            stream.finish()

    @pytest.mark.parametrize(
        "values",
        [
            np.zeros(5),
            np.zeros(6, int),
            np.zeros(6, complex),
            {"u": np.zeros(4)},
            {"u": np.zeros(4), "p": np.zeros(3)},
            {"u": np.zeros(4), "p": np.zeros(2), "q": np.zeros(2)},
        ],
        ids=["size", "integers", "complex", "missing", "field size", "unknown"],
    )
    def test_a_frame_unlike_the_study_is_an_error_and_is_not_sent(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger, values: Any
    ) -> None:
        with Application(link.source(), ledger), link.connect(0) as stream:
            with pytest.raises(UserError, match="Expected"):
                stream.send(0, values)
            stream.send(0, values_of(spec, 0, 0))
            stream.abandon("seen")
        ledger.assert_holds(0, {0})

    @pytest.mark.parametrize("step", [-1, 8, 2])
    def test_a_step_outside_the_study_or_sent_before_is_an_error(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger, step: int
    ) -> None:
        with Application(link.source(), ledger), link.connect(0) as stream:
            stream.send(2, values_of(spec, 0, 2))
            with pytest.raises(UserError, match="not sent yet"):
                stream.send(step, values_of(spec, 0, 2))
            stream.abandon("seen")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
    def test_a_frame_that_is_not_finite_ends_its_sample(
        self, link: Link, spec: StreamSpec, ledger: SmallLedger, bad: float
    ) -> None:
        vector = values_of(spec, 3, 1)
        vector[5] = bad
        with Application(link.source(), ledger):
            stream = link.connect(3)
            stream.send(0, values_of(spec, 3, 0))
            with pytest.raises(NotFiniteError, match="1 values of `p`"):
                stream.send(1, vector)
        ledger.assert_holds(3, {0})
        assert ledger.endings == [Ending(3, stream.attempt, complete=False, reason="not-finite")]

    def test_large_finite_values_are_no_error(self, link: Link, spec: StreamSpec) -> None:
        ledger = SmallLedger(spec)
        with Application(link.source(), ledger), link.connect(0) as stream:
            stream.send(0, np.full(6, 3e38))
            stream.abandon("seen")
        assert ledger.held(0) == {0}

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

    def test_one_rank_that_fails_fails_the_sample_once(
        self, link: Link, ledger: SmallLedger
    ) -> None:
        with Application(link.source(), ledger):
            ranks = [link.connect(1, part=part, attempt=17) for part in ((0, 4), (4, 6))]
            assert all(not rank.complete for rank in ranks)
            ranks[0].abandon("diverged")
            ranks[1].abandon("another rank failed")
        assert ledger.endings == [Ending(1, 17, complete=False, reason="diverged")]

    def test_ranks_must_agree_on_the_attempt(self, link: Link) -> None:
        link.source()
        with pytest.raises(UserError, match="Broadcast one"):
            link.connect(0, part=(0, 3))

    @pytest.mark.parametrize("part", [(0, 7), (3, 3), (-1, 2)])
    def test_a_part_outside_the_frame_is_an_error(self, link: Link, part: tuple[int, int]) -> None:
        link.source()
        with pytest.raises(UserError, match="start < stop <= 6"):
            link.connect(0, part=part, attempt=1)

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


class TestMemoryStream(StreamConformance):
    @pytest.fixture
    def link(self, spec: StreamSpec) -> MemoryLink:
        return MemoryLink(spec)


class ZmqLink:
    def __init__(self, spec: StreamSpec, folder: Path, limits: ClientLimits = LIMITS) -> None:
        self.spec = spec
        self.folder = folder
        self.limits = limits
        self.sources: list[ZmqSource] = []

    def source(self) -> ZmqSource:
        path, spool = self.folder / "rendezvous.json", self.folder / "spool"
        self.sources.append(ZmqSource(path, self.spec, spool=spool))
        return self.sources[-1]

    def connect(self, sample: int, **options: Any) -> FrameStream:
        path = self.folder / "rendezvous.json"
        return connect(path, sample, **({"limits": self.limits} | options))


class TestZmqStream(StreamConformance):
    @pytest.fixture
    def link(self, spec: StreamSpec, tmp_path: Path) -> Iterator[ZmqLink]:
        link = ZmqLink(spec, tmp_path)
        yield link
        for source in link.sources:
            source.close()


class TestSharedMemoryStream(StreamConformance):
    @pytest.fixture
    def link(self, spec: StreamSpec, tmp_path: Path) -> Iterator[ZmqLink]:
        link = ZmqLink(spec, tmp_path, replace(LIMITS, shared_bytes=1))
        yield link
        for source in link.sources:
            source.close()
