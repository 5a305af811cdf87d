"""A training done again from its recorded arrivals: on one machine the same weights bit by bit."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import final

from flows.figures.files import write_file
from infra.cluster import LocalCluster
from infra.errors import RomflowError, StorageAccessError, UserError, storage_errors
from surrogates.job import TrainingJob, TrainingPaths, read_job

__all__ = ["Replay", "plan_replay", "run_replay"]

_WEIGHTS = "weights.safetensors"


@final
@dataclass(frozen=True)
class Replay:
    """A replay and the run that it repeats.

    Attributes
    ----------
    recorded, folder : run that kept its arrivals, and where it is done again
    job, log : the trainer's job file and its log
    """

    recorded: Path
    folder: Path
    job: Path
    log: Path

    @property
    def identical(self) -> bool:
        """Whether both runs have left the same weights, to the last bit."""
        first, second = (_digest(run) for run in (self.recorded, self.folder))
        return first == second


def plan_replay(recorded: Path, output: Path | None = None) -> Replay:
    """Write the job of a replay.

    Parameters
    ----------
    recorded : folder of a surrogate whose training is over and has kept its arrivals
    output : folder of the replay; by default beside it, with ``-replay`` at the end of its name

    Raises
    ------
    UserError
        If the folder is no such run, or the output is another run.
    StorageAccessError
        If the output cannot be written.
    """
    recorded = recorded.absolute()
    old = read_job(recorded / "job.json")
    _check(recorded, old)
    folder = (output or recorded.with_name(f"{recorded.name}-replay")).absolute()
    # Only the run itself changes; nobody waits for scores, and the journal is there already.
    training = old.training.model_copy(update={"keep_journal": False})
    changes = {"rendezvous": None, "replay": recorded, "run": folder, "active": False}
    job = old.model_copy(update={**changes, "training": training})
    path, log = folder / "job.json", folder / "trainer.jsonl"
    if path.exists() and read_job(path) != job:
        raise UserError(
            f"{folder}: expected an empty folder, or the same replay that was interrupted; "
            "received another run. Choose another folder with --output, or remove this one."
        )
    if folder.is_dir() and not path.exists() and any(folder.iterdir()):
        raise UserError(
            f"{folder}: expected an empty folder; received one with other files. Choose another "
            "folder with --output."
        )
    with storage_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, job.model_dump_json(indent=2).encode())
        log.touch()
    return Replay(recorded, folder, path, log)


def run_replay(replay: Replay) -> None:
    """Train again, and wait for the end.

    Parameters
    ----------
    replay : what `plan_replay` has written

    Raises
    ------
    UserError, StorageAccessError
        What the trainer refused, or could not read or write.
    RomflowError
        If it crashed; what it has learned is kept.
    """
    result = LocalCluster().run_alone(["surrogates", str(replay.job)], replay.log)
    said = result.errors.strip() or "nothing"
    if result.code == 2:
        raise UserError(said)
    if result.code == 3:
        raise StorageAccessError(said)
    if result.code != 0:
        raise RomflowError(
            f"The trainer ended with code {result.code}; it said: {said}. The same command goes "
            f"on from its last checkpoint. Log: {replay.log}"
        )


def _check(recorded: Path, job: TrainingJob) -> None:
    if not job.training.keep_journal:
        raise UserError(
            f"{recorded}: expected a training that kept its arrivals, received one that dropped "
            "them. Train with --set training.keep_journal=true; then it can be replayed."
        )
    if not (TrainingPaths(recorded).model / _WEIGHTS).is_file():
        raise UserError(
            f"{recorded}: expected a training that is over, received one without a surrogate. "
            "Let it end first: the command that began it goes on."
        )


def _digest(run: Path) -> str:
    path = TrainingPaths(run).model / _WEIGHTS
    with storage_errors(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()
