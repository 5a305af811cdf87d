"""Laws under kills, races, full and forbidden storage: every attempt is a real process."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest

from infra.errors import StoreError
from infra.testing import expected_values, small_layout, write_all
from infra.zarr_store import ZarrStore, open_store

type Worker = Callable[..., Popen[str]]


def output_of(process: Popen[str], text: str | None = None) -> str:
    output, errors = process.communicate(text, timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def compute_missing(store: ZarrStore) -> None:
    for sample in store.samples:
        with store.sink(sample) as sink:
            if not sink.already_committed:
                assert write_all(sink, store.description)


def assert_complete(store: ZarrStore) -> None:
    assert store.committed() == set(range(len(store.samples)))
    for sample in store.samples:
        store.verify(sample.index)
        for name, spec in store.description.specs.items():
            expected = expected_values(store.description, spec, sample)
            np.testing.assert_array_equal(store.read(sample.index, name), expected)


def test_a_writer_killed_at_any_step_leaves_its_sample_committed_or_invisible(
    root: Path, worker: Worker
) -> None:
    ZarrStore(root).create(small_layout(n_samples=60))
    last = int(output_of(worker("crash_commits", root)))
    store = open_store(root)
    committed = store.committed()
    # Steps before the link leave nothing; those after it, a complete sample.
    first = min(committed)
    assert committed == set(range(first, last + 1))
    assert 20 < first < last
    for index in committed:
        store.verify(index)
    for index in range(first):
        with pytest.raises(StoreError, match="committed sample"):
            store.read(index, "velocity")
    assert len(list(store.paths.staging.iterdir())) > 10
    store.finalise()
    assert list(store.paths.staging.iterdir()) == []
    compute_missing(store)
    assert_complete(store)


def test_a_creation_killed_at_any_step_is_done_again(root: Path, worker: Worker) -> None:
    output_of(worker("crash_creations", root))
    steps = sorted(int(path.name) for path in root.iterdir() if path.name.isdecimal())
    visible = [(root / f"{step}/data.zarr").exists() for step in steps]
    assert visible == sorted(visible), "what is visible once stays so"
    assert 3 < sum(not seen for seen in visible) < len(steps)
    for step, seen in zip(steps, visible, strict=True):
        store = ZarrStore(root / str(step))
        assert not seen or store.description == small_layout().description
        store.create(small_layout())
        for array in small_layout().static:
            np.testing.assert_array_equal(store.static(array.name), array.values)
        with store.sink(store.samples[0]) as sink:
            assert write_all(sink, store.description)
        store.finalise()
        assert list(store.paths.staging.iterdir()) == []


def test_racing_processes_commit_each_sample_exactly_once(root: Path, worker: Worker) -> None:
    racers = [worker("race", root) for _ in range(3)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    own = [index for racer in racers for index in json.loads(output_of(racer))]
    assert sorted(own) == [0, 1, 2]
    assert_complete(open_store(root))


def test_a_second_attempt_waits_for_the_first_and_sees_its_commit(
    store: ZarrStore, worker: Worker
) -> None:
    holder = worker("hold", store.paths.root)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    racer = worker("race", store.paths.root)
    assert racer.stdout is not None
    assert racer.stdout.readline() == "ready\n"
    assert output_of(holder, "go\n") == "True"
    assert json.loads(output_of(racer, "go\n")) == [1, 2]


def test_a_killed_process_frees_its_sample(store: ZarrStore, worker: Worker) -> None:
    holder = worker("hold", store.paths.root)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    store.finalise()
    assert len(list(store.paths.staging.iterdir())) == 1, "a living attempt keeps its data"
    holder.kill()
    holder.communicate()
    store.finalise()
    assert list(store.paths.staging.iterdir()) == []
    compute_missing(store)
    assert_complete(store)


@pytest.mark.parametrize("limit", [0, 100, 300, 600])
def test_full_storage_is_named_and_leaves_nothing_visible(
    root: Path, worker: Worker, limit: int
) -> None:
    store = ZarrStore(root)
    store.create(small_layout(n_frames=20))
    output = output_of(worker("fill", root, limit))
    assert output.startswith("StorageFullError No room to write")
    assert "GB free" in output
    assert store.committed() == frozenset()
    assert list(store.paths.staging.iterdir()) == []
    compute_missing(store)
    assert_complete(store)


def test_writing_samples_loads_no_array_library(store: ZarrStore, worker: Worker) -> None:
    assert json.loads(output_of(worker("light", store.paths.root))) == []
    store.verify(0)
