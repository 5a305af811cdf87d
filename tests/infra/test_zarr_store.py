import dataclasses
import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from infra.errors import (
    ChecksumError,
    StorageAccessError,
    StorageFullError,
    StoreError,
    StoreMismatchError,
)
from infra.records import Sample
from infra.testing import (
    example_failure,
    example_provenance,
    example_report,
    expected_values,
    frame_of,
    small_layout,
    write_all,
)
from infra.zarr_store import ZarrStore, open_store

type Commit = Callable[[int], None]


def test_creating_again_with_the_same_layout_keeps_everything(
    store: ZarrStore, commit: Commit
) -> None:
    commit(0)
    before = (store.paths.data / "zarr.json").read_bytes()
    ZarrStore(store.paths.root).create(small_layout())
    assert (store.paths.data / "zarr.json").read_bytes() == before
    assert open_store(store.paths.root).committed() == {0}


def test_creating_with_another_layout_names_what_differs(store: ZarrStore) -> None:
    with pytest.raises(StoreMismatchError, match=r"samples\.3") as caught:
        ZarrStore(store.paths.root).create(small_layout(n_samples=4))
    assert caught.value.expected is None


def test_a_reopened_store_knows_all_of_its_layout(store: ZarrStore) -> None:
    layout = small_layout()
    opened = open_store(store.paths.root)
    assert opened.description == layout.description
    assert opened.samples == layout.samples
    np.testing.assert_array_equal(opened.times, layout.times)
    for array in layout.static:
        np.testing.assert_array_equal(opened.static(array.name), array.values)


def test_a_folder_without_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Create it"):
        open_store(tmp_path)


def test_a_changed_layout_file_is_noticed(store: ZarrStore) -> None:
    text = store.paths.layout.read_text().replace("A small dataset", "Another dataset")
    store.paths.layout.write_text(text)
    with pytest.raises(StoreError, match="Restore"):
        open_store(store.paths.root)


def test_commit_records_without_data_are_not_taken_for_a_new_dataset(
    store: ZarrStore, commit: Commit
) -> None:
    commit(0)
    store.paths.data.rename(store.paths.root / "moved")
    with pytest.raises(StoreError, match="gone"):
        ZarrStore(store.paths.root).create(small_layout())


def test_a_dataset_that_cannot_fit_is_not_begun(root: Path) -> None:
    # Petabytes: no machine of the tests has them.
    sizes = {"node": 10**12, "face": 10**12, "corner": 3}
    huge = dataclasses.replace(small_layout(), dims=sizes, static=())
    with pytest.raises(StorageFullError, match="GB free"):
        ZarrStore(root).create(huge)
    assert not (root / "data.zarr").exists()


def test_a_place_below_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageAccessError, match="file/dataset"):
        ZarrStore(tmp_path / "file/dataset").create(small_layout())


def test_a_sample_of_another_study_is_refused(store: ZarrStore) -> None:
    known = store.samples[0]
    others = [
        Sample(3, known.mu, known.seed),
        Sample(1, known.mu, known.seed),
        Sample(0, {"viscosity": 0.5, "speed": 2.0}, known.seed),
        Sample(0, known.mu, 1),
    ]
    for other in others:
        with pytest.raises(StoreError, match="Expected"):
            store.sink(other)
        with pytest.raises(StoreError, match="Expected"):
            store.fail(example_failure(other))


def test_the_record_of_a_commit_comes_back_exactly(store: ZarrStore, commit: Commit) -> None:
    commit(2)
    record = open_store(store.paths.root).record(2)
    assert record.sample == store.samples[2]
    assert record.provenance == example_provenance()
    assert record.report.counts == example_report().counts
    assert np.isnan(record.report.values["cfl"])
    assert set(record.checksums) == set(store.description.specs)


def test_only_committed_samples_are_read(store: ZarrStore, commit: Commit) -> None:
    with store.sink(store.samples[0]) as sink:
        sink.write(0, frame_of(store.description, sink.sample, 0))
        with pytest.raises(StoreError, match="committed sample"):
            store.read(0, "velocity")
    with pytest.raises(StoreError, match="committed sample"):
        store.record(0)
    commit(0)
    assert store.read(0, "velocity").shape == (4, 6)


def test_one_frame_is_the_slice_of_all_frames(store: ZarrStore, commit: Commit) -> None:
    commit(1)
    for name, spec in store.description.specs.items():
        if spec.streamed:
            whole = expected_values(store.description, spec, store.samples[1])
            for frame in range(4):
                np.testing.assert_array_equal(store.read(1, name, frame), whole[frame])


@pytest.mark.parametrize(
    ("name", "frame"), [("vorticity", None), ("velocity", 4), ("velocity", -1), ("position", 0)]
)
def test_unknown_arrays_and_frames_are_refused(
    store: ZarrStore, commit: Commit, name: str, frame: int | None
) -> None:
    commit(0)
    with pytest.raises(StoreError, match="Expected"):
        store.read(0, name, frame)
    with pytest.raises(StoreError, match="node_x"):
        store.static("velocity")


def test_failures_come_back_and_can_be_forgiven(store: ZarrStore) -> None:
    for index in (0, 2):
        store.fail(example_failure(store.samples[index]))
    assert open_store(store.paths.root).failures() == {
        index: example_failure(store.samples[index]) for index in (0, 2)
    }
    store.forgive([0, 1])
    assert set(store.failures()) == {2}


