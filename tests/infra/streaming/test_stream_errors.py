"""Conformance of every stream: what is refused, and what an error leaves behind."""

from typing import Any, Protocol

import numpy as np
import pytest

from infra.errors import NotFiniteError, StreamError, UserError
from infra.streaming.client import FrameStream
from infra.streaming.frames import Ending, Frame, Hello, StreamSpec, Verdict
from infra.streaming.source import FrameSource, Ticket
from infra.streaming.testing import Application, SmallLedger, until, values_of


class Link(Protocol):
    """What the conformance tests need: both ends of one study."""

    def source(self) -> FrameSource: ...

    def connect(self, sample: int, **options: Any) -> FrameStream: ...


class TestEveryStream:
    """Laws of refusal; the fixture `link` gives one way of streaming after the other."""

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
