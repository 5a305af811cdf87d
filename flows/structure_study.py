"""What a reduced structure is built from: a problem, its runs, those held out, and settings."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, final

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flows.study_parts import ParameterChoice, RunSettings, SamplingSettings
from flows.text_form import assigned, read_yaml, validated
from rom.structures.life import LifeSettings
from rom.structures.settings import StructureSettings as ModelSettings
from solvers.laws.description import LawDescription
from solvers.structures.settings import StructureSettings as SolverSettings

__all__ = [
    "IndicatorSettings",
    "StructureStudy",
    "is_structure",
    "load_structure_study",
    "shipped_structures",
    "with_structure_settings",
]

_SHIPPED = Path(__file__).parent / "roms"
_FORBID = ConfigDict(extra="forbid", frozen=True)
# Fewer runs leave nothing to calibrate with.
_FEWEST = 3


@final
class IndicatorSettings(BaseModel):
    """How the indicator is calibrated."""

    model_config = _FORBID

    field: str | None = Field(
        None, description="whose error it tells; none: accumulated_plasticity, else stress"
    )
    level: float = Field(0.95, gt=0.0, lt=1.0, description="part of the errors that is below it")


@final
class StructureStudy(BaseModel):
    """A reduced structure, the full-order runs that it is built from, and those that judge it.

    Attributes
    ----------
    name : name of the model, in its registry and in the catalogue
    description : one sentence for its card
    problem : cube, notched-plate or blade
    settings : of the problem: resolution, cycles and the like
    law : another law than that of the problem
    parameters : for each parameter that varies a range {low, high}, or a fixed number; others have
        the problem's default value
    sampling : runs to build from
    validation : further runs that are held out: they judge the model, and never build it
    solver : of the full-order model
    model : how the reduced one is built
    indicator : how it is calibrated
    tolerance : of the indicator: answers above it are not trusted
    life : coefficients of Manson and Coffin; none: the strain range alone is told
    run : how full-order runs are computed; each is a job of its own
    output : folder of the registry, which receives the model
    catalog : folder of the catalogue
    """

    model_config = _FORBID

    name: str = Field(description="name of the model")
    description: str = Field("", description="one sentence for its card")
    problem: str = Field(description="cube, notched-plate or blade")
    settings: dict[str, Any] = Field(default_factory=dict, description="of the problem")
    law: LawDescription | None = Field(None, description="none: that of the problem")
    parameters: dict[str, ParameterChoice] = Field(
        default_factory=dict, description="ranges {low, high} or fixed numbers, by name"
    )
    sampling: SamplingSettings = SamplingSettings(samples=6)
    validation: int = Field(2, ge=1, le=10_000, description="held-out runs")
    solver: SolverSettings = SolverSettings()
    model: ModelSettings = ModelSettings()
    indicator: IndicatorSettings = IndicatorSettings()
    tolerance: float = Field(0.05, gt=0.0, allow_inf_nan=False, description="of the indicator")
    life: LifeSettings | None = Field(None, description="of Manson and Coffin")
    run: RunSettings = RunSettings(ranks=1, chunk_size=1, workers=2)
    output: Path = Field(Path("models"), description="folder of the registry")
    catalog: Path = Field(Path("data-catalog"), description="folder of the catalogue")

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", name):
            raise ValueError(
                "expected up to 64 lower-case letters, digits, '-' and '_', with a letter or digit "
                f"at both ends, received {name!r}"
            )
        return name

    @field_validator("output", "catalog")
    @classmethod
    def _without_tilde(cls, place: Path) -> Path:
        return place.expanduser()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.sampling.breed is not None or self.sampling.samples < _FEWEST:
            raise ValueError(
                f"sampling: expected a design that is fixed beforehand with at least {_FEWEST} "
                "samples, for the indicator is calibrated by leaving out one run at a time; "
                f"received {self.sampling.samples} of {self.sampling.method}"
            )
        if self.run.chunk_size != 1:
            raise ValueError(
                "run.chunk_size: expected 1, for each run of a structure is a job of its own, "
                f"received {self.run.chunk_size}"
            )
        return self

    @property
    def registry(self) -> Path:
        """The folder of the registry."""
        return self.output.absolute()

    @property
    def folder(self) -> Path:
        """The folder of all versions of the model, and of the runs."""
        return self.registry / self.name

    @property
    def runs(self) -> Path:
        """The folder of the full-order runs."""
        return self.folder / "runs"


def shipped_structures() -> dict[str, Path]:
    """Return the studies of structures that come with romflow, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml")) if _names_problem(path)}


def is_structure(source: str) -> bool:
    """Tell whether a file, or the name of a shipped one, is the study of a structure."""
    return source in shipped_structures() or _names_problem(Path(source))


def load_structure_study(source: str) -> StructureStudy:
    """Read a study from a file, or one that comes with romflow by its name.

    Raises
    ------
    UserError
        If there is no such file or name, or it is not valid; each wrong key is named.
    """
    data, path = read_yaml(source, shipped_structures(), "rom")
    return validated(StructureStudy, data, str(path))


def with_structure_settings(study: StructureStudy, assignments: Sequence[str]) -> StructureStudy:
    """Return it with settings such as ``model.rank=4`` or ``sampling.samples=8``.

    Raises
    ------
    UserError
        For an assignment without ``=``, an unknown key or an impossible value.
    """
    data = study.model_dump(mode="json", exclude_none=True)
    return validated(StructureStudy, assigned(data, assignments), "rom with --set")


def _names_problem(path: Path) -> bool:
    """Whether a file names its problem itself; models of fields name a study."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return False  # whoever reads it says what is wrong
    return isinstance(data, Mapping) and "problem" in data
