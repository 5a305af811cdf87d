"""What a reduced model is built from: a study, held-out samples, settings, room for enrichment."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flows.structure_study import shipped_structures
from flows.study import Study, load_study
from flows.text_form import assigned, read_yaml, validated, with_study_beside
from infra.errors import UserError
from rom.enrichment import EnrichmentSettings
from rom.settings import ReducedModelSettings

__all__ = ["RomStudy", "load_rom", "shipped_roms", "with_rom_settings"]

_SHIPPED = Path(__file__).parent / "roms"
# Of each group the one that is set replaces the others.
_EXCLUSIVE = (frozenset({"step", "cfl"}),)


@final
class RomStudy(BaseModel):
    """A reduced model, the simulations that it is built from, and those that judge it.

    Attributes
    ----------
    name : name of the model, in its registry and in the catalogue
    description : one sentence for its card
    study : the simulations to build it from: a shipped study, a file, or a study itself
    validation : further simulations that are held out: they judge the model, and never build it
    fields : names of the fields of the model; none: all
    quantities : names of its quantities of interest; none: all numbers of the dataset, also what
        its solver reports
    model : how it is built
    enrichment : where and how long simulations are added; none: the study's alone
    room : simulations that the dataset may grow by, over all enrichments; it is fixed with the
        dataset. By default the budget of the enrichment
    output : folder of the registry, which receives the model
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="name of the model")
    description: str = Field("", description="one sentence for its card")
    study: Study = Field(description="the simulations: a study, its file, or its name")
    validation: int = Field(16, ge=0, le=100_000, description="held-out simulations")
    fields: tuple[str, ...] = Field((), description="fields of the model; none: all")
    quantities: tuple[str, ...] = Field((), description="quantities of interest; none: all")
    model: ReducedModelSettings = ReducedModelSettings()
    enrichment: EnrichmentSettings | None = Field(None, description="none: no further simulations")
    room: int | None = Field(None, ge=0, le=100_000, description="simulations that may be added")
    output: Path = Field(Path("models"), description="folder of the registry")

    @field_validator("study", mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return load_study(given) if isinstance(given, str) else given

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", name):
            raise ValueError(
                "expected up to 64 lower-case letters, digits, '-' and '_', with a letter or digit "
                f"at both ends, received {name!r}"
            )
        return name

    @field_validator("output")
    @classmethod
    def _without_tilde(cls, place: Path) -> Path:
        return place.expanduser()

    @model_validator(mode="after")
    def _parts_that_fit(self) -> Self:
        if self.study.sampling.breed is not None:
            raise ValueError(
                "study.sampling.method: expected a design that is fixed beforehand, such as sobol, "
                "received breed; a reduced model adds samples with the group `enrichment`"
            )
        budget = 0 if self.enrichment is None else self.enrichment.budget
        if self.room is not None and self.room < budget:
            raise ValueError(
                f"room: expected at least the enrichment's budget of {budget} simulations, "
                f"received {self.room}"
            )
        return self

    @property
    def later(self) -> int:
        """Number of simulations that the dataset has room for beyond those fixed beforehand."""
        if self.room is not None:
            return self.room
        return 0 if self.enrichment is None else self.enrichment.budget

    @property
    def registry(self) -> Path:
        """The folder of the registry."""
        return self.output.absolute()

    @property
    def folder(self) -> Path:
        """The folder of all versions of the model, and of their reports."""
        return self.registry / self.name

    @property
    def data(self) -> Study:
        """The study of all simulations: to build from, held out, and room for later ones.

        Its dataset bears the model's name; that of a model without anything beyond the study is
        the study's own, and shared with it.
        """
        more = self.validation + self.later
        if not more:
            return self.study
        sampling = self.study.sampling
        grown = sampling.model_copy(update={"samples": sampling.samples + more})
        return self.study.model_copy(update={"sampling": grown, "name": self.name})

    @property
    def training(self) -> tuple[int, ...]:
        """Indices of the simulations to build from that are fixed beforehand."""
        return tuple(range(self.study.sampling.samples))

    @property
    def held_out(self) -> tuple[int, ...]:
        """Indices of the held-out simulations."""
        first = self.study.sampling.samples
        return tuple(range(first, first + self.validation))


def shipped_roms() -> dict[str, Path]:
    """Return the reduced models of fields that come with romflow, by name."""
    structures = shipped_structures()
    return {p.stem: p for p in sorted(_SHIPPED.glob("*.yaml")) if p.stem not in structures}


def load_rom(source: str) -> RomStudy:
    """Read a reduced model's study from a file, or one that comes with romflow by its name.

    Raises
    ------
    UserError
        If there is no such file or name, or it is not valid; each wrong key is named.
    """
    data, path = read_yaml(source, {**shipped_roms(), **shipped_structures()}, "rom")
    if not {"study", "problem"} & data.keys():
        raise UserError(
            f"{path}: expected `study`, which makes a model of fields, or `problem`, which makes a "
            f"structure; received {', '.join(sorted(map(str, data)))}."
        )
    return validated(RomStudy, with_study_beside(data, path), str(path))


def with_rom_settings(rom: RomStudy, assignments: Sequence[str]) -> RomStudy:
    """Return it with settings such as ``model.tolerance=1e-3`` or ``study.run.ranks=1``.

    Raises
    ------
    UserError
        For an assignment without ``=``, an unknown key or an impossible value.
    """
    data = rom.model_dump(mode="json", exclude_none=True)
    return validated(RomStudy, assigned(data, assignments, _EXCLUSIVE), "rom with --set")
