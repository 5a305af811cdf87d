"""Reduced structures from study to version: real full-order runs, and what may go wrong."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from flows.chunks import REFUSED, STORAGE
from flows.structure_build import build_parts
from flows.structure_data import StructureData
from flows.structure_flow import _tell_newest, ended
from flows.structure_publish import publish_structure
from flows.structure_runs import WORKER
from flows.structure_store import RunJob, RunStore
from flows.structure_study import with_structure_settings
from infra.cluster import LocalCluster
from infra.errors import ChecksumError, UserError
from infra.files import FileLock
from rom.registry import Registry
from rom.structures.published import PublishedStructure
from solvers.problems.structures.cube import Cube
from solvers.structure_mesh import StructureMesh
from solvers.structures.state_files import load_state
from tests.flows.structures.tiny_cube import TINY, by_hand, published, quiet, tiny, written

type Romflow = Callable[..., SimpleNamespace]


@pytest.mark.mpi
@pytest.mark.server
def test_a_study_becomes_a_version_that_answers_and_goes_on_where_it_ended(served: Any) -> None:
    folder, path = served, written(served.path)
    done = folder.romflow("run", "build-rom", "--rom", path)
    assert done.returncode == 0, done.stderr
    assert "5 full-order runs, 0 of them were there before" in done.stderr
    registry, store = (
        Registry(folder.path / "models"),
        RunStore(folder.path / "models/tiny-cube/runs"),
    )
    card = registry.card("tiny-cube")
    assert (card.kind, card.training.trajectories) == ("structure", 4)
    assert len(card.lineage["samples"]) == 4
    assert card.regression["law"]["kind"] == "elastoviscoplastic"
    assert card.lineage["evaluation"]["accumulated_plasticity"]["largest"] < 0.2
    entry = yaml.safe_load((folder.path / "catalog/models/tiny-cube/entry.yaml").read_text())
    assert (entry["problem"], len(entry["versions"])) == ("cube", 1)
    # A run that is lost is computed again, alone, with the same bits: the version is the same.
    files = sorted(store.folder.glob("*.npz"))
    assert len(files) == 5
    times = {path: path.stat().st_mtime_ns for path in files}
    lost, bits = files[0], files[0].read_bytes()
    lost.unlink()
    done = folder.romflow("run", "build-rom", "--rom", path)
    assert done.returncode == 0, done.stderr
    assert "5 full-order runs, 4 of them were there before" in done.stderr
    assert "which was there already" in done.stdout
    assert registry.versions("tiny-cube") == (1,)
    with np.load(lost) as again, np.load(BytesIO(bits)) as before:
        np.testing.assert_array_equal(again["displacement"], before["displacement"])
    assert {p: p.stat().st_mtime_ns for p in files[1:]} == {p: times[p] for p in files[1:]}


@pytest.mark.mpi
def test_a_run_on_two_ranks_is_that_on_one(home: Path, tmp_path: Path) -> None:
    data, store = StructureData(tiny(home)), RunStore(tmp_path / "runs")
    job = data._jobs[0]
    done = LocalCluster().run([WORKER, str(store.prepare(job))], 2, store.log(job))
    assert done.code == 0, done.errors
    one, two = data.store.load(job), store.load(job)
    size = np.abs(one.displacement).max()
    np.testing.assert_allclose(two.displacement, one.displacement, atol=1e-8 * size)


@pytest.mark.mpi
def test_a_solver_that_diverges_leaves_its_state_and_a_message(tmp_path: Path) -> None:
    study = tiny(tmp_path, solver={"max_iterations": 1, "max_cuts": 0}, validation=1)
    data = StructureData(study)
    job = data._jobs[0]
    assert by_hand(data.store, [job]) == []
    text = data.store.failure(job)
    assert text is not None
    assert "LoadStepError" in text
    assert str(data.store.rescue(job)) in text
    assert load_state(data.store.rescue(job)).displacement.shape == (27, 3)
    with pytest.raises(UserError, match="at least 3 full-order runs to build from; received 0"):
        build_parts(data, quiet)
    assert "LoadStepError" in data.complaint()


def test_numerical_events_end_with_their_name_and_a_message(copy: Path) -> None:
    study = with_structure_settings(tiny(copy), ["model.cubature_tolerance=1e-15"])
    data = StructureData(study)
    state = ended(lambda: build_parts(data, quiet))  # type: ignore[arg-type, return-value]
    assert state.name == REFUSED
    assert str(state.message).startswith("CubatureError: ")


def test_a_damaged_run_is_named_and_nothing_else_is_lost(copy: Path) -> None:
    data = StructureData(tiny(copy))
    path = data.store.path(data._jobs[1])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ChecksumError, match=r"damaged file .* Remove it"):
        build_parts(data, quiet)
    state = ended(lambda: build_parts(data, quiet))  # type: ignore[arg-type, return-value]
    assert state.name == STORAGE
    path.unlink()
    assert len(data.trained) == 3
    assert "run 1: not computed" in data.complaint()


def test_a_history_of_another_mesh_is_refused(copy: Path) -> None:
    data = StructureData(tiny(copy))
    run = data.store.load(data._jobs[0])
    np.savez(
        data.store.path(data._jobs[0]),
        times=run.times, displacement=run.displacement[:, :8], seconds=1.0,
    )  # fmt: skip
    state = ended(lambda: build_parts(data, quiet))  # type: ignore[arg-type, return-value]
    assert state.name == REFUSED
    assert "27 nodes of the mesh" in str(state.message)


def test_inverted_elements_end_with_a_message(
    tmp_path: Path, romflow: Romflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inverted(self: Cube) -> StructureMesh:  # noqa: ARG001 - interface
        corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
        points = np.concatenate([corners + np.array([0, 0, 1]), corners])
        return StructureMesh(points, np.arange(8)[np.newaxis], "hexahedron")

    monkeypatch.setattr(Cube, "mesh", inverted)
    done = romflow("run", "build-rom", "--rom", written(tmp_path))
    assert done.code == 2
    assert "InvertedElementsError: mesh: expected hexahedron cells with a positive" in done.err
    assert "Traceback" not in done.err


def test_an_equal_model_is_published_once_wherever_and_however_it_was_computed(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy)
    run = {**TINY["run"], "workers": 1, "retries": 1}
    study = tiny(copy, run=run, catalog="elsewhere")
    data = StructureData(study)
    built, registry = build_parts(data, quiet), Registry(copy / "models")
    before = published(copy)
    known = {**before.card.lineage, "enrichments": [{"key": "0"}]}
    card = before.card.model_copy(update={"lineage": known})
    registry.publish(PublishedStructure(card, before.parts))
    summary = publish_structure(data, built, [])
    assert (summary.new, summary.version) == (False, 1)
    said: list[str] = []
    _tell_newest(summary, study, said.append)
    assert "The newest is version 2, which is enriched" in said[0]
    # A change is another version; where its catalogue is does not depend on who enriches it.
    other = tiny(copy, description="Another.", catalog="elsewhere")
    assert publish_structure(StructureData(other), built, []).version == 3
    assert registry.card("tiny-cube").lineage["structure"]["catalog"] == str(copy / "elsewhere")


def never(_store: RunStore, _jobs: list[RunJob]) -> list[str]:
    """Compute nothing: nobody may get here."""
    raise AssertionError


def test_the_runs_of_a_structure_are_computed_by_one_build_at_a_time(copy: Path) -> None:
    data = StructureData(tiny(copy))
    states: list[Any] = []

    def meanwhile(_store: RunStore, _jobs: list[RunJob]) -> list[str]:
        other = StructureData(tiny(copy))
        states.append(ended(lambda: other.compute(never)))  # type: ignore[arg-type, return-value]
        return ["not a second time"]

    assert data.compute(meanwhile) == ["not a second time"]
    (state,) = states
    assert state.name == REFUSED
    text = str(state.message)
    assert "Expected one build of tiny-cube at a time; received a second one" in text
    assert "give the same command again: it computes what is missing then" in text


def test_a_build_that_ends_however_makes_way_for_the_next(copy: Path) -> None:
    data = StructureData(tiny(copy))

    def interrupted(_store: RunStore, _jobs: list[RunJob]) -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.compute(interrupted)
    other = FileLock(data.store.folder / ".lock")
    assert other.acquire(wait=False)
    with pytest.raises(UserError, match="one build of tiny-cube at a time"):
        data.compute(never)
    other.release()
    assert data.compute(by_hand) == []
