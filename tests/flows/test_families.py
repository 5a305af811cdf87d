"""Each problem belongs to one flow, and each flow has a command, a deployment and a study."""

from pathlib import Path

import pytest
import yaml

from flows.families import FAMILIES, Family, family_of
from flows.study import load_study, shipped_studies
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
    assert [one["entrypoint"] for one in deployed] == functions
    assert {one["name"] for one in deployed} == {"local"}
