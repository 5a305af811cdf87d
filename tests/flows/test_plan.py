"""A plan holds what is left to compute: the same samples whatever the machine, none twice."""

import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.design import design, size_on_disk
from flows.plan import Plan, prepare
from flows.study import Study, with_settings
from infra.errors import StorageAccessError, StoreMismatchError, UserError
from infra.records import FailureRecord
from infra.testing import example_provenance, write_all
from infra.zarr_store import ZarrStore, open_store
from solvers.chunk import ChunkJob, load_mesh


def commit(store: ZarrStore, index: int) -> None:
    with store.sink(store.samples[index]) as sink:
        assert write_all(sink, store.description)


def fail(store: ZarrStore, index: int) -> None:
    record = FailureRecord(store.samples[index], "diverged", "too fast", example_provenance())
    store.fail(record)


def left(plan: Plan) -> list[int]:
    return sorted(chain.from_iterable(chunk.samples for chunk in plan.chunks))


@pytest.fixture
def study(folder: Any) -> Study:
    made: Study = folder.study(sampling={"method": "sobol", "samples": 7, "seed": 3})
    return made


@pytest.mark.parametrize("method", ["sobol", "latin-hypercube", "uniform", "grid"])
def test_samples_do_not_depend_on_how_they_are_computed(study: Study, method: str) -> None:
    study = with_settings(study, [f"sampling.method={method}"])
    other = ["run={ranks: 5, chunk_size: 3, workers: 4, runner: dask}", "output=/elsewhere"]
    assert design(study).samples == design(with_settings(study, other)).samples
    other_seed = design(with_settings(study, ["sampling.seed=4"])).samples
    assert design(study).samples != other_seed


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_chunks_partition_the_samples(study: Study, size: int) -> None:
    made = design(with_settings(study, [f"run.chunk_size={size}"]))
    assert sorted(chain.from_iterable(made.chunks)) == list(range(7))
    assert all(1 <= len(chunk) <= size for chunk in made.chunks)


def test_neighbours_in_a_chunk_are_neighbours_in_parameter_space(study: Study) -> None:
    made = design(with_settings(study, ["run.chunk_size=100"]))
    walk = [made.samples[i].mu["viscosity"] for i in made.chunks[0]]
    assert walk in (sorted(walk), sorted(walk, reverse=True))


def test_a_fixed_number_is_the_same_in_all_samples(study: Study) -> None:
    cavity = "problem={name: cavity, settings: {cells: 8}}"
    parameters = "parameters={viscosity: 0.02, lid_speed: {low: 1.0, high: 2.0}}"
    samples = design(with_settings(study, [cavity, parameters])).samples
    assert {sample.mu["viscosity"] for sample in samples} == {0.02}
    assert len({sample.mu["lid_speed"] for sample in samples}) == len(samples)
    assert len({sample.seed for sample in samples}) == len(samples)


def test_samples_that_would_all_be_equal_are_refused(study: Study) -> None:
    equal = with_settings(study, ["parameters={viscosity: 0.02}"])
    with pytest.raises(UserError, match=r"range for 7 samples.*\(viscosity\)"):
        design(equal)
    assert len(design(with_settings(equal, ["sampling.samples=1"])).samples) == 1


def test_jobs_hold_what_their_chunk_needs(study: Study) -> None:
    plan = prepare(study)
    assert (plan.n_samples, plan.n_committed, plan.n_failed, plan.n_frames) == (7, 0, 0, 3)
    for chunk in plan.chunks:
        job = ChunkJob.model_validate_json(chunk.job.read_bytes())
        assert job.samples == chunk.samples
        assert (job.number, job.dataset) == (chunk.number, study.dataset)
        assert (job.time, job.solver) == (study.time, study.solver)
        assert chunk.log.read_bytes() == b""
    assert open_store(study.dataset).samples == design(study).samples


def test_what_is_committed_or_failed_is_left_out_and_failures_can_be_forgiven(
    study: Study,
) -> None:
    assert left(prepare(study)) == list(range(7))
    store = open_store(study.dataset)
    commit(store, 2)
    fail(store, 5)
    plan = prepare(study)
    assert left(plan) == [0, 1, 3, 4, 6]
    assert (plan.n_committed, plan.n_failed) == (1, 1)
    plan = prepare(study, retry_failed=True)
    assert left(plan) == [0, 1, 3, 4, 5, 6]
    assert (plan.n_committed, plan.n_failed) == (1, 0)


