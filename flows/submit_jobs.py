"""Which jobs of a submission Slurm has: by their numbers, and by names whose numbers were lost."""

from collections.abc import Iterator
from pathlib import Path

from flows.submit_rounds import finishing_job, round_plans
from flows.submit_state import Submission, SubmissionPaths
from infra.cluster.slurm_commands import Queue, Slurm
from infra.cluster.states import goes_on

__all__ = ["left_over", "living_jobs", "outputs", "unnumbered_names"]

# Such a job has been told to end.
_ENDING = "COMPLETING"


def unnumbered_names(paths: SubmissionPaths, submission: Submission) -> tuple[str, ...]:
    """Return the names of the last round's jobs whose numbers are not known.

    Whoever submits a round may be killed between Slurm's answer and the saving of it. There are
    such names only as long as a round is not submitted as a whole.

    Parameters
    ----------
    paths, submission : of the dataset
    """
    if not submission.rounds or submission.rounds[-1].finisher is not None:
        return ()
    last = submission.rounds[-1]
    names = []
    for group, plans in zip(last.groups, round_plans(paths, submission, last.groups), strict=True):
        names += [plan.name for plan in plans[len(group.arrays) :]]
    name, _ = finishing_job(paths, submission, last.number, ())
    return (*names, name)


def living_jobs(paths: SubmissionPaths, submission: Submission, slurm: Slurm) -> tuple[int, ...]:
    """Return the numbers of the last round's jobs that wait or run.

    Parameters
    ----------
    paths, submission : of the dataset
    slurm : the commands

    Raises
    ------
    SlurmError
        If Slurm does not answer.
    """
    if not submission.rounds:
        return ()
    queue = slurm.queue(submission.rounds[-1].jobs())
    numbered = {job for (job, _), state in queue.states.items() if goes_on(state)}
    names = unnumbered_names(paths, submission)
    return tuple(sorted(numbered.union(slurm.going_on(names) if names else ())))


def left_over(queue: Queue) -> tuple[int, ...]:
    """Return the numbers of those jobs that nobody has told to end.

    Parameters
    ----------
    queue : Slurm's words for the jobs of a study that was cancelled
    """
    found = {job for (job, _), word in queue.states.items() if goes_on(word) and word != _ENDING}
    return tuple(sorted(found))


def outputs(paths: SubmissionPaths, submission: Submission) -> Iterator[Path]:
    """Yield the files of what the last round's jobs printed, that of the finishing job first.

    Parameters
    ----------
    paths, submission : of the dataset
    """
    last = submission.rounds[-1]
    yield paths.folder / f"{submission.token}-r{last.number}-finish.out"
    for group in last.groups:
        yield from sorted((paths.folder / group.folder).glob("job-*.out"))