def test_a_commit_removes_the_failure_and_a_later_failure_is_ignored(
    store: ZarrStore, commit: Commit
) -> None:
    store.fail(example_failure(store.samples[0]))
    commit(0)
    assert not store.paths.failure(0).exists()
    store.fail(example_failure(store.samples[0]))
    assert store.failures() == {}


def test_a_failure_may_be_written_while_the_sink_is_entered(store: ZarrStore) -> None:
    with store.sink(store.samples[0]):
        store.fail(example_failure(store.samples[0]))
    assert set(store.failures()) == {0}


def test_untouched_data_pass_verification(store: ZarrStore, commit: Commit) -> None:
    commit(1)
    store.verify(1)
    with pytest.raises(StoreError, match="committed sample"):
        store.verify(0)


@pytest.mark.parametrize("name", ["velocity", "pressure", "drag", "position", "n_iterations"])
@pytest.mark.parametrize("damage", ["first byte", "middle", "last byte", "cut", "gone", "swapped"])
def test_damaged_data_are_noticed_and_named(
    store: ZarrStore, commit: Commit, name: str, damage: str
) -> None:
    commit(1)
    commit(2)
    shard = store.paths.shard(store.description.specs[name], 1)
    data = bytearray(shard.read_bytes())
    places = {"first byte": 0, "middle": len(data) // 2, "last byte": -1}
    if damage in places:
        data[places[damage]] ^= 0xFF
        shard.write_bytes(data)
    elif damage == "cut":
        shard.write_bytes(data[:-5])
    elif damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(store.paths.shard(store.description.specs[name], 2).read_bytes())
    with pytest.raises(ChecksumError, match=f"`{name}` of sample 1: expected SHA-256"):
        open_store(store.paths.root).verify(1)
    store.verify(2)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_data_that_cannot_be_decoded_are_never_read_as_fill_values(
    store: ZarrStore, commit: Commit, damage: str
) -> None:
    commit(1)
    shard = store.paths.shard(store.description.specs["velocity"], 1)
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-5])
    else:
        shard.unlink()
    for frame in (None, 0):
        with pytest.raises(ChecksumError, match="`velocity` of sample 1: expected the committed"):
            store.read(1, "velocity", frame)
    store.read(1, "pressure")


@pytest.mark.parametrize("text", [None, "", "{", "{}", "[]"])
@pytest.mark.parametrize("name", ["layout.json", "data.zarr/zarr.json"])
def test_a_damaged_dataset_is_refused_by_name(store: ZarrStore, name: str, text: str) -> None:
    path = store.paths.root / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(StoreError, match=r"(layout|zarr)\.json|layout None.*Restore"):
        open_store(store.paths.root)


def test_the_disk_is_left_clean_after_commits_and_discards(
    store: ZarrStore, commit: Commit
) -> None:
    commit(0)
    with store.sink(store.samples[1]) as sink:
        sink.write(0, frame_of(store.description, sink.sample, 0))
    assert list(store.paths.staging.iterdir()) == []
    names = {path.name for path in store.paths.data.iterdir()}
    assert names >= {"zarr.json", "velocity", "time", "status"}
    assert all(
        (path / "zarr.json").exists() for path in store.paths.data.iterdir() if path.is_dir()
    )


def test_what_a_killed_failure_record_left_is_removed(store: ZarrStore) -> None:
    store.paths.staged_failure("dead").write_text("{")
    assert store.failures() == {}
    store.finalise()
    assert list(store.paths.staging.iterdir()) == []


def test_a_failed_write_can_only_be_discarded(store: ZarrStore) -> None:
    sink = store.sink(store.samples[0])
    with sink:
        # The shard file vanishes under the writer's publication: the commit fails.
        for folder in store.paths.staging.iterdir():
            (folder / "velocity").unlink()
        with pytest.raises(OSError) as caught:  # noqa: PT011 -- the number is checked below
            write_all(sink, store.description)
        assert caught.value.errno == errno.ENOENT
        with pytest.raises(StoreError, match="broken"):
            sink.commit(example_report(), example_provenance())
    assert store.committed() == frozenset()
    with store.sink(store.samples[0]) as again:
        assert write_all(again, store.description)


def test_commit_records_are_plain_json(store: ZarrStore, commit: Commit) -> None:
    commit(0)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    data = json.loads(store.paths.commit(0).read_text(), parse_constant=refuse)
    assert data["report"]["values"]["cfl"] == "NaN"


def test_a_dataset_of_an_earlier_version_is_read_and_completed(
    store: ZarrStore, commit: Commit
) -> None:
    """Their shards lie in folders of their own, as the separator ``/`` has it."""
    data = store.paths.root / "data.zarr"
    for name in store.description.specs:
        for path in (data / name / "zarr.json", data / "zarr.json"):
            path.write_text(path.read_text().replace('"separator": "."', '"separator": "/"'))
    commit(1)
    spec = store.description.specs["velocity"]
    assert store.paths.shard(spec, 1).relative_to(data).parts[:3] == ("velocity", "c", "1")
    store.verify(1)
    opened = open_store(store.paths.root)
    expected = expected_values(store.description, spec, store.samples[1])
    np.testing.assert_array_equal(opened.read(1, "velocity"), expected)
    np.testing.assert_array_equal(zarr.open_group(data, mode="r")["velocity"][1], expected)
