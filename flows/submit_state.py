"""A study that was submitted to Slurm: its state in a folder beside the data, and nowhere else.

::

    <dataset>/slurm/
    ├── submission.json         study, profile, rounds, outcome; replaced as a whole
    ├── submission.lock         held while it is changed
    ├── events.jsonl            what befell its jobs
    └── <token>-r<round>-<group>/   work, scripts and ends of one round
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.slurm_profile import STATE
from infra.cluster.arrays import Array
from infra.cluster.journal import Journal
from infra.cluster.policy import Attempt
from infra.cluster.profile import Profile
from infra.errors import StoreError, UserError, storage_errors
from infra.files import replace_durably

__all__ = ["Group", "Round", "Submission", "SubmissionPaths", "read_submission"]

_STRICT = ConfigDict(extra="forbid", frozen=True)

type Stage = Literal["running", "done", "incomplete", "cancelled"]


@final
class Group(BaseModel):
    """Chunks of one round that ask for the same time and memory.

    Attributes
    ----------
    folder : name of its folder
    attempt : what they ask for, and what happened before
    chunks : numbers of the chunks, in the order in which elements take them
    counts : how many chunks each element takes; none: one each
    sizes : length of each chunk's log before the attempt, bytes
    arrays : what was submitted so far
    """

    model_config = _STRICT

    folder: str
    attempt: Attempt
    chunks: tuple[int, ...]
    sizes: tuple[int, ...]
    counts: tuple[int, ...] = ()
    arrays: tuple[Array, ...] = ()

    @property
    def per_element(self) -> tuple[int, ...]:
        """How many chunks each element takes."""
        return self.counts or (1,) * len(self.chunks)

    def array(self, element: int) -> Array:
        """Return the array that an element belongs to."""
        return next(a for a in self.arrays if a.first <= element < a.first + a.count)


@final
class Round(BaseModel):
    """What was submitted together.

    Attributes
    ----------
    number : from 1 on
    groups : its chunks
    finisher : job that collects when all of them have ended; None if it was not submitted yet
    """

    model_config = _STRICT

    number: int
    groups: tuple[Group, ...]
    finisher: int | None = None

    def with_array(self, place: int, array: Array) -> "Round":
        """Return the round with one array more in the group at a place."""
        group = self.groups[place]
        more = group.model_copy(update={"arrays": (*group.arrays, array)})
        groups = (*self.groups[:place], more, *self.groups[place + 1 :])
        return self.model_copy(update={"groups": groups})

    def jobs(self) -> Iterator[int]:
        """Yield the numbers of its jobs in Slurm, the finisher first."""
        if self.finisher is not None:
            yield self.finisher
        for group in self.groups:
            yield from (array.job for array in group.arrays)


@final
class Submission(BaseModel):
    """A study in Slurm.

    Attributes
    ----------
    token : unlike that of all other submissions
    study : the study as it was given
    profile : where it runs
    stage : how far it is
    rounds : what was submitted, the last round at the end
    problems : why chunks are not tried again
    complaint : why the dataset is incomplete; empty if it is not, or not known yet
    """

    model_config = _STRICT

    token: str
    study: dict[str, Any]
    profile: Profile
    stage: Stage = "running"
    rounds: tuple[Round, ...] = ()
    problems: tuple[str, ...] = ()
    complaint: str = ""

    def with_last(self, last: Round) -> "Submission":
        """Return the submission with another last round, or with a new one."""
        kept = tuple(round_ for round_ in self.rounds if round_.number != last.number)
        return self.model_copy(update={"rounds": (*kept, last)})


@final
@dataclass(frozen=True)
class SubmissionPaths:
    """The files of a submission.

    Attributes
    ----------
    root : folder of the dataset
    """

    root: Path

    @property
    def folder(self) -> Path:
        """Holds everything that concerns Slurm."""
        return self.root / STATE

    @property
    def state(self) -> Path:
        """The submission."""
        return self.folder / "submission.json"

    @property
    def lock(self) -> Path:
        """Held while the submission is changed."""
        return self.folder / "submission.lock"

    @property
    def journal_file(self) -> Path:
        """Receives what befalls the jobs."""
        return self.folder / "events.jsonl"

    @property
    def journal(self) -> Journal:
        """What befell the jobs."""
        return Journal(self.journal_file)

    def save(self, submission: Submission) -> None:
        """Replace the submission; readers see the old one or the new one, whole."""
        with storage_errors(self.state):
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_durably(self.state, submission.model_dump_json(indent=1).encode())


def read_submission(paths: SubmissionPaths) -> Submission:
    """Read a submission.

    Raises
    ------
    UserError
        If nothing was submitted there.
    StoreError
        If the file holds something else.
    """
    try:
        text = paths.state.read_bytes()
    except OSError as error:
        raise UserError(
            f"{paths.root}: expected a dataset whose study was submitted to Slurm, received none. "
            "Submit it: romflow submit STUDY --profile PROFILE."
        ) from error
    try:
        return Submission.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"{paths.state}: expected a submission, received: {error}. Remove the file and submit "
            "the study again; committed samples are kept."
        ) from error
