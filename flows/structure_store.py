"""Full-order runs on disk: one file each, named by everything that decides its numbers.

::

    <folder>/<key>.npz      times (T,), displacement (T, N, 3), wall-clock seconds: committed
             <key>.json     why a run failed, and where its last state is
             jobs/, logs/   what is computed, and what that said

A file appears as a whole or not at all. Equal runs have equal keys: a study that is changed or
begun again computes only what is not there.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from infra.errors import ChecksumError, UserError, storage_errors
from infra.files import replace_durably
from infra.records import Json
from solvers.laws.description import LawDescription
from solvers.structures.settings import StructureSettings

__all__ = ["CommittedRun", "RunJob", "RunStore"]


@final
class RunJob(BaseModel):
    """One full-order run.

    Attributes
    ----------
    problem, settings : name of the structure and its complete settings
    law : another law than the problem's; None: the problem's
    mu : all parameters
    solver : settings of the full-order model
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    problem: str
    settings: dict[str, Any]
    law: LawDescription | None
    mu: dict[str, float]
    solver: StructureSettings

    @property
    def key(self) -> str:
        """The first 16 digits of the SHA-256 of all of it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@final
@dataclass(frozen=True, eq=False)
class CommittedRun:
    """What a run left.

    Attributes
    ----------
    times : (T,) s
    displacement : (T, N, 3) mm
    seconds : of its computation
    """

    times: NDArray[np.float64]
    displacement: NDArray[np.float64]
    seconds: float


@final
class RunStore:
    """The runs of a folder, which is made when the first one is written.

    Parameters
    ----------
    folder : see the module
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, job: RunJob) -> Path:
        """Return the file of a committed run."""
        return self.folder / f"{job.key}.npz"

    def rescue(self, job: RunJob) -> Path:
        """Return the file for the last state of a run that stops."""
        return self.folder / "states" / f"{job.key}.npz"

    def log(self, job: RunJob) -> Path:
        """Return the file for what a job says."""
        return self.folder / "logs" / f"{job.key}.log"

    def prepare(self, job: RunJob) -> Path:
        """Write what is to be computed, and return the file.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written.
        """
        path = self.folder / "jobs" / f"{job.key}.json"
        with storage_errors(path):
            for place in (path.parent, self.log(job).parent):
                place.mkdir(parents=True, exist_ok=True)
            path.write_text(job.model_dump_json(indent=2))
            self.log(job).touch()
        return path

    def commit(self, job: RunJob, run: CommittedRun) -> None:
        """Write a run; a failure before is forgotten.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written.
        """
        buffer = io.BytesIO()
        arrays: Mapping[str, Any] = {
            "times": run.times,
            "displacement": run.displacement,
            "seconds": np.float64(run.seconds),
        }
        np.savez(buffer, **arrays)
        with storage_errors(self.path(job)):
            replace_durably(self.path(job), buffer.getvalue())
        self.forgive(job)

    def fail(self, job: RunJob, reason: str, message: str) -> None:
        """Write why a run failed."""
        text: Json = {"reason": reason, "message": message, "mu": dict(job.mu)}
        with storage_errors(self.folder):
            replace_durably(self._failure(job), json.dumps(text, indent=2).encode())

    def forgive(self, job: RunJob) -> None:
        """Forget that a run failed."""
        with storage_errors(self.folder):
            self._failure(job).unlink(missing_ok=True)

    def committed(self, job: RunJob) -> bool:
        """Tell whether a run is there."""
        return self.path(job).is_file()

    def failure(self, job: RunJob) -> str | None:
        """Return why a run failed, None if it did not."""
        try:
            text = json.loads(self._failure(job).read_text())
        except (OSError, ValueError):
            return None
        return f"{text.get('reason')}: {text.get('message')}"

    def load(self, job: RunJob) -> CommittedRun:
        """Return a committed run.

        Raises
        ------
        UserError
            If it is not there.
        ChecksumError
            If its file is damaged.
        """
        path = self.path(job)
        try:
            # From memory: NumPy leaves a broken file open.
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                return CommittedRun(file["times"], file["displacement"], float(file["seconds"]))
        except FileNotFoundError as error:
            raise UserError(
                f"{path}: expected the full-order run for {job.mu}, received no file. Run "
                "`romflow run build-rom` again: it computes what is missing."
            ) from error
        except (KeyError, ValueError, EOFError, BadZipFile) as error:
            raise ChecksumError(
                f"{path}: expected a full-order run as it was committed, received a damaged file "
                f"({error}). Remove it; the same command computes it again."
            ) from error

    def _failure(self, job: RunJob) -> Path:
        return self.folder / f"{job.key}.json"
