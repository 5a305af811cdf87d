"""What a Slurm job has to do, and how it ended: files that jobs and their submitter share."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Literal, final

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.cluster.launcher import Launcher
from infra.errors import StoreError, storage_errors
from infra.files import replace_durably

__all__ = [
    "BOUNDARIES",
    "PROGRESS",
    "End",
    "Work",
    "WorkItem",
    "count_events",
    "end_path",
    "read_end",
    "read_work",
    "write_end",
    "write_work",
]

_STRICT = ConfigDict(extra="forbid", frozen=True)
# Events of a log: between them a job may be ended without loss; with them it has come further.
BOUNDARIES = ("started", "skipped", "finished", "checkpoint")
PROGRESS = ("committed", "failed", "checkpoint")


@final
class WorkItem(BaseModel):
    """One job of a cluster; see `infra.cluster.job.Cluster.run`.

    Attributes
    ----------
    key : by which its submitter knows it
    module : Python module and its arguments
    ranks : MPI processes; 0 for one process without MPI
    log : receives standard output
    """

    model_config = _STRICT

    key: int
    module: tuple[str, ...]
    ranks: int
    log: Path


@final
class Work(BaseModel):
    """What the elements of one or more Slurm arrays do.

    Attributes
    ----------
    launcher : how jobs are started
    grace : seconds between Slurm's warning and the end of the walltime
    elements : what each element runs, one after another
    ends : folder that receives how each of them ended
    journal : file that receives what befell them; none: nobody is told
    """

    model_config = _STRICT

    launcher: Launcher
    grace: int
    elements: tuple[tuple[WorkItem, ...], ...]
    ends: Path
    journal: Path | None = None

    def end(self, element: int, item: int) -> Path:
        """Return the file that tells how an item ended."""
        return end_path(self.ends, element, item)


@final
class End(BaseModel):
    """How an item ended.

    Attributes
    ----------
    how : ``ended`` by itself, ``closed`` before the walltime, ``terminated`` by Slurm, or
        ``unreached``: the job had to go before it came to it
    code : exit code; negative for a signal
    errors : the end of what it wrote to standard error
    job : number of the Slurm job
    host : first node of it
    restart : how often it had been requeued
    started, seconds : since the epoch, and how long
    """

    model_config = _STRICT

    how: Literal["ended", "closed", "terminated", "unreached"]
    code: int
    errors: str
    job: int
    host: str
    restart: int
    started: float
    seconds: float

    @property
    def settled(self) -> bool:
        """Whether nothing that Slurm may say changes it: done, wrong input, or unusable disk."""
        return self.how == "ended" and self.code in (0, 2, 3)

    @property
    def crashed(self) -> bool:
        """Whether it ended by itself, and not as one that is settled does."""
        return self.how == "ended" and not self.settled


def end_path(ends: Path, element: int, item: int) -> Path:
    """Return the file in the folder `ends` that tells how an item ended."""
    return ends / f"{element:06d}-{item:03d}.json"


def write_work(path: Path, work: Work) -> None:
    """Write the file that jobs read, whole or not at all."""
    with storage_errors(path):
        work.ends.mkdir(parents=True, exist_ok=True)
        replace_durably(path, work.model_dump_json().encode())


def read_work(path: Path) -> Work:
    """Read what `write_work` wrote.

    Raises
    ------
    StoreError
        If the file is missing or holds something else.
    """
    try:
        return Work.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{path}: expected the work of a Slurm job, received: {error}. The folder must be "
            "shared between login and compute nodes; submit the study again."
        ) from error


def write_end(path: Path, end: End) -> None:
    """Tell how an item ended, whole or not at all."""
    with storage_errors(path):
        replace_durably(path, end.model_dump_json().encode())


def read_end(path: Path) -> End | None:
    """Return how an item ended; None if it has not told so."""
    try:
        return End.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def count_events(log: Path, names: Collection[str], offset: int = 0) -> int:
    """Count the events of these names in a log of JSON lines, from a byte on."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            lines = file.read().splitlines()
    except OSError:
        return 0
    return sum(_event(line) in names for line in lines)


def _event(line: bytes) -> str:
    try:
        event = json.loads(line)
    except ValueError:
        return ""
    return str(event.get("event", "")) if isinstance(event, dict) else ""
