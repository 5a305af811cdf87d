"""Reduced structures from study to query: real full-order runs, command line and registry."""

import json
import shutil
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from flows.chunks import REFUSED, STORAGE
from flows.cli import main
from flows.rom_models import find_any
from flows.structure_build import build_parts
from flows.structure_data import StructureData
from flows.structure_design import structure_design
from flows.structure_enrich import enrich_structure
from flows.structure_flow import _tell_newest, ended
from flows.structure_full import _where, compute_full, full_job
from flows.structure_jobs import compare_structure
from flows.structure_publish import publish_structure
from flows.structure_runs import WORKER
from flows.structure_store import RunJob, RunStore
from flows.structure_study import (
    StructureStudy,
    is_structure,
    load_structure_study,
    shipped_structures,
    with_structure_settings,
)
from flows.structure_summary import StructureSummary
from infra.cluster import LocalCluster
from infra.errors import ChecksumError, UserError
from infra.files import FileLock
from rom.registry import Registry
from rom.service.local_jobs import JobHandle
from rom.structures.checkpoint import Checkpoints
from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions
from rom.structures.judgement import judge_run
from rom.structures.published import PublishedStructure
from rom.structures.recalibration import Recalibration
from solvers.problems.structures.cube import Cube
from solvers.structure_mesh import StructureMesh
from solvers.structures.state_files import load_state

TINY: dict[str, Any] = {
    "name": "tiny-cube",
    "description": "A tiny cube.",
    "problem": "cube",
    "settings": {"cells": 2, "cycles": 1, "increments": 10},
    "parameters": {
        "spot": {"low": 0.3, "high": 0.4},
        "temperature_rise": {"low": 500.0, "high": 700.0},
    },
    "sampling": {"samples": 4, "seed": 3},
    "validation": 1,
    "model": {
        "displacement_tolerance": 1e-4,
        "stress_tolerance": 1e-3,
        "cubature_tolerance": 1e-4,
        "dual_tolerance": 1e-3,
    },
    "life": {"ductility": 0.3, "exponent": -0.6},
    "run": {"ranks": 1, "chunk_size": 1, "workers": 2, "retries": 0},
}
OUTSIDE = {"spot": 0.9, "temperature_rise": 700.0}

type Romflow = Callable[..., SimpleNamespace]


def quiet(_text: str) -> None:
    """Tell nobody."""


def written(folder: Path, **changes: Any) -> Path:
    """Write the tiny study with other entries; return its file."""
    places = {"output": str(folder / "models"), "catalog": str(folder / "catalog")}
    path = folder / "tiny-cube.yaml"
    path.write_text(yaml.safe_dump({**TINY, **places, **changes}))
    return path


def tiny(folder: Path, **changes: Any) -> StructureStudy:
    return load_structure_study(str(written(folder, **changes)))


def by_hand(store: RunStore, jobs: list[RunJob]) -> list[str]:
    """Compute runs without Prefect."""
    for job in jobs:
        if not store.committed(job):
            done = LocalCluster().run([WORKER, str(store.prepare(job))], 1, store.log(job))
            assert done.code == 0, done.errors
    return []


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study whose runs are computed and whose model is published; not to be changed."""
    folder = tmp_path_factory.mktemp("structures")
    data = StructureData(tiny(folder))
    assert data.compute(by_hand) == []
    publish_structure(data, build_parts(data, quiet), [])
    return folder


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """A copy of it, with its study."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    written(tmp_path)
    return tmp_path


