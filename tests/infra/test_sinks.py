"""Conformance of every sink: the same laws for all; a new sink adds a class at the end."""

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from infra.description import DatasetDescription
from infra.errors import StoreError
from infra.records import Sample
from infra.stream import MemorySink, Trajectory, TrajectorySink
from infra.testing import (
    example_provenance,
    example_report,
    expected_values,
    frame_of,
    put_all,
    small_layout,
    write_all,
    write_frames,
)
from infra.zarr_store import ZarrStore


class Shelf(Protocol):
    """What the conformance tests need: sinks of one dataset, and what was committed."""

    def sink(self, sample: Sample) -> TrajectorySink: ...

    def committed(self) -> frozenset[int]: ...

    def read(self, index: int, name: str) -> np.ndarray: ...


class SinkConformance:
    """Laws of every sink; a subclass gives the fixture ``shelf``, a dataset of `small_layout`."""

    @pytest.fixture
    def description(self) -> DatasetDescription:
        return small_layout().description

    @pytest.fixture
    def shelf(self, description: DatasetDescription) -> Shelf:
        raise NotImplementedError("A conformance test gives the fixture `shelf`.")

    def test_what_is_committed_is_read_back_exactly(
        self, shelf: Shelf, description: DatasetDescription
    ) -> None:
        sample = description.samples[1]
        with shelf.sink(sample) as sink:
            assert not sink.already_committed
            assert write_all(sink, description)
        assert shelf.committed() == {1}
        for spec in description.arrays:
            stored = shelf.read(1, spec.name)
            assert stored.dtype == spec.dtype
            np.testing.assert_array_equal(stored, expected_values(description, spec, sample))

    def test_values_may_be_reused_after_a_write(
        self, shelf: Shelf, description: DatasetDescription
    ) -> None:
        sample = description.samples[0]
        buffers = {name: value.copy() for name, value in frame_of(description, sample, 0).items()}
        with shelf.sink(sample) as sink:
            for frame in range(len(description.times)):
                for name, value in frame_of(description, sample, frame).items():
                    buffers[name][...] = value
                sink.write(frame, buffers)
            put_all(sink, description)
            assert sink.commit(example_report(), example_provenance())
        for name in buffers:
            spec = description.specs[name]
            expected = expected_values(description, spec, sample)
            np.testing.assert_array_equal(shelf.read(0, name), expected)

    def test_leaving_without_a_commit_leaves_nothing(
        self, shelf: Shelf, description: DatasetDescription
    ) -> None:
        with shelf.sink(description.samples[0]) as sink:
            write_frames(sink, description)
        assert shelf.committed() == frozenset()

    def test_an_exception_leaves_nothing_and_passes(
        self, shelf: Shelf, description: DatasetDescription
    ) -> None:
        def diverge() -> None:
            with shelf.sink(description.samples[0]) as sink:
                write_frames(sink, description)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            diverge()
        assert shelf.committed() == frozenset()

    def test_an_attempt_after_a_discarded_one_commits(
        self, shelf: Shelf, description: DatasetDescription
    ) -> None:
        with shelf.sink(description.samples[0]) as sink:
            sink.write(0, frame_of(description, sink.sample, 0))
        with shelf.sink(description.samples[0]) as sink:
            assert write_all(sink, description)

    def test_the_second_attempt_sees_the_commit_and_changes_nothing(
        self, shelf: Shelf, description: DatasetDescription
    ) -> None:
        with shelf.sink(description.samples[0]) as sink:
            assert write_all(sink, description)
        before = shelf.read(0, "drag").copy()
        with shelf.sink(description.samples[0]) as sink:
            assert sink.already_committed
            assert not sink.commit(example_report(), example_provenance())
        np.testing.assert_array_equal(shelf.read(0, "drag"), before)

    @pytest.mark.parametrize("frames", [[1], [0, 0], [0, 2], [0, 1, 2, 3, 4]])
    def test_frames_out_of_order_are_refused(
        self, shelf: Shelf, description: DatasetDescription, frames: list[int]
    ) -> None:
        with shelf.sink(description.samples[0]) as sink:
            for frame in frames[:-1]:
                sink.write(frame, frame_of(description, sink.sample, frame))
            with pytest.raises(StoreError, match="in order"):
                sink.write(frames[-1], frame_of(description, sink.sample, 0))

    @pytest.mark.parametrize("change", ["without", "unknown", "shape", "type"])
    def test_a_frame_that_differs_from_the_layout_is_refused(
        self, shelf: Shelf, description: DatasetDescription, change: str
    ) -> None:
        with shelf.sink(description.samples[0]) as sink:
            values = frame_of(description, sink.sample, 0)
            if change == "without":
                del values["drag"]
            elif change == "unknown":
                values["vorticity"] = values["drag"]
            elif change == "shape":
                values["velocity"] = values["velocity"][:-1]
            else:
                values["cell_kind"] = values["cell_kind"] + 0.5
            with pytest.raises(StoreError, match="Expected"):
                sink.write(0, values)
            # A refused frame is not written: the right one is still the first.
            sink.write(0, frame_of(description, sink.sample, 0))

    @pytest.mark.parametrize("name", ["velocity", "vorticity", "position"])
    def test_arrays_without_time_are_put_once_by_their_names(
        self, shelf: Shelf, description: DatasetDescription, name: str
    ) -> None:
        with shelf.sink(description.samples[0]) as sink:
            put_all(sink, description)
            with pytest.raises(StoreError, match="each once"):
                sink.put(name, np.zeros(6))

    @pytest.mark.parametrize("part", ["frames", "arrays"])
    def test_an_incomplete_trajectory_is_not_committed(
        self, shelf: Shelf, description: DatasetDescription, part: str
    ) -> None:
        with shelf.sink(description.samples[0]) as sink:
            (write_frames if part == "frames" else put_all)(sink, description)
            with pytest.raises(StoreError, match="before the commit"):
                sink.commit(example_report(), example_provenance())
        assert shelf.committed() == frozenset()

    def test_a_sink_is_used_inside_its_block_only(
        self, shelf: Shelf, description: DatasetDescription
    ) -> None:
        sink = shelf.sink(description.samples[0])
        with pytest.raises(StoreError, match="open sink"):
            sink.write(0, frame_of(description, sink.sample, 0))
        with sink:
            sink.discard()
            sink.discard()
            with pytest.raises(StoreError, match="open sink"):
                sink.commit(example_report(), example_provenance())
        with pytest.raises(StoreError, match="new sink"):
            sink.__enter__()


class MemoryShelf:
    def __init__(self, description: DatasetDescription) -> None:
        self._description = description
        self._trajectories: dict[int, Trajectory] = {}

    def sink(self, sample: Sample) -> MemorySink:
        return MemorySink(self._description, sample, self._trajectories)

    def committed(self) -> frozenset[int]:
        return frozenset(self._trajectories)

    def read(self, index: int, name: str) -> np.ndarray:
        return self._trajectories[index].values[name]


class TestMemorySink(SinkConformance):
    @pytest.fixture
    def shelf(self, description: DatasetDescription) -> MemoryShelf:
        return MemoryShelf(description)


class TestZarrSink(SinkConformance):
    @pytest.fixture
    def shelf(self, tmp_path: Path) -> ZarrStore:
        store = ZarrStore(tmp_path / "dataset")
        store.create(small_layout())
        return store
