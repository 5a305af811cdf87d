"""Work given to Slurm as arrays, and how each of their elements fares."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from infra.cluster.profile import Profile
from infra.cluster.resources import Resources
from infra.cluster.script import BatchJob, batch_script
from infra.cluster.slurm_commands import Queue, Slurm
from infra.cluster.states import Outcome, outcome_of
from infra.cluster.work import End, Work, WorkItem, read_end, write_work
from infra.errors import storage_errors
from infra.files import replace_durably

__all__ = ["ARRAY_LIMIT", "Array", "ArrayPlan", "plan_arrays", "submit_array", "write_array_work"]

# Slurm's default MaxArraySize allows elements 0 to 1000.
ARRAY_LIMIT = 1000


@final
@dataclass(frozen=True)
class ArrayPlan:
    """An array that is ready to be submitted.

    Attributes
    ----------
    name : of the job, unlike all others
    work : file of the work that the array shares with others
    first, count : elements of the work that belong to this array
    script : text of the batch script
    """

    name: str
    work: Path
    first: int
    count: int
    script: str


@final
@dataclass(frozen=True)
class Array:
    """An array that was submitted.

    Attributes
    ----------
    job : number that Slurm gave it
    first, count : elements of the work that belong to it
    """

    job: int
    first: int
    count: int

    def state(self, queue: Queue, element: int) -> str | None:
        """Return Slurm's word for an element of the work; None if it knows it no more."""
        return queue.state(self.job, element - self.first)

    def outcome(self, queue: Queue, work: Work, element: int) -> tuple[Outcome | None, End | None]:
        """Return how an element of one item ended (None: it goes on), and what it left."""
        end = read_end(work.end(element, 0))
        return outcome_of(self.state(queue, element), end), end


def plan_arrays(
    profile: Profile,
    folder: Path,
    name: str,
    items: Sequence[WorkItem],
    resources: Resources,
    python: str,
) -> list[ArrayPlan]:
    """Return the arrays that run these items, each an element of its own.

    Parameters
    ----------
    profile : where they run
    folder : of the files of this work; it need not exist
    name : of the jobs, unlike all others
    items : at least one; all of them need the same room
    resources : time and memory of each
    python : interpreter of the login node
    """
    ranks = max(max(item.ranks for item in items), 1)
    plans = []
    for number, first in enumerate(range(0, len(items), ARRAY_LIMIT)):
        count = min(ARRAY_LIMIT, len(items) - first)
        own, work = f"{name}-{number}", folder / "work.json"
        module = ("infra.cluster.element", str(work), "--first", str(first))
        job = BatchJob(
            name=own,
            module=module,
            folder=Path(__file__).resolve().parents[2],
            output=folder / f"job-{number}-%a.out",
            ranks=ranks,
            resources=resources,
            elements=tuple(range(count)),
            single=all(item.ranks == 0 for item in items),
        )
        plans.append(ArrayPlan(own, work, first, count, batch_script(profile, job, python)))
    return plans


def write_array_work(profile: Profile, folder: Path, items: Sequence[WorkItem]) -> Work:
    """Write what the arrays of `plan_arrays` do, and return it."""
    work = Work(
        launcher=profile.launch(),
        grace=profile.grace,
        elements=tuple((item,) for item in items),
        ends=folder / "ends",
    )
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_work(folder / "work.json", work)
    return work


def submit_array(slurm: Slurm, profile: Profile, plan: ArrayPlan, *, again: bool = False) -> Array:
    """Give an array to Slurm; its script is kept beside its work.

    Parameters
    ----------
    slurm, profile, plan : the commands, and what is submitted
    again : whether it may have been submitted already, and only its number was lost
    """
    path = plan.work.parent / f"{plan.name}.sh"
    with storage_errors(path):
        replace_durably(path, plan.script.encode())
    job = slurm.find(plan.name) if again else None
    if job is None:
        job = slurm.submit(plan.script, plan.name, profile)
    return Array(job, plan.first, plan.count)
