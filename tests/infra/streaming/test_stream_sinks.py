"""Sinks that stream: what is streamed is what is stored, and nothing is computed twice."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infra.description import DatasetDescription
from infra.errors import StoreError, UserError
from infra.layout import ArraySpec
from infra.stream import TrajectorySink
from infra.streaming.frames import Ending, stream_spec
from infra.streaming.memory import MemoryLink
from infra.streaming.sinks import StreamSink, TeeSink
from infra.streaming.testing import Application, SmallLedger
from infra.streaming.zmq_source import ZmqSource
from infra.testing import (
    example_provenance,
    example_report,
    frame_of,
    put_all,
    small_layout,
    timeless_layout,
    write_all,
    write_frames,
)
from infra.zarr_store import ZarrStore

SAMPLE = 1


@pytest.fixture
def description() -> DatasetDescription:
    return small_layout().description


@pytest.fixture
def link(description: DatasetDescription) -> MemoryLink:
    return MemoryLink(stream_spec(description))


@pytest.fixture
def ledger(link: MemoryLink) -> Iterator[SmallLedger]:
    """Give a ledger that a source fills during the test."""
    ledger = SmallLedger(link.spec)
    with Application(link.source(), ledger):
        yield ledger


@pytest.fixture
def store(tmp_path: Path) -> ZarrStore:
    store = ZarrStore(tmp_path / "dataset")
    store.create(small_layout())
    return store


@pytest.fixture
def sink(description: DatasetDescription, link: MemoryLink) -> Callable[[], StreamSink]:
    """Give a function that returns a new streaming sink of one sample."""
    sample = description.samples[SAMPLE]
    return lambda: StreamSink(
        description, sample, lambda: link.connect(SAMPLE, mu=sample.mu, seed=sample.seed)
    )


def assert_streamed(ledger: SmallLedger, description: DatasetDescription) -> None:
    sample = description.samples[SAMPLE]
    assert ledger.held(SAMPLE) == set(range(len(description.times)))
    for step in ledger.held(SAMPLE):
        frame = frame_of(description, sample, step)
        expected = np.concatenate([frame["velocity"], frame["pressure"]]).astype("f4")
        np.testing.assert_array_equal(ledger.accepted[SAMPLE, step][1], expected)
    assert ledger.complete(SAMPLE)


def run(sink: TrajectorySink, description: DatasetDescription) -> bool:
    """Compute the sample if the sink asks for it; return whether it did."""
    with sink:
        if sink.already_committed:
            return False
        assert write_all(sink, description)
        return True


def test_what_is_streamed_is_what_is_stored(
    description: DatasetDescription, ledger: SmallLedger, sink: Callable[[], StreamSink]
) -> None:
    assert run(sink(), description)
    assert_streamed(ledger, description)
    sample = description.samples[SAMPLE]
    assert (ledger.hellos[0].mu, ledger.hellos[0].seed) == (sample.mu, sample.seed)


def test_the_second_attempt_sees_that_the_trainer_has_the_sample(
    description: DatasetDescription, ledger: SmallLedger, sink: Callable[[], StreamSink]
) -> None:
    assert run(sink(), description)
    assert not run(sink(), description)
    with sink() as again:
        assert not again.commit(example_report(), example_provenance())
    assert len(ledger.delivered) == len(description.times)


def test_a_resumed_attempt_sends_only_what_is_missing(
    description: DatasetDescription, ledger: SmallLedger, sink: Callable[[], StreamSink]
) -> None:
    with sink() as first:
        for frame in range(2):
            first.write(frame, frame_of(description, first.sample, frame))
    assert [(end.complete, end.reason) for end in ledger.endings] == [(False, "discarded")]
    second = sink()
    with second:
        assert second.held == {0, 1}
        assert write_all(second, description)
    assert_streamed(ledger, description)
    assert [key.step for key in ledger.delivered] == [0, 1, 2, 3]


def test_a_sample_that_lacks_only_its_ending_is_not_computed_again(
    description: DatasetDescription, ledger: SmallLedger, sink: Callable[[], StreamSink]
) -> None:
    with sink() as first:
        write_frames(first, description)
    assert not ledger.complete(SAMPLE)
    assert not run(sink(), description)
    assert_streamed(ledger, description)


def test_values_may_be_reused_after_a_write(
    description: DatasetDescription, ledger: SmallLedger, sink: Callable[[], StreamSink]
) -> None:
    sample = description.samples[SAMPLE]
    buffers = {name: value.copy() for name, value in frame_of(description, sample, 0).items()}
    with sink() as opened:
        for frame in range(len(description.times)):
            for name, value in frame_of(description, sample, frame).items():
                buffers[name][...] = value
            opened.write(frame, buffers)
        put_all(opened, description)
        assert opened.commit(example_report(), example_provenance())
    assert_streamed(ledger, description)


def test_an_incomplete_trajectory_is_not_committed(
    description: DatasetDescription, ledger: SmallLedger, sink: Callable[[], StreamSink]
) -> None:
    with sink() as opened:
        opened.write(0, frame_of(description, opened.sample, 0))
        with pytest.raises(StoreError, match="before the commit"):
            opened.commit(example_report(), example_provenance())
    assert not ledger.complete(SAMPLE)


def test_a_failure_reaches_the_trainer_with_its_reason(
    description: DatasetDescription,
    ledger: SmallLedger,
    sink: Callable[[], StreamSink],
    store: ZarrStore,
) -> None:
    with sink() as opened:
        opened.write(0, frame_of(description, opened.sample, 0))
        opened.fail("diverged")
    with TeeSink(store, sink()) as tee:
        tee.fail("diverged again")
    assert [end.reason for end in ledger.endings] == ["diverged", "diverged again"]
    assert store.committed() == frozenset()


def test_a_sink_is_entered_before_it_is_asked(sink: Callable[[], StreamSink]) -> None:
    with pytest.raises(StoreError, match="inside its"):
        _ = sink().held


def test_the_solution_of_a_steady_problem_is_one_frame() -> None:
    layout = timeless_layout()
    solution = ArraySpec("u", ("sample", "node"), "1", "u", attrs={"role": "solution"})
    description = replace(layout, arrays=(*layout.arrays, solution)).description
    link = MemoryLink(stream_spec(description))
    ledger = SmallLedger(link.spec)
    sink = StreamSink(description, description.samples[0], lambda: link.connect(0))
    with Application(link.source(), ledger), sink:
        put_all(sink, description)
        assert sink.commit(example_report(), example_provenance())
    assert ledger.endings == [Ending(0, ledger.hellos[0].attempt, complete=True)]
    np.testing.assert_array_equal(ledger.accepted[0, 0][1], np.arange(6, dtype="f4"))


def test_a_sink_finds_the_trainer_by_its_file_and_refuses_another_study(
    description: DatasetDescription, tmp_path: Path
) -> None:
    path, spec = tmp_path / "rendezvous.json", stream_spec(description)
    ledger = SmallLedger(spec)
    with ZmqSource(path, spec, spool=tmp_path / "spool") as source, Application(source, ledger):
        assert run(StreamSink(description, description.samples[SAMPLE], path), description)
        other = replace(description, title="Another version")
        with pytest.raises(UserError, match="another study or version"):
            run(StreamSink(other, other.samples[SAMPLE], path), other)
    assert_streamed(ledger, description)


def test_a_tee_stores_and_streams(
    description: DatasetDescription,
    ledger: SmallLedger,
    sink: Callable[[], StreamSink],
    store: ZarrStore,
) -> None:
    assert run(TeeSink(store, sink()), description)
    assert_streamed(ledger, description)
    assert store.committed() == {SAMPLE}
    store.verify(SAMPLE)
    assert not run(TeeSink(store, sink()), description)
    assert len(ledger.delivered) == len(description.times)


def test_a_stored_sample_is_streamed_from_the_store_and_not_computed(
    description: DatasetDescription,
    ledger: SmallLedger,
    sink: Callable[[], StreamSink],
    store: ZarrStore,
) -> None:
    assert run(store.sink(description.samples[SAMPLE]), description)
    assert not run(TeeSink(store, sink()), description)
    assert_streamed(ledger, description)


def test_what_the_trainer_lacks_of_a_stored_sample_is_sent_from_the_store(
    description: DatasetDescription,
    ledger: SmallLedger,
    sink: Callable[[], StreamSink],
    store: ZarrStore,
) -> None:
    with sink() as partial:
        partial.write(0, frame_of(description, partial.sample, 0))
    assert run(store.sink(description.samples[SAMPLE]), description)
    assert not run(TeeSink(store, sink()), description)
    assert_streamed(ledger, description)
    assert [key.step for key in ledger.delivered] == [0, 1, 2, 3]


def test_a_streamed_sample_that_the_store_lacks_is_computed_for_it(
    description: DatasetDescription,
    ledger: SmallLedger,
    sink: Callable[[], StreamSink],
    store: ZarrStore,
) -> None:
    assert run(sink(), description)
    assert run(TeeSink(store, sink()), description)
    assert store.committed() == {SAMPLE}
    assert len(ledger.delivered) == len(description.times)


def test_a_discarded_tee_leaves_nothing_in_the_store(
    description: DatasetDescription,
    ledger: SmallLedger,
    sink: Callable[[], StreamSink],
    store: ZarrStore,
) -> None:
    with TeeSink(store, sink()) as tee:
        write_frames(tee, description)
    assert store.committed() == frozenset()
    assert not ledger.complete(SAMPLE)
    assert run(TeeSink(store, sink()), description)
    assert store.committed() == {SAMPLE}
    assert_streamed(ledger, description)
