"""What an online training is: a study, the surrogate that learns from it, and the budget."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flows.study import Study, load_study
from flows.text_form import assigned, read_yaml, validated, with_study_beside
from surrogates.job import TrainingPaths
from surrogates.settings import (
    ModelSettings,
    ReceptionSettings,
    ReservoirSettings,
    TrainingSettings,
)

__all__ = ["OnlineStudy", "load_training", "shipped_trainings", "with_training_settings"]

_SHIPPED = Path(__file__).parent / "trainings"
# Of each group the one that is set replaces the others.
_EXCLUSIVE = (frozenset({"step", "cfl"}), frozenset({"steps", "passes"}))


@final
class OnlineStudy(BaseModel):
    """A surrogate that is trained while its simulations run.

    Attributes
    ----------
    name : name of the surrogate and of its folder
    description : one sentence for its card
    study : the simulations: the name of a shipped study, a file, or a study itself
    validation : simulations beyond `study.sampling.samples` that are held out: whole trajectories
        by which the error is measured, never trained on
    archive : whether the frames are kept as a dataset as well
    model, reservoir, reception, training : see their classes
    trainer_profile : cluster profile of the trainer's own job; none: a Slurm job like those of the
        simulations if they are such jobs, else the trainer runs where the flow runs
    output : folder that receives the surrogate's folder
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="name of the surrogate")
    description: str = Field("", description="one sentence for its card")
    study: Study = Field(description="the simulations: a study, its file, or its name")
    validation: int = Field(4, ge=0, le=100_000, description="held-out simulations")
    archive: bool = Field(False, description="whether the frames become a dataset as well")
    model: ModelSettings = ModelSettings()
    reservoir: ReservoirSettings = ReservoirSettings()
    reception: ReceptionSettings = ReceptionSettings()
    training: TrainingSettings = TrainingSettings(passes=20.0, steps=None)
    trainer_profile: str | None = Field(
        None, description="file or name of a cluster profile for the trainer's own job"
    )
    output: Path = Field(Path("models"), description="folder that receives the surrogate")

    @field_validator("study", mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return load_study(given) if isinstance(given, str) else given

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
            raise ValueError(
                "expected lower-case letters, digits, '-', '_' and '.', at most 100, "
                f"received {name!r}"
            )
        return name

    @field_validator("output")
    @classmethod
    def _without_tilde(cls, place: Path) -> Path:
        return place.expanduser()

    @property
    def folder(self) -> Path:
        """The folder of the surrogate and of all that its training keeps."""
        return self.output.absolute() / self.name

    @property
    def paths(self) -> TrainingPaths:
        """Every path of the trainer in that folder."""
        return TrainingPaths(self.folder)

    @property
    def rendezvous(self) -> Path:
        """The file in which simulations find the trainer, in a folder that only its owner reads."""
        return self.folder / "rendezvous" / "trainer.json"

    @property
    def data(self) -> Study:
        """The study with its held-out simulations.

        Its dataset bears the surrogate's name. Without an archive it holds samples and mesh only,
        and lies with the surrogate.
        """
        sampling = self.study.sampling
        more = sampling.model_copy(update={"samples": sampling.samples + self.validation})
        place = {"name": self.name} if self.archive else {"name": "stream", "output": self.folder}
        return self.study.model_copy(update={"sampling": more, **place})

    def at(self, profile: str | None) -> "OnlineStudy":
        """Return the training with its simulations on another cluster, if one is named."""
        if profile is None:
            return self
        run = self.study.run.model_copy(update={"profile": profile})
        return self.model_copy(update={"study": self.study.model_copy(update={"run": run})})

    @property
    def held_out(self) -> tuple[int, ...]:
        """Indices of the held-out simulations."""
        first = self.study.sampling.samples
        return tuple(range(first, first + self.validation))


def shipped_trainings() -> dict[str, Path]:
    """Return the trainings that come with romflow, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}


def load_training(source: str) -> OnlineStudy:
    """Read a training from a file, or one that comes with romflow by its name.

    Raises
    ------
    UserError
        If there is no such file or name, or it is no valid training; each wrong key is named.
    """
    data, path = read_yaml(source, shipped_trainings(), "training")
    return validated(OnlineStudy, with_study_beside(data, path), str(path))


def with_training_settings(training: OnlineStudy, assignments: Sequence[str]) -> OnlineStudy:
    """Return the training with settings such as ``training.passes=5`` or ``study.run.ranks=1``.

    Raises
    ------
    UserError
        For an assignment without ``=``, an unknown key or an impossible value.
    """
    data = training.model_dump(mode="json", exclude_none=True)
    return validated(OnlineStudy, assigned(data, assignments, _EXCLUSIVE), "training with --set")
