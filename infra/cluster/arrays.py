"""Work given to Slurm as arrays, and how each of their elements fares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import final

from infra.cluster.profile import Profile
from infra.cluster.resources import Resources
from infra.cluster.script import BatchJob, batch_script
from infra.cluster.shares import Share
from infra.cluster.slurm_commands import Queue, Slurm
from infra.cluster.states import Outcome, outcome_in_turn, speaks_of_memory
from infra.cluster.work import End, Work, WorkItem, read_end, write_work
from infra.errors import storage_errors
from infra.files import replace_durably

__all__ = ["ARRAY_LIMIT", "Array", "ArrayPlan", "array_counts", "places", "plan_arrays",
           "submit_array", "tail_of", "write_array_work"]  # fmt: skip

# Slurm's default MaxArraySize allows elements 0 to 1000.
ARRAY_LIMIT = 1000
_TAIL = 4000


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
    waits : whether it begins when the array before it has ended
    """

    name: str
    work: Path
    first: int
    count: int
    script: str
    waits: bool = False


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

    def outcome(
        self, queue: Queue, work: Work, element: int, item: int = 0
    ) -> tuple[Outcome | None, End | None]:
        """Return how an item of an element ended (None: it goes on), and what it left."""
        ends = [read_end(work.end(element, place)) for place in range(max(item - 1, 0), item + 1)]
        outcome = outcome_in_turn(self.state(queue, element), ends)
        if outcome is Outcome.CRASHED and ends[-1] is None:
            text = tail_of(_output(work.ends.parent, self.first, str(element - self.first)))
            outcome = Outcome.OUT_OF_MEMORY if speaks_of_memory(text) else outcome
        return outcome, ends[-1]


def _output(folder: Path, first: int, element: str) -> Path:
    """Return the file for what an element prints, Slurm's own words about it among that."""
    return folder / f"job-{first // ARRAY_LIMIT}-{element}.out"


def tail_of(path: Path) -> str:
    """Return the end of a text; empty without a file."""
    try:
        return path.read_text(errors="replace")[-_TAIL:]
    except OSError:
        return ""


def places(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield element and place in it for each of some items, in their order.

    Parameters
    ----------
    counts : how many items each element takes
    """
    for element, count in enumerate(counts):
        for item in range(count):
            yield element, item


def array_counts(elements: int) -> list[int]:
    """Return how many elements each of the arrays has that so many need."""
    return [min(ARRAY_LIMIT, elements - first) for first in range(0, elements, ARRAY_LIMIT)]


def plan_arrays(
    profile: Profile,
    folder: Path,
    name: str,
    elements: int,
    ranks: int,
    resources: Resources,
    python: str,
    limits: Sequence[Share] = (),
) -> list[ArrayPlan]:
    """Return the arrays that run the elements of a work.

    Parameters
    ----------
    profile : where they run
    folder : of the files of this work; it need not exist
    name : of the jobs, unlike all others
    elements : their number, at least one
    ranks : MPI processes of each; 0 for one process without MPI
    resources : time and memory of each
    python : interpreter of the login node
    limits : how many elements of each array may run at once; none: what the profile says
    """
    plans = []
    for number, count in enumerate(array_counts(elements)):
        first = number * ARRAY_LIMIT
        share = limits[number] if limits else Share(profile.throttle)
        own, work = f"{name}-{number}", folder / "work.json"
        module = ("infra.cluster.element", str(work), "--first", str(first))
        job = BatchJob(
            name=own,
            module=module,
            folder=Path(__file__).resolve().parents[2],
            output=_output(folder, first, "%a"),
            ranks=max(ranks, 1),
            resources=resources,
            elements=tuple(range(count)),
            single=ranks == 0,
        )
        limited = profile.model_copy(update={"throttle": share.throttle})
        script = batch_script(limited, job, python)
        plans.append(ArrayPlan(own, work, first, count, script, share.waits))
    return plans


def write_array_work(
    profile: Profile, folder: Path, items: Sequence[WorkItem], counts: Sequence[int], journal: Path
) -> Work:
    """Write what the arrays of `plan_arrays` do, and return it.

    Parameters
    ----------
    profile, folder : as in `plan_arrays`
    items, counts : what is run, and how many of it by each element
    journal : file that receives what befalls them
    """
    rest = iter(items)
    work = Work(
        launcher=profile.launch(),
        grace=profile.grace,
        elements=tuple(tuple(islice(rest, count)) for count in counts),
        ends=folder / "ends",
        journal=journal,
    )
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_work(folder / "work.json", work)
    return work


def submit_array(
    slurm: Slurm,
    profile: Profile,
    plan: ArrayPlan,
    *,
    again: bool = False,
    after: int | None = None,
) -> Array:
    """Give an array to Slurm; its script is kept beside its work.

    Parameters
    ----------
    slurm, profile, plan : the commands, and what is submitted
    again : whether it may have been submitted already, and only its number was lost
    after : number of the array before it, for one that waits for that
    """
    script = plan.script
    if plan.waits and after is not None:
        head, rest = script.split("\n", 1)
        script = f"{head}\n#SBATCH --dependency=afterany:{after}\n{rest}"
    path = plan.work.parent / f"{plan.name}.sh"
    with storage_errors(path):
        replace_durably(path, script.encode())
    job = slurm.find(plan.name) if again else None
    if job is None:
        job = slurm.submit(script, plan.name, profile)
    return Array(job, plan.first, plan.count)
