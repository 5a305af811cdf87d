"""The text form of a training: what ``python -m surrogates job.json`` reads. No torch here."""

from pathlib import Path
from typing import Self, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.errors import UserError
from surrogates.settings import (
    ModelSettings,
    ReceptionSettings,
    ReservoirSettings,
    TrainingSettings,
)

__all__ = ["TrainingJob", "TrainingPaths", "read_job"]


@final
class TrainingPaths:
    """Every path of a run folder.

    Parameters
    ----------
    run : the run folder
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.model = run / "model"
        self.best = run / "best"
        self.checkpoints = run / "checkpoints"
        self.journal = run / "journal"
        self.held_out = run / "held-out"
        self.spool = run / "spool"
        self.history = run / "history.csv"
        self.bias = run / "bias.json"
        self.scores = run / "scores.json"
        self.examples = run / "examples.npz"
        self.tensorboard = run / "tensorboard"


@final
class TrainingJob(BaseModel):
    """A training of one surrogate from one study; paths are absolute.

    The frames come from live simulations (`rendezvous`), from the kept journal of an earlier run
    (`replay`), or, without either, from the committed samples of the dataset.

    Attributes
    ----------
    study : digest that names the study and its version, as in the stream's `StreamSpec`
    dataset : folder of the dataset: description, samples and mesh; its arrays may be empty
    run : folder of this training: checkpoints, journal, spool, history, model
    code : folder whose git commit goes into the lineage; without it the working folder
    rendezvous : file in which simulations find the trainer
    replay : folder of an earlier run that kept its journal
    samples : samples to train on
    validation : held-out samples, whole trajectories; none of them is trained on
    bounds : range of each parameter in the study; a parameter that is not named has the range of
        the dataset's samples
    logarithmic : parameters whose logarithm is what counts
    active : whether ``scores.json`` tells, while simulations run, how badly each sample is learnt
    model, reservoir, reception, training : settings
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: str = Field(min_length=1)
    dataset: Path
    run: Path
    code: Path = Path()
    rendezvous: Path | None = None
    replay: Path | None = None
    samples: tuple[int, ...] = Field(min_length=1)
    validation: tuple[int, ...] = ()
    bounds: dict[str, tuple[float, float]] = Field(default_factory=dict)
    logarithmic: tuple[str, ...] = ()
    active: bool = False
    model: ModelSettings = ModelSettings()
    reservoir: ReservoirSettings = ReservoirSettings()
    reception: ReceptionSettings = ReceptionSettings()
    training: TrainingSettings

    @model_validator(mode="after")
    def _samples_are_apart(self) -> Self:
        twice = sorted(set(self.samples) & set(self.validation))
        if twice:
            raise ValueError(
                f"validation: expected samples that are not trained on, received {twice} in both"
            )
        if self.rendezvous is not None and self.replay is not None:
            raise ValueError("rendezvous, replay: expected one of the two at most, received both")
        if self.active and self.rendezvous is None:
            raise ValueError("active: expected with a rendezvous only, for live simulations")
        return self

    @property
    def paths(self) -> TrainingPaths:
        """Every path of the run folder."""
        return TrainingPaths(self.run)


def read_job(path: Path) -> TrainingJob:
    """Read a job file.

    Raises
    ------
    UserError
        If it is missing or no training job.
    """
    try:
        return TrainingJob.model_validate_json(path.read_bytes())
    except OSError as error:
        received = str(error.strerror)
    except ValidationError as error:
        received = _in_one_line(error)
    raise UserError(
        f"{path}: expected a training job, received: {received}. "
        "Start the training again; it writes its job anew."
    )


def _in_one_line(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, entry['loc'])) or 'input'}: "
        f"{entry['msg'].removeprefix('Value error, ')}"
        for entry in error.errors()
    )
