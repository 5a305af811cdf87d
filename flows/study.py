"""The study: one model for YAML files, the command line, Prefect's form and the provenance."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flows.study_parts import ParameterChoice, ProblemChoice, RunSettings, SamplingSettings
from flows.text_form import assigned, read_yaml, validated
from infra.errors import UserError
from solvers.parameters import Interval
from solvers.problem import Kind
from solvers.problems import problem_class
from solvers.settings import LinearSettings, SolverSettings, TimeSettings
from solvers.transient_steps import equal_steps

__all__ = ["Study", "load_study", "shipped_studies", "with_settings"]

_SHIPPED = Path(__file__).parent / "studies"
# One replaces the other.
_EXCLUSIVE = (frozenset({"step", "cfl"}),)
# Stands for a problem that was refused itself.
_UNKNOWN = ProblemChoice(name="unknown")
# What problems in time are called, and output times that suit them.
_EXAMPLES: Mapping[Kind | None, tuple[str, str]] = MappingProxyType(
    {
        "flow": ("flow", "{end: 1.0, frames: 11, cfl: 1.0}"),
        "transient": ("problem", "{end: 1.0, frames: 11, step: 0.01}"),
    }
)


def _demo_parameters() -> dict[str, ParameterChoice]:
    return {
        "reynolds": Interval(low=80.0, high=200.0),
        "centre_y": Interval(low=0.18, high=0.23),
        "radius": Interval(low=0.04, high=0.055),
    }


@final
class Study(BaseModel):
    """What is computed, how, and where the data go.

    The defaults are a small study of flows around a cylinder. A study that names its problem has
    that problem's default settings and parameters instead.

    Attributes
    ----------
    name : name of the dataset and of its catalogue entry
    problem, sampling, run : see their classes
    time : of flows and of other problems in time; steady problems have none
    solver : of flows only
    linear : of all other problems
    parameters : for each parameter that the study varies a range {low, high}, or a fixed number;
        parameters that are not mentioned have the problem's default value
    output : folder that receives the dataset's folder
    catalog : folder of the catalogue
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("cylinder-demo", description="name of the dataset")
    description: str = Field(
        "Vortex streets behind a cylinder of variable place, size and Reynolds number.",
        description="one sentence for the catalogue",
    )
    problem: ProblemChoice = ProblemChoice(settings={"size": 0.014, "far_size": 0.04})
    parameters: dict[str, ParameterChoice] = Field(
        default_factory=_demo_parameters,
        description="ranges {low, high} or fixed numbers, by name",
    )
    sampling: SamplingSettings = SamplingSettings()
    time: TimeSettings | None = Field(
        TimeSettings(start=3.0, end=4.0, frames=41, cfl=1.0),
        description="output times and steps; none for a steady problem",
    )
    solver: SolverSettings = Field(SolverSettings(), description="of flows only")
    linear: LinearSettings = Field(LinearSettings(), description="of all but flows")
    run: RunSettings = RunSettings()
    output: Path = Field(Path("datasets"), description="folder that receives the dataset")
    catalog: Path = Field(Path("data-catalog"), description="folder of the catalogue")

    @model_validator(mode="before")
    @classmethod
    def _own_problem(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "problem" not in data:
            return data
        own: dict[str, Any] = {"parameters": {}, "description": "Incompressible flows."}
        kind, title = _kind_and_title(data["problem"])
        if kind in ("steady", "transient"):
            own |= {"description": f"{title}.", "time": None}
        return {**own, **data}

    @field_validator("time", mode="before")
    @classmethod
    def _time_of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        problem: ProblemChoice = info.data.get("problem", _UNKNOWN)
        kind, _ = _kind_and_title(problem)
        if kind == "steady" and value is not None:
            raise ValueError(
                f"expected none, for the problem {problem.name} is steady, received {value!r}; "
                "remove it"
            )
        if kind in _EXAMPLES and value is None:
            raise ValueError(
                f"expected the output times of the {_EXAMPLES[kind][0]} {problem.name}, for "
                f"example {_EXAMPLES[kind][1]}, received none"
            )
        return value

    @field_validator("time")
    @classmethod
    def _steps_of_its_kind(cls, time: TimeSettings | None, info: ValidationInfo) -> Any:
        kind, _ = _kind_and_title(info.data.get("problem", _UNKNOWN))
        if kind == "transient" and time is not None:
            try:
                equal_steps(time)
            except UserError as error:
                raise ValueError(str(error)) from error
        return time

    @field_validator("solver", "linear")
    @classmethod
    def _settings_of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        problem: ProblemChoice = info.data.get("problem", _UNKNOWN)
        kind, _ = _kind_and_title(problem)
        right = "solver" if kind == "flow" else "linear"
        if kind is not None and info.field_name != right and value != type(value)():
            raise ValueError(
                f"expected none, for it has no effect on the problem {problem.name}, received "
                f"{value}; its solver's settings are in the group `{right}`"
            )
        return value

    @field_validator("output", "catalog")
    @classmethod
    def _without_tilde(cls, place: Path) -> Path:
        return place.expanduser()

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
            raise ValueError(
                "expected lower-case letters, digits, '-', '_' and '.', at most 100, "
                f"received {name!r}"
            )
        return name

    @property
    def dataset(self) -> Path:
        """The folder of the dataset."""
        return self.output.absolute() / self.name

    @property
    def steady(self) -> bool:
        """Whether the problem has no time."""
        return self.time is None

    @property
    def kind(self) -> Kind:
        """The kind of the problem, see `solvers.problem.Problem`."""
        return problem_class(self.problem.name).kind

    def content(self) -> dict[str, Any]:
        """Return what decides the numbers: neither `run` and places nor what has no effect."""
        foreign = {"flow": {"linear"}, "transient": {"solver"}}.get(self.kind, {"time", "solver"})
        content = self.model_dump(mode="json", exclude={"run", "output", "catalog", *foreign})
        breed = self.sampling.breed
        if breed is None:  # what has no effect may not decide which data these are
            del content["sampling"]["settings"]
        else:
            content["sampling"]["settings"] = asdict(breed)
        return content


def _kind_and_title(problem: object) -> tuple[Kind | None, str]:
    """Return kind and title of a problem; no kind if there is none of this name.

    An unknown name is refused when the problem is made, with the known ones.
    """
    if isinstance(problem, Mapping):
        name = problem.get("name", "cylinder")
    else:
        name = getattr(problem, "name", None)
    try:
        found = problem_class(str(name))
    except UserError:
        return None, ""
    return found.kind, found.title


def shipped_studies() -> dict[str, Path]:
    """Return the studies that come with romflow, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}


def load_study(source: str) -> Study:
    """Read a study from a file, or one that comes with romflow by its name.

    Raises
    ------
    UserError
        If there is no such file or name, or it is no valid study; each wrong key is named.
    """
    data, path = read_yaml(source, shipped_studies(), "study")
    return validated(Study, data, str(path))


def with_settings(study: Study, assignments: Sequence[str]) -> Study:
    """Return the study with settings such as ``time.end=2`` or ``parameters.radius=0.05``.

    Values are read as YAML: numbers, words, ``{low: 1, high: 2}``.

    Raises
    ------
    UserError
        For an assignment without ``=``, an unknown key or an impossible value.
    """
    data = study.model_dump(mode="json", exclude_none=True)
    return validated(Study, assigned(data, assignments, _EXCLUSIVE), "study with --set")
