"""Each problem belongs to one flow, and each flow has a command, a deployment and a study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.exceptions import ParameterTypeError

from flows.build_rom import build_rom
from flows.families import FAMILIES, Family, family_of
from flows.generate import FLOWS
from flows.slurm_profile import load_profile
from flows.study import Study, load_study, shipped_studies
from flows.train import train_surrogate_online
from infra.errors import UserError
from solvers.problems import PROBLEMS

PROJECT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_each_problem_is_in_one_family(problem: str) -> None:
    assert [problem in family.problems for family in FAMILIES.values()].count(True) == 1


@EACH
def test_a_family_knows_its_problems_and_no_others(family: Family) -> None:
    for problem in family.problems:
        assert problem in PROBLEMS
        assert family_of(problem) == family
        family.check(problem, "mine")
    family.check("no such problem", "mine")  # is refused where it is looked up


@EACH
def test_the_default_study_is_shipped_and_of_the_family(family: Family) -> None:
    assert family.study in shipped_studies()
    assert load_study(family.study).problem.name in family.problems


@pytest.mark.parametrize("name", shipped_studies())
def test_each_shipped_study_has_a_flow(name: str) -> None:
    assert family_of(load_study(name).problem.name) is not None


def test_a_study_of_another_family_is_refused_with_the_right_command() -> None:
    with pytest.raises(UserError, match=r"study mine: generate-darcy-data expected.*cavity") as e:
        FAMILIES["generate-darcy-data"].check("cavity", "mine")
    assert "romflow run generate-ns-data" in str(e.value)
    assert "generate-ns-data/local" in str(e.value)


def test_each_flow_is_deployed_under_its_name() -> None:
    deployed = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    functions = [f"flows/generate.py:{name.replace('-', '_')}" for name in FAMILIES]
    models = [
        "flows/train.py:train_surrogate_online",
        "flows/build_rom.py:build_rom",
        "flows/structure_flow.py:build_structure_rom",
        "flows/structure_enrich_flow.py:enrich_structure_rom",
    ]
    here = [one["entrypoint"] for one in deployed if one["name"] == "local"]
    assert here == functions + models
    assert {one["name"] for one in deployed} == {"local", "slurm"}


def test_what_is_deployed_for_slurm_takes_the_profile_that_it_is_given() -> None:
    deployed = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    there = [one for one in deployed if one["name"] == "slurm"]
    flows = (FLOWS["generate-ns-data"], train_surrogate_online, build_rom)
    assert len(there) == len(flows)
    for one, flow in zip(there, flows, strict=True):
        assert one["entrypoint"].endswith(f":{flow.fn.__name__}")
        assert flow.validate_parameters(one["parameters"])["profile"] == "slurm"
    assert load_profile("slurm").kind == "slurm"


def received(flow: str, **given: Any) -> Study:
    """Return the study that a flow makes of the parameter of a deployment's run."""
    study = FLOWS[flow].validate_parameters({"study": given})["study"]
    return Study.model_validate(study)


@pytest.mark.parametrize(
    ("flow", "given"),
    [
        ("generate-darcy-data", {"sampling": {"seed": 7}}),
        ("generate-darcy-data", {"run": {"workers": 1}, "sampling": {"method": "uniform"}}),
        ("generate-darcy-data", {"linear": {"rtol": 1e-6}}),
        ("generate-ns-data", {"time": {"frames": 5}, "solver": {"rotational": False}}),
        ("generate-ns-data", {"solver": {"momentum": {"pc_type": "jacobi"}}}),
    ],
)
def test_a_group_given_in_part_keeps_the_rest_of_the_default(
    flow: str, given: Mapping[str, Mapping[str, Any]]
) -> None:
    default = load_study(FAMILIES[flow].study).model_dump()
    expected = default | {group: default[group] | part for group, part in given.items()}
    assert received(flow, **given).model_dump() == expected


def test_a_time_step_replaces_the_courant_number_of_the_default() -> None:
    time = received("generate-ns-data", time={"step": 1e-3}).time
    assert time is not None
    assert (time.step, time.cfl, time.frames) == (1e-3, None, 41)


def test_parameters_are_a_choice_as_a_whole_and_a_problem_has_its_own_defaults() -> None:
    varied = received("generate-darcy-data", parameters={"xi_0": 0.5})
    assert varied.parameters == {"xi_0": 0.5}
    assert varied.sampling.samples == 16
    other = received("generate-darcy-data", problem={"name": "darcy-fv"}, sampling={"seed": 7})
    assert (other.problem.settings, other.sampling.samples) == ({}, 4)


def test_what_is_no_group_is_refused_where_it_is() -> None:
    with pytest.raises(ParameterTypeError, match=r"study\.sampling"):
        received("generate-darcy-data", sampling=3)