def test_a_chunk_that_is_through_has_no_job(study: Study) -> None:
    first = prepare(study).chunks[0]
    for index in first.samples:
        commit(open_store(study.dataset), index)
    assert first.number not in [chunk.number for chunk in prepare(study).chunks]


def test_other_chunks_compute_the_same_rest(study: Study) -> None:
    prepare(study)
    commit(open_store(study.dataset), 0)
    assert left(prepare(with_settings(study, ["run.chunk_size=3"]))) == [1, 2, 3, 4, 5, 6]


def test_the_mesh_of_the_first_run_is_used_again(study: Study) -> None:
    prepare(study)
    path = study.dataset / "mesh.npz"
    before = path.read_bytes(), path.stat().st_mtime_ns
    prepare(study)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_mesh_without_a_dataset_is_not_trusted(study: Study) -> None:
    """A run that found no room leaves its mesh; the user comes back with a coarser one."""
    prepare(study)
    orphan = (study.dataset / "mesh.npz").read_bytes()
    coarse = with_settings(study, ["problem.settings.cells=4", "name=coarse"])
    coarse.dataset.mkdir(parents=True)
    (coarse.dataset / "mesh.npz").write_bytes(orphan)
    prepare(coarse)
    assert load_mesh(coarse.dataset / "mesh.npz").n_nodes == (2 * 4 + 1) ** 2


@pytest.mark.parametrize(
    "change",
    [
        "sampling.seed=4",
        "sampling.samples=8",
        "time.end=0.2",
        "problem.settings.cells=4",
        "solver.rtol=1e-9",
        "parameters.viscosity.high=0.04",
    ],
)
def test_another_study_in_the_same_folder_is_refused(study: Study, change: str) -> None:
    prepare(study)
    with pytest.raises(StoreMismatchError, match="differs"):
        prepare(with_settings(study, [change]))
    assert left(prepare(study)) == list(range(7))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["problem.name=cavty"], "cavity"),
        (["problem.settings.cels=8"], "cels: unknown key"),
        (["parameters.viscos=1"], "did you mean viscosity?"),
        (["parameters.viscosity.high=30"], "inside [0.0001, 1.0] m2 s-1"),
        (["sampling.method=sobl"], "received 'sobl'"),
        (
            [
                "problem={name: cylinder}",
                "parameters={centre_y: {low: 0.1, high: 0.11}, radius: 0.09}",
            ],
            "cannot be computed; the first, sample 0",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    folder: Any, settings: list[str], text: str
) -> None:
    study = with_settings(folder.study(), settings)
    with pytest.raises(UserError) as caught:
        prepare(study)
    assert text in str(caught.value)
    assert not study.output.exists()


def test_another_sentence_is_no_other_study(study: Study) -> None:
    plan = prepare(study)
    commit(open_store(study.dataset), 2)
    reworded = with_settings(study, ["description=The same numbers in other words."])
    assert left(prepare(reworded)) == [i for i in left(plan) if i != 2]
    with pytest.raises(StoreMismatchError, match=r"samples\.0"):
        prepare(with_settings(reworded, ["sampling.seed=4"]))


def test_a_dataset_of_another_problem_is_refused_by_its_name(study: Study) -> None:
    prepare(study)
    other = ["problem={name: cavity}", "parameters={lid_speed: {low: 1.0, high: 2.0}}"]
    with pytest.raises(StoreMismatchError, match=r"attrs\.study\.problem.*taylor-green"):
        prepare(with_settings(study, other))


def test_without_mpi_nothing_is_written(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="mpiexec: expected"):
        prepare(study)
    assert not study.output.exists()


def test_a_place_that_is_no_folder_is_refused(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageAccessError, match="Not a directory"):
        prepare(with_settings(study, [f"output={tmp_path / 'file'}"]))


def test_the_size_is_an_upper_bound(study: Study, computed: Callable[[Study], ZarrStore]) -> None:
    study = with_settings(study, ["sampling.samples=1", "run.ranks=1"])
    made = design(study)
    bound = size_on_disk(study, made, made.problem.reference_mesh())
    computed(study)
    files = [path for path in (study.dataset / "data.zarr").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.name != "zarr.json") <= bound


def test_samples_are_plain_numbers_inside_their_ranges(study: Study) -> None:
    values = np.array([sample.mu["viscosity"] for sample in design(study).samples])
    assert ((values >= 0.01) & (values <= 0.05)).all()