@pytest.fixture
def romflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Romflow:
    """Give the command line without the start of an interpreter."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["romflow", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(code=int(end.value.code or 0), out=said.out, err=said.err)

    return run


def published(folder: Path, version: int | None = None) -> PublishedStructure:
    found = Registry(folder / "models").load_any("tiny-cube", version)
    assert isinstance(found, PublishedStructure)
    return found


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
def test_the_command_line_asks_and_names_the_level(copy: Path, romflow: Romflow) -> None:
    asked = ("query", "tiny-cube", "--models", copy / "models", "--mu", "spot=0.35",
             "--mu", "temperature_rise=600")  # fmt: skip
    done = romflow(*asked, "--json", "--time", 2)
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["level_used"] == "reduced"
    trust = answer["trust"]
    assert trust["above_tolerance"] is (trust["indicator"] > trust["tolerance"] == 0.05)
    done = romflow(*asked, "--full", "--json", "--time", 2)
    full = json.loads(done.out)
    assert full["level_used"] == "full"
    for name in ("largest_displacement", "largest_von_mises", "largest_plasticity"):
        assert answer["values"][name] == pytest.approx(full["values"][name], rel=0.05)
    done = romflow(*asked, "--select", "field=von_mises", "--output", copy / "a.npz")
    assert "Level used: reduced" in done.out
    with np.load(copy / "a.npz") as found:
        assert found["von_mises"].shape == (11, 27)
        assert str(found["level_used"]) == "reduced"
    assert "tiny-cube" in romflow("models", "--models", copy / "models").out


@pytest.mark.mpi
def test_the_service_computes_the_truth_of_a_structure(copy: Path) -> None:
    model = published(copy)
    mu = {"spot": 0.35, "temperature_rise": 600.0}
    result, arrays = compare_structure(
        model, mu, copy / "models/tiny-cube/runs", JobHandle(lambda *_: None)
    )
    assert result["level_used"] == "full"
    assert set(arrays) == {field.name for field in model.card.fields}
    assert set(result["errors"]) == {"displacement", "von_mises", "accumulated_plasticity"}
    again = compute_full(model, mu, copy / "models/tiny-cube/runs")
    assert not again.fresh
    np.testing.assert_array_equal(arrays["displacement_x"], again.trajectory.displacement[:, :, 0])


def enriched(folder: Path, tell: Callable[[str], None]) -> None:
    registry = Registry(folder / "models")
    options = EnrichmentOptions(tolerance=0.01, budget=2)
    enrich_structure("tiny-cube", registry, folder / "models", OUTSIDE, lambda _: options, tell)


def test_enrichment_publishes_a_better_version_that_says_so(copy: Path) -> None:
    enriched(copy, quiet)
    before, after = published(copy, 1), published(copy, 2)
    record = after.card.lineage["enrichments"][0]
    assert record["mu"]["spot"] == 0.9
    assert 1 <= after.parts.enriched == len(record["times"]) <= 2
    answers = [model.query(OUTSIDE) for model in (before, after)]
    assert [answer.level_used for answer in answers] == ["reduced", "enriched"]
    truth = compute_full(after, OUTSIDE, copy / "models/tiny-cube/runs").trajectory
    errors = [judge_run(model.parts, truth).errors for model in (before, after)]
    for name in ("displacement", "von_mises", "accumulated_plasticity"):
        assert errors[1][name] < errors[0][name]
    # The indicator was calibrated for the model as it is now, by all runs.
    assert set(after.parts.indicator.pairs.trajectories) == {0, 1, 2, 3}
    assert after.parts.indicator.intercept != before.parts.indicator.intercept


def test_an_enrichment_that_was_interrupted_ends_with_the_same_bits(
    copy: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copy / "models", other / "models")
    written(other)

    def interrupt(text: str) -> None:
        if "a full-order step" in text:
            raise KeyboardInterrupt

    enriched(copy, quiet)
    with pytest.raises(KeyboardInterrupt):
        enriched(other, interrupt)
    said: list[str] = []
    enriched(other, said.append)
    a, b = published(copy, 2), published(other, 2)
    assert a.parts.enriched == b.parts.enriched
    np.testing.assert_array_equal(a.parts.model.modes, b.parts.model.modes)
    np.testing.assert_array_equal(a.parts.model.weights, b.parts.model.weights)
    assert a.query(OUTSIDE).eta.tobytes() == b.query(OUTSIDE).eta.tobytes()


@pytest.mark.mpi
def test_a_solver_that_diverges_leaves_its_state_and_a_message(tmp_path: Path) -> None:
    study = tiny(tmp_path, solver={"max_iterations": 1, "max_cuts": 0}, validation=1)
    data = StructureData(study)
    job = data._jobs[0]
    by_hand_once(data.store, job)
    text = data.store.failure(job)
    assert text is not None
    assert "LoadStepError" in text
    assert str(data.store.rescue(job)) in text
    assert load_state(data.store.rescue(job)).displacement.shape == (27, 3)
    with pytest.raises(UserError, match="at least 3 full-order runs to build from; received 0"):
        build_parts(data, quiet)
    assert "LoadStepError" in data.complaint()


def by_hand_once(store: RunStore, job: RunJob) -> None:
    done = LocalCluster().run([WORKER, str(store.prepare(job))], 1, store.log(job))
    assert done.code == 0, done.errors


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


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["sampling.samples=2"], "at least 3 samples"),
        (["validation=0"], "validation"),
        (["run.chunk_size=2"], "a job of its own"),
        (["problem=cub"], "Did you mean cube?"),
        (["settings.cels=3"], "cells"),
        (["parameters.pressur=1"], "did you mean pressure?"),
        (["parameters.pressure.low=-9e9"], "pressure"),
        (["model.rank=0"], "model.rank"),
        (["tolerence=1"], "tolerance"),
        (["life.exponent=0.5"], "life.exponent"),
        (["tolerance=.inf"], "tolerance"),
        (["indicator.field=foo"], "indicator.field: expected one of the fields of the model"),
        (["model.fields=[stress]", "indicator.field=back_stress"], "indicator.field"),
        (["model.fields=[stress, foo]"], "received foo"),
        (["model.fields=[]"], "model.fields: expected the stress among them"),
        (["model.fields=[accumulated_plasticity]"], "model.fields"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(
    tmp_path: Path, romflow: Romflow, settings: list[str], text: str
) -> None:
    given = [word for setting in settings for word in ("--set", setting)]
    for dry in ([], ["--dry-run"]):
        done = romflow("run", "build-rom", "--rom", written(tmp_path), *given, *dry)
        assert done.code == 2, done.err
        assert text in done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "models").exists()


def test_laws_that_are_impossible_are_refused(tmp_path: Path, romflow: Romflow) -> None:
    law = {"kind": "linear-hardening", "coefficients": {"young": -2e5, "poisson": 0.3,
           "yield_stress": 10.0, "hardening": 100.0}}  # fmt: skip
    done = romflow("run", "build-rom", "--rom", written(tmp_path, law=law))
    assert done.code == 2, done.err
    assert "young" in done.err


def test_parameters_that_change_law_or_times_are_refused(tmp_path: Path) -> None:
    study = StructureStudy.model_validate(
        {
            **TINY,
            "problem": "notched-plate",
            "settings": {"around": 4, "away": 2, "through": 1},
            "parameters": {
                "period": {"low": 1.0, "high": 10.0},
                "temperature": {"low": 100.0, "high": 200.0},
                "stress": {"low": 100.0, "high": 120.0},
            },
        }
    )
    with pytest.raises(UserError, match=r"period changes the times; temperature changes the law"):
        structure_design(study)
    assert tmp_path.is_dir()


def test_enrichment_of_what_is_no_structure_is_refused(copy: Path) -> None:
    registry = Registry(copy / "models")
    with pytest.raises(UserError, match="out of tiny-cube"):
        enrich_structure("plate", registry, copy / "models", {}, lambda o: o, quiet)
    with pytest.raises(UserError, match="spot: missing"):
        enrich_structure("tiny-cube", registry, copy / "models", {}, lambda o: o, quiet)


def enriched_at(
    folder: Path, mu: dict[str, float], tolerance: float, tell: Callable[[str], None] = quiet
) -> StructureSummary:
    """Enrich by one step at most."""
    registry = Registry(folder / "models")
    options = EnrichmentOptions(tolerance=tolerance, budget=1)
    return enrich_structure("tiny-cube", registry, folder / "models", mu, lambda _: options, tell)


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


@pytest.mark.parametrize("index", [1, 4])
def test_an_enrichment_without_a_run_of_its_model_is_refused(copy: Path, index: int) -> None:
    data = StructureData(tiny(copy))
    lost = data.store.path(data._jobs[index])
    lost.unlink()
    with pytest.raises(UserError, match=f"no file .*{lost.name} of run {index}") as refused:
        enriched(copy, quiet)
    assert "romflow run build-rom" in str(refused.value)
    assert Registry(copy / "models").versions("tiny-cube") == (1,)


def test_an_enrichment_goes_on_after_an_end_before_its_first_step(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Checkpoints, _run: EnrichedRun) -> None:
        (self.folder / "model-000000").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr(Checkpoints, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            enriched_at(copy, OUTSIDE, 1e9)
    # Nothing is added: what is known of the version stays.
    summary = enriched_at(copy, OUTSIDE, 1e9)
    assert (summary.new, summary.version, summary.held_out) == (False, 1, 1)
    assert summary.coverage is not None
    assert set(summary.errors) == {"displacement", "von_mises", "accumulated_plasticity"}


def test_a_model_is_enriched_once_at_a_time(copy: Path) -> None:
    place = copy / "models/tiny-cube/enrichments"
    place.mkdir()
    other = FileLock(place / ".lock")
    assert other.acquire(wait=False)
    with pytest.raises(UserError, match="Expected one enrichment of tiny-cube at a time"):
        enriched(copy, quiet)
    other.release()


def test_a_run_that_was_learned_judges_no_longer(copy: Path) -> None:
    lineage: Any = published(copy).card.lineage
    said: list[str] = []
    enriched_at(copy, lineage["held_out"][0]["mu"], 1e-9, said.append)
    assert any("judge the model no longer" in text for text in said)
    card = published(copy).card
    assert (card.lineage["held_out"], card.lineage["evaluation"]) == ([], {})
    # Nothing is known of the quantities then; it is not said that they are exact.
    assert {quantity.error for quantity in card.quantities} == {None}


def test_a_model_without_a_run_does_not_learn_from_the_states_of_its_loads(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extend, own = Recalibration.extend, []

    def noted(self: Recalibration, loads: Any, full: Any, left: Any = ()) -> None:
        own.append(list(left))
        models = list(self._models)
        extend(self, loads, full, left)
        same = [a is b for a, b in zip(models, self._models, strict=True)]
        assert same == [False, False, True, False]

    monkeypatch.setattr(Recalibration, "extend", noted)
    lineage: Any = published(copy).card.lineage
    enriched_at(copy, lineage["samples"][2]["mu"], 1e-9)
    assert own == [[2]]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (("--time", 99), "99"),
        (("--select", "field=nonsense"), "nonsense"),
        (("--select", "qoi=nonsense"), "nonsense"),
        (("--picture", "p.png"), "triangles in the plane"),
        (("--policy", "nonsense"), "--policy: expected flag or refuse"),
    ],
)
def test_a_wrong_question_costs_no_full_order_run(
    home: Path, romflow: Romflow, monkeypatch: pytest.MonkeyPatch, question: Any, text: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("flows.structure_full.compute_full", never)
    done = romflow("query", "tiny-cube", "--models", home / "models", "--mu", "spot=0.35",
                   "--mu", "temperature_rise=600", "--full", *question)  # fmt: skip
    assert done.code == 2, done.err
    assert text in done.err


def test_a_full_answer_at_a_run_of_the_study_is_that_run(home: Path) -> None:
    model, data = published(home), StructureData(tiny(home))
    mu = {name: data._jobs[0].mu[name] for name in ("spot", "temperature_rise")}
    assert full_job(model, mu).key == data._jobs[0].key


def test_a_full_answer_is_computed_as_the_runs_of_the_study(home: Path) -> None:
    model = published(home)
    lineage: Any = model.card.lineage
    run = {**lineage["structure"]["run"], "ranks": 3}
    known = {**lineage, "structure": {**lineage["structure"], "run": run}}
    card = model.card.model_copy(update={"lineage": known})
    cluster, ranks = _where(PublishedStructure(card, model.parts), home)
    assert (type(cluster), ranks) == (LocalCluster, 3)


def test_a_study_that_is_none_is_told_what_is_there(tmp_path: Path, romflow: Romflow) -> None:
    done = romflow("run", "build-rom", "--rom", "plate-romm")
    assert (done.code, "Did you mean plate-rom?" in done.err) == (2, True)
    path = tmp_path / "neither.yaml"
    path.write_text("name: neither\nproblme: cube\n")
    done = romflow("run", "build-rom", "--rom", path)
    assert done.code == 2
    assert "expected `study`, which makes a model of fields, or `problem`" in done.err


def test_other_commands_say_that_they_are_not_for_structures(copy: Path, romflow: Romflow) -> None:
    for command in ("compare", "worth"):
        done = romflow(command, "tiny-cube", "--models", copy / "models")
        assert (done.code, "received a structure" in done.err) == (2, True)
    assert isinstance(find_any("tiny-cube", copy / "models"), PublishedStructure)


def test_shipped_structures_are_valid_and_bear_their_files_names() -> None:
    assert list(shipped_structures()) == ["blade-rom", "cube-rom", "plate-rom"]
    for name in shipped_structures():
        assert is_structure(name)
        assert load_structure_study(name).name == name
        structure_design(load_structure_study(name))
    assert not is_structure("darcy-rom")
    assert not is_structure("nothing.yaml")


def test_a_dry_run_shows_what_would_be_done(tmp_path: Path, romflow: Romflow) -> None:
    done = romflow("run", "build-rom", "--rom", written(tmp_path), "--dry-run")
    assert done.code == 0, done.err
    assert "4 to build from, 1 held out" in done.out
    assert not (tmp_path / "models").exists()
