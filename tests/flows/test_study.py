"""A study is the same wherever it is written, and refuses what it does not know by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flows.design import design
from flows.study import Study, load_study, shipped_studies, with_settings
from infra.errors import UserError
from solvers.parameters import Interval

TIME = {"end": 1.0, "frames": 2, "step": 0.1}
ALL_KEYS = {
    "name": "all-keys",
    "description": "Every key of a study.",
    "problem": {"name": "cavity", "settings": {"cells": 8}},
    "parameters": {"viscosity": 0.02},
    "sampling": {"method": "uniform", "samples": 7, "seed": 11},
    "time": {"end": 2.0, "start": 1.0, "frames": 3, "cfl": 0.5, "courant_limit": 1.5},
    "solver": {"rtol": 1e-9, "rotational": False, "momentum": {"ksp_type": "gmres"}},
    "run": {"ranks": 3, "chunk_size": 4, "workers": 2, "runner": "dask", "retries": 0},
    "output": "/data",
    "catalog": "/catalogue",
}


def written(folder: Path, content: Any) -> str:
    path = folder / "study.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def refusal(folder: Path, content: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_study(written(folder, content))
    return str(caught.value)


@pytest.mark.parametrize("study", [Study(), Study.model_validate(ALL_KEYS)])
def test_a_study_survives_yaml(study: Study, tmp_path: Path) -> None:
    assert load_study(written(tmp_path, study.model_dump(mode="json"))) == study


def test_the_default_study_is_the_demo() -> None:
    assert Study() == load_study("cylinder-demo")


@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_can_be_designed_and_bear_their_files_names(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    made = design(study)
    assert len(made.samples) == study.sampling.samples
    assert made.problem.name == study.problem.name


STEADY = {"problem": {"name": "darcy"}, "parameters": {"contrast": 25.0}}


def test_a_steady_study_has_no_time_and_survives_yaml(tmp_path: Path) -> None:
    study = load_study(written(tmp_path, STEADY))
    assert study.steady
    assert study.time is None
    assert study.description == "Flow through a porous medium."
    assert load_study(written(tmp_path, study.model_dump(mode="json"))) == study.model_copy(
        update={"name": "study"}
    )
    assert with_settings(study, ["linear.rtol=1e-6"]).linear.rtol == 1e-6


def test_what_has_no_effect_is_refused_not_ignored(tmp_path: Path) -> None:
    text = refusal(tmp_path, {**STEADY, "time": TIME})
    assert "time: expected none, for the problem darcy is steady, received" in text
    text = refusal(tmp_path, {**STEADY, "solver": {"rtol": 1e-9}})
    assert "solver: expected none" in text
    assert "in the group `linear`" in text
    text = refusal(tmp_path, {"problem": {"name": "cavity"}, "linear": {"rtol": 1e-9}})
    assert "in the group `solver`" in text
    text = refusal(tmp_path, {"problem": {"name": "cavity"}, "time": None})
    assert "time: expected the output times of the flow cavity" in text


def test_an_unknown_linear_method_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    text = refusal(tmp_path, {**STEADY, "linear": {"method": "magic"}})
    assert "linear.method" in text
    assert "'lagged-factor-rescaled'" in text
    assert "magic" in text


def test_the_content_holds_what_has_an_effect_and_nothing_else(tmp_path: Path) -> None:
    steady, flow = load_study(written(tmp_path, STEADY)).content(), Study().content()
    common = {"name", "description", "problem", "parameters", "sampling"}
    assert set(steady) == common | {"linear"}
    assert set(flow) == common | {"time", "solver"}


def test_a_random_field_varies_without_being_listed(tmp_path: Path) -> None:
    study = load_study(written(tmp_path, STEADY))
    made = design(study)
    assert {p.name for p in made.space.free} == set(made.problem.random_parameters)
    fixed = design(with_settings(study, ["parameters.xi_0=1.5"]))
    assert {sample.mu["xi_0"] for sample in fixed.samples} == {1.5}
    assert len({sample.mu["xi_1"] for sample in fixed.samples}) == len(fixed.samples)


def test_a_study_that_names_its_problem_has_nothing_of_the_demo(tmp_path: Path) -> None:
    study = load_study(written(tmp_path, {"problem": {"name": "cavity"}}))
    assert study.problem.settings == {}
    assert study.parameters == {}
    assert "cylinder" not in study.description
    design(with_settings(study, ["sampling.samples=1"]))


@pytest.mark.parametrize(
    ("content", "key", "near"),
    [
        ({"tiem": TIME}, "tiem", "time"),
        ({"time": {**TIME, "ned": 1}}, "time.ned", "end"),
        ({"problem": {"nam": "cavity"}}, "problem.nam", "name"),
        ({"sampling": {"sample": 3}}, "sampling.sample", "samples"),
        ({"solver": {"rtool": 1e-9}}, "solver.rtool", "rtol"),
        ({"run": {"rank": 3}}, "run.rank", "ranks"),
        (
            {"parameters": {"reynolds": {"low": 1, "hgih": 2}}},
            "parameters.reynolds.range.hgih",
            "high",
        ),
    ],
)
def test_unknown_keys_are_named_with_the_one_that_was_meant(
    tmp_path: Path, content: Any, key: str, near: str
) -> None:
    text = refusal(tmp_path, content)
    assert f"{key}: unknown key" in text
    assert f"{key}: did you mean {near}?" in text


def test_a_key_like_no_other_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    text = refusal(tmp_path, {"run": {"zzz": 1}, "tiem": {}})
    assert "run.zzz: known keys are ranks, chunk_size, workers, runner, retries" in text
    assert "tiem: did you mean time?" in text


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({"name": "A b"}, ["name: ", "expected lower-case letters", "received 'A b'"]),
        ({"name": 3}, ["name: ", "valid string", "received 3"]),
        ({"sampling": {"samples": 0}}, ["sampling.samples: ", "or equal to 1", "received 0"]),
        ({"sampling": {"samples": "four"}}, ["sampling.samples: ", "integer", "received 'four'"]),
        ({"run": {"runner": "slurm"}}, ["run.runner: ", "'threads' or 'dask'", "'slurm'"]),
        ({"parameters": {"reynolds": "fast"}}, ["parameters.reynolds", "number", "'fast'"]),
        ({"parameters": {"reynolds": True}}, ["parameters.reynolds", "expected a number", "truth"]),
        ({"parameters": {"reynolds": {"low": 1}}}, ["parameters.reynolds.range.high", "required"]),
        ({"time": {"end": 1, "frames": 2}}, ["time: ", "exactly one of step", "cfl = None"]),
        ({"time": {**TIME, "cfl": 1}}, ["time: ", "exactly one of step", "cfl = 1.0"]),
        ({"time": {**TIME, "start": 2}}, ["time: ", "expected start < end", "start = 2.0"]),
        ({"problem": "cavity"}, ["problem: ", "dictionary", "received 'cavity'"]),
        ([1, 2], ["expected keys with values", "received [1, 2]"]),
        ("a: [", ["expected YAML", "line 1"]),
    ],
)
def test_wrong_values_are_named_with_what_was_expected_and_received(
    tmp_path: Path, content: Any, parts: list[str]
) -> None:
    text = refusal(tmp_path, content)
    assert "study.yaml" in text
    for part in parts:
        assert part in text


def test_an_unknown_study_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No such file.*Did you mean taylor-green\?"):
        load_study("taylorgreen")
    with pytest.raises(UserError, match="Is a directory"):
        load_study(str(tmp_path))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="expected YAML"):
        load_study(str(tmp_path / "binary"))


def test_settings_change_what_they_name_and_nothing_else() -> None:
    study = load_study("taylor-green")
    changed = with_settings(
        study,
        ["time.end=2", "run.runner=dask", "parameters.viscosity.low=0.01", "output=/data"],
    )
    assert changed.time.end == 2.0
    assert changed.run.runner == "dask"
    assert changed.parameters == {"viscosity": Interval(low=0.01, high=0.05)}
    assert changed.output == Path("/data")
    same = ["time.end=1.0", "run.runner=threads", "parameters.viscosity.low=0.005"]
    assert with_settings(changed, [*same, "output=datasets"]) == study


def test_settings_are_yaml_and_the_last_one_holds() -> None:
    study = with_settings(
        Study(), ["parameters={reynolds: 100}", "sampling.seed=1", "sampling.seed=2"]
    )
    assert study.parameters == {"reynolds": 100.0}
    assert study.sampling.seed == 2
    assert with_settings(study, []) == study


def test_step_and_cfl_replace_each_other() -> None:
    study = load_study("taylor-green")
    assert (study.time.step, study.time.cfl) == (0.02, None)
    adaptive = with_settings(study, ["time.cfl=0.5"])
    assert (adaptive.time.step, adaptive.time.cfl) == (None, 0.5)
    assert with_settings(adaptive, ["time.step=0.02"]) == study
    assert with_settings(study, ["time.step=null", "time.cfl=0.5"]) == adaptive
    with pytest.raises(UserError, match="exactly one of step"):
        with_settings(study, ["time.step=null"])


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("time.end", "expected key=value"),
        ("=3", "expected key=value"),
        ("time.ned=3", "time.ned: did you mean end?"),
        ("tiem.end=3", "tiem: did you mean time?"),
        ("time.end.x=3", "expected a group before .x, received the value 1.0"),
        ("time.end=", "received None"),
        ("run.ranks=two", "received 'two'"),
        ("parameters.viscosity={low: 1", "expected a YAML value"),
        ("time..end=3", "time.: unknown key"),
    ],
)
def test_impossible_settings_are_refused(assignment: str, text: str) -> None:
    with pytest.raises(UserError) as caught:
        with_settings(load_study("taylor-green"), [assignment])
    assert text in str(caught.value)
    assert "--set" in str(caught.value)


def test_the_content_decides_the_numbers_and_holds_no_place() -> None:
    study = Study.model_validate(ALL_KEYS)
    assert set(ALL_KEYS) - set(study.content()) == {"run", "output", "catalog"}
    elsewhere = with_settings(study, ["run.ranks=1", "output=a", "catalog=b"])
    assert elsewhere.content() == study.content()
    assert with_settings(study, ["sampling.seed=12"]).content() != study.content()


def test_a_study_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Study().name = "other"


def test_a_study_without_a_name_has_the_one_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("problem: {name: cavity}\n")
    assert load_study(str(tmp_path / "mine.yaml")).name == "mine"
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(UserError, match="empty file"):
        load_study(str(tmp_path / "empty.yaml"))


@pytest.mark.parametrize("key", ["sampling.samples", "run.ranks"])
def test_truth_values_are_no_numbers(key: str) -> None:
    with pytest.raises(UserError, match=key):
        with_settings(Study(), [f"{key}=yes"])


def test_the_home_folder_may_be_written_as_a_tilde() -> None:
    assert with_settings(Study(), ["output=~/data"]).output == Path.home() / "data"
