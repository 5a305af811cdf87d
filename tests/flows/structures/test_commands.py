"""Commands about structures: wrong studies and questions are refused, others are answered."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flows.rom_models import find_any
from flows.structure_data import StructureData
from flows.structure_design import structure_design
from flows.structure_full import _where, compute_full, full_job
from flows.structure_jobs import compare_structure
from flows.structure_study import (
    StructureStudy,
    is_structure,
    load_structure_study,
    shipped_structures,
)
from infra.cluster import LocalCluster
from infra.errors import UserError
from rom.service.local_jobs import JobHandle
from rom.structures.published import PublishedStructure
from tests.flows.structures.tiny_cube import TINY, published, tiny, written

type Romflow = Callable[..., SimpleNamespace]


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
