"""One round of a submitted study: its arrays, and the job that collects how they ended."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flows.slurm_profile import ranks_of
from flows.study import Study
from flows.submit_state import Group, Round, Submission, SubmissionPaths
from infra.cluster.arrays import (
    ArrayPlan,
    array_counts,
    plan_arrays,
    submit_array,
    write_array_work,
)
from infra.cluster.packing import Packing
from infra.cluster.policy import Attempt
from infra.cluster.profile import Profile
from infra.cluster.resources import Resources
from infra.cluster.script import BatchJob, batch_script
from infra.cluster.shares import shares
from infra.cluster.slurm_commands import Slurm
from infra.cluster.work import WorkItem

__all__ = ["finishing_job", "new_groups", "open_round", "round_plans", "submit_round"]

# The finishing job reads records and draws one figure; it is no longer than the chunks' jobs.
_FINISH_SECONDS = 1800
_ONE_EACH = Packing()


def new_groups(
    root: Path,
    token: str,
    number: int,
    attempts: Mapping[int, Attempt],
    packing: Packing = _ONE_EACH,
) -> tuple[Group, ...]:
    """Return the chunks of a round, together what asks for the same.

    Parameters
    ----------
    root : folder of the dataset
    token : of the submission
    number : of the round
    attempts : what each chunk asks for, by its number
    packing : how many of them a job takes
    """
    alike: dict[Attempt, list[int]] = {}
    for chunk, attempt in attempts.items():
        alike.setdefault(attempt, []).append(chunk)
    sizes = _sizes(root)
    return tuple(
        Group(
            folder=f"{token}-r{number}-{place}",
            attempt=attempt,
            chunks=tuple(chunks),
            sizes=tuple(sizes.get(f"{chunk:06d}.jsonl", 0) for chunk in chunks),
            counts=packing.counts(chunks, attempt),
        )
        for place, (attempt, chunks) in enumerate(alike.items())
    )


def open_round(
    paths: SubmissionPaths,
    submission: Submission,
    attempts: Mapping[int, Attempt],
    packing: Packing = _ONE_EACH,
) -> Submission:
    """Write down a new round before anything is submitted: a restart finds the same elements.

    Parameters
    ----------
    paths, submission : of the dataset; the caller holds the lock
    attempts : what each chunk of this round asks for, by its number
    packing : how many of them a job takes
    """
    number = len(submission.rounds) + 1
    groups = new_groups(paths.root, submission.token, number, attempts, packing)
    study = Study.model_validate(submission.study)
    for group in groups:
        items = _items(paths.root, study, submission.profile, group.chunks)
        folder, journal = paths.folder / group.folder, paths.journal_file
        write_array_work(submission.profile, folder, items, group.per_element, journal)
    following = submission.with_last(Round(number=number, groups=groups))
    paths.save(following)
    return following


def submit_round(
    paths: SubmissionPaths, submission: Submission, slurm: Slurm, *, again: bool = False
) -> Submission:
    """Submit what the last round lacks: arrays, then the job that waits for them.

    Parameters
    ----------
    paths, submission : of the dataset; the caller holds the lock
    slurm : the commands
    again : whether jobs may have been submitted whose numbers were lost
    """
    last = submission.rounds[-1]
    plans = round_plans(paths, submission, last.groups)
    before = None
    for place, mine in enumerate(plans):
        for number, plan in enumerate(mine):
            group = last.groups[place]
            if number >= len(group.arrays):
                array = submit_array(slurm, submission.profile, plan, again=again, after=before)
                # Saved at once: a number that is lost has to be found by its name.
                last = last.with_array(place, array)
                submission = submission.with_last(last)
                paths.save(submission)
            before = last.groups[place].arrays[number].job
    name, script = finishing_job(paths, submission, last.number, tuple(last.jobs()))
    finisher = slurm.find(name) if again else None
    if finisher is None:
        finisher = slurm.submit(script, name, submission.profile)
    submission = submission.with_last(last.model_copy(update={"finisher": finisher}))
    paths.save(submission)
    return submission


def round_plans(
    paths: SubmissionPaths, submission: Submission, groups: Sequence[Group]
) -> list[list[ArrayPlan]]:
    """Return the arrays of each of a round's groups; nothing is written.

    Parameters
    ----------
    paths, submission : of the dataset
    groups : all of the round, for they share what may run at once
    """
    profile = submission.profile
    ranks = ranks_of(profile, Study.model_validate(submission.study).run)
    counts = [array_counts(len(group.per_element)) for group in groups]
    limits = iter(shares([count for mine in counts for count in mine], profile.throttle))
    return [
        plan_arrays(
            profile,
            paths.folder / group.folder,
            f"romflow-{paths.root.name}-{group.folder}",
            len(group.per_element),
            ranks,
            group.attempt.resources,
            sys.executable,
            tuple(next(limits) for _ in mine),
        )
        for group, mine in zip(groups, counts, strict=True)
    ]


def finishing_job(
    paths: SubmissionPaths, submission: Submission, number: int, after: tuple[int, ...]
) -> tuple[str, str]:
    """Return name and script of the job that collects a round when all jobs `after` have ended."""
    profile = submission.profile
    name = f"romflow-{paths.root.name}-{submission.token}-r{number}-finish"
    job = BatchJob(
        name=name,
        module=(
            *("flows.submit_finish", str(paths.root), "--round", str(number)),
            *("--token", submission.token),
        ),
        folder=Path(__file__).resolve().parents[1],
        output=paths.folder / f"{submission.token}-r{number}-finish.out",
        ranks=1,
        resources=Resources(min(_FINISH_SECONDS, profile.resources.seconds)),
        after=after,
        single=True,
    )
    return name, batch_script(profile, job, sys.executable)


def _items(root: Path, study: Study, profile: Profile, chunks: Iterable[int]) -> list[WorkItem]:
    ranks = ranks_of(profile, study.run)
    return [
        WorkItem(
            key=chunk,
            module=("solvers", f"{root}/jobs/{chunk:06d}.json"),
            ranks=ranks,
            log=_log(root, chunk),
        )
        for chunk in chunks
    ]


def _log(root: Path, chunk: int) -> Path:
    return Path(f"{root}/logs/{chunk:06d}.jsonl")


def _sizes(root: Path) -> dict[str, int]:
    """Return the lengths of all logs by name, bytes."""
    folder = root / "logs"
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries}
