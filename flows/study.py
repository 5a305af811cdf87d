"""The study: one model for YAML files, the command line, Prefect's form and the provenance."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, final

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from infra.errors import UserError
from solvers.chunk import validation_message
from solvers.parameters import Interval
from solvers.settings import SolverSettings, TimeSettings

__all__ = [
    "ProblemChoice",
    "RunSettings",
    "SamplingSettings",
    "Study",
    "load_study",
    "shipped_studies",
    "with_settings",
]

_FORBID = ConfigDict(extra="forbid", frozen=True)
# Otherwise YAML's `yes` would silently be one sample, or one rank.
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_SHIPPED = Path(__file__).parent / "studies"


@final
class ProblemChoice(BaseModel):
    """Which problem, and its choices that are not sampled."""

    model_config = _FORBID

    name: str = Field("cylinder", description="name of the problem, see `romflow studies`")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="resolution, kind of inflow and the like; each problem has its own",
    )


@final
class SamplingSettings(BaseModel):
    """How many samples, and where in the parameter box they lie."""

    model_config = _STRICT

    method: str = Field("sobol", description="sobol, latin-hypercube, uniform or grid")
    samples: int = Field(4, ge=1, le=1_000_000, description="number of samples")
    seed: int = Field(2026, ge=0, description="seed of the design and of each sample's seed")


@final
class RunSettings(BaseModel):
    """How the work is done; it changes the speed, not the results."""

    model_config = _STRICT

    ranks: int = Field(2, ge=1, le=4096, description="MPI processes of each chunk")
    chunk_size: int = Field(2, ge=1, description="samples computed one after another by one job")
    workers: int = Field(1, ge=1, le=4096, description="chunks computed side by side")
    runner: Literal["threads", "dask"] = Field("threads", description="Prefect's task runner")
    retries: int = Field(2, ge=0, le=20, description="further attempts after a crash of a chunk")


def _no_truth_value(value: object) -> object:
    # Otherwise YAML's `yes` would silently become 1.0.
    if isinstance(value, bool):
        raise ValueError("expected a number, received a truth value")
    return value


# Decided by the form, so that errors speak of the one that was meant.
type ParameterChoice = Annotated[
    Annotated[FiniteFloat, BeforeValidator(_no_truth_value), Tag("number")]
    | Annotated[Interval, Tag("range")],
    Discriminator(lambda v: "range" if isinstance(v, Mapping | Interval) else "number"),
]


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
    problem, sampling, time, solver, run : see their classes
    parameters : for each parameter that the study varies a range {low, high}, or a fixed number;
        parameters that are not mentioned have the problem's default value
    output : folder that receives the dataset's folder
    catalog : folder of the catalogue
    """

    model_config = _FORBID

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
    time: TimeSettings = TimeSettings(start=3.0, end=4.0, frames=41, cfl=1.0)
    solver: SolverSettings = SolverSettings()
    run: RunSettings = RunSettings()
    output: Path = Field(Path("datasets"), description="folder that receives the dataset")
    catalog: Path = Field(Path("data-catalog"), description="folder of the catalogue")

    @model_validator(mode="before")
    @classmethod
    def _own_problem(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "problem" in data:
            return {"parameters": {}, "description": "Incompressible flows.", **data}
        return data

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

    def content(self) -> dict[str, Any]:
        """Return what decides the numbers: the study without `run` and its places."""
        return self.model_dump(mode="json", exclude={"run", "output", "catalog"})


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
    shipped = shipped_studies()
    path = shipped.get(source, Path(source))
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        near = get_close_matches(source, shipped, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"study {source}: expected a file or one of {', '.join(shipped)}, received "
            f"{error.strerror or error}.{hint}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"study {source}: expected YAML, received: {error}") from error
    if data is None:
        raise UserError(f"study {source}: expected keys with values, received an empty file")
    if isinstance(data, dict) and "name" not in data:
        data = {"name": path.stem, **data}  # never the dataset of another study
    return _validated(data, str(path))


def with_settings(study: Study, assignments: Sequence[str]) -> Study:
    """Return the study with settings such as ``time.end=2`` or ``parameters.radius=0.05``.

    Values are read as YAML: numbers, words, ``{low: 1, high: 2}``.

    Raises
    ------
    UserError
        For an assignment without ``=``, an unknown key or an impossible value.
    """
    data = study.model_dump(mode="json", exclude_none=True)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise UserError(f"--set {assignment}: expected key=value, for example time.end=2")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {assignment}: expected a YAML value: {error}") from error
        _assign(data, key.split("."), value, assignment)
    return _validated(data, "study with --set")


def _assign(data: dict[str, Any], keys: list[str], value: Any, assignment: str) -> None:
    for key in keys[:-1]:
        inner = data.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UserError(
                f"--set {assignment}: expected a group before .{keys[-1]}, "
                f"received the value {inner!r}; set {key} itself"
            )
        data = inner
    if keys[-1] in ("step", "cfl") and value is not None:
        # One replaces the other.
        data.pop("cfl" if keys[-1] == "step" else "step", None)
    data[keys[-1]] = value


def _validated(data: Any, source: str) -> Study:
    if not isinstance(data, Mapping):
        raise UserError(f"{source}: expected keys with values, received {data!r}")
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{source}: {_with_hints(error)}") from error


def _with_hints(error: ValidationError) -> str:
    """Add what was probably meant to unknown keys."""
    lines = [validation_message(error)]
    for entry in error.errors():
        if entry["type"] != "extra_forbidden":
            continue
        *place, key = map(str, entry["loc"])
        known = _known_keys(place)
        near = get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
        lines.append(f"  {'.'.join([*place, key])}: {hint}")
    return "\n".join(lines)


def _known_keys(place: Sequence[str]) -> list[str]:
    """Return the keys of the group at `place`."""
    model: type[BaseModel] = Study
    for key in place:
        inner = model.model_fields[key].annotation if key in model.model_fields else Interval
        # Only the parameters are a mapping of groups, and their groups are ranges.
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else Interval
    return list(model.model_fields)
