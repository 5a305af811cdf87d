"""Datasets of steady problems: no times, so no dimension of that name anywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from infra.description import DatasetDescription
from infra.errors import StoreError, UserError
from infra.layout import ArraySpec, StaticArray, required_bytes
from infra.records import Sample
from infra.statistics import dataset_statistics
from infra.stream import MemorySink, Trajectory
from infra.testing import (
    example_provenance,
    example_report,
    expected_values,
    put_all,
    timeless_layout,
    write_all,
)
from infra.zarr_store import ZarrStore, open_store


@pytest.fixture
def timeless(tmp_path: Path) -> ZarrStore:
    """Give a dataset without times, sample 1 committed."""
    store = ZarrStore(tmp_path / "dataset")
    store.create(timeless_layout())
    with store.sink(store.samples[1]) as sink:
        assert write_all(sink, store.description)
    return store


def test_there_is_no_dimension_time() -> None:
    assert set(timeless_layout().description.sizes) == {"sample", "node", "face", "corner"}


def test_its_description_goes_through_json_unchanged() -> None:
    description = timeless_layout().description
    again = DatasetDescription.from_json(description.to_json())
    assert again == description
    assert again.times == ()


@pytest.mark.parametrize("dims", [("sample", "time"), ("sample", "time", "node")])
def test_arrays_with_time_are_refused(dims: tuple[str, ...]) -> None:
    streamed = ArraySpec("drag", dims, "1", "drag coefficient")
    with pytest.raises(UserError, match=r"`drag`.*no output times"):
        replace(timeless_layout(), arrays=(streamed,))


def test_static_arrays_with_time_are_refused() -> None:
    array = StaticArray("history", ("time",), np.zeros(0), "1", "history")
    with pytest.raises(UserError, match=r"received \['time'\]"):
        replace(timeless_layout(), static=(array,))


def test_the_estimate_of_its_size_is_an_upper_bound(timeless: ZarrStore) -> None:
    for sample in timeless.samples:
        with timeless.sink(sample) as sink:
            if not sink.already_committed:
                write_all(sink, timeless.description)
    used = sum(path.stat().st_size for path in timeless.paths.root.rglob("*") if path.is_file())
    # Metadata of the hierarchy do not grow with the samples.
    metadata = sum(p.stat().st_size for p in timeless.paths.root.rglob("*.json"))
    assert used - metadata <= required_bytes(timeless_layout())


def test_what_is_committed_is_read_back_exactly(timeless: ZarrStore) -> None:
    store = open_store(timeless.paths.root)
    assert store.times.shape == (0,)
    for spec in store.description.arrays:
        expected = expected_values(store.description, spec, store.samples[1])
        np.testing.assert_array_equal(store.read(1, spec.name), expected)
    store.verify(1)
    store.finalise()


def test_memory_sinks_take_it_too() -> None:
    description = timeless_layout().description
    shelf: dict[int, Trajectory] = {}
    with MemorySink(description, description.samples[0], shelf) as sink:
        put_all(sink, description)
        assert sink.commit(example_report(), example_provenance())
    assert set(shelf[0].values) == set(description.specs)


def test_frames_are_refused(timeless: ZarrStore) -> None:
    sample: Sample = timeless.samples[0]
    with timeless.sink(sample) as sink, pytest.raises(StoreError, match="no output times"):
        sink.write(0, {})
    with pytest.raises(StoreError, match="Expected none; received frame 0"):
        timeless.read(1, "position", 0)


def test_an_incomplete_sample_is_not_committed(timeless: ZarrStore) -> None:
    with timeless.sink(timeless.samples[0]) as sink, pytest.raises(StoreError, match="position"):
        sink.commit(example_report(), example_provenance())


def test_statistics_count_every_committed_value_once(timeless: ZarrStore) -> None:
    found = dataset_statistics(timeless)
    assert {name: s.count for name, s in found.items()} == {"position": 6, "n_iterations": 1}


def test_xarray_and_zarr_see_no_time(timeless: ZarrStore) -> None:
    timeless.finalise()
    assert "time" not in zarr.open_group(timeless.paths.data, mode="r")
    with xr.open_zarr(timeless.paths.data) as dataset:
        assert "time" not in dataset.sizes
        assert dataset["position"].dims == ("sample", "node")
        np.testing.assert_array_equal(dataset["status"], [0, 1, 0])
