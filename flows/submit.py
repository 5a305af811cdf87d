"""`romflow submit`: a study given to Slurm as a whole, with nothing left running here.

Its chunks are elements of arrays. A last job, which waits for all of them, collects how they ended,
submits again what is worth it, and publishes the dataset when nothing is left; see
`flows.submit_finish`.
"""

import sys
import uuid
from pathlib import Path

from flows.design import design
from flows.plan import prepare
from flows.slurm_profile import ranks_of
from flows.study import Study
from flows.submit_costs import packing_of
from flows.submit_jobs import living_jobs
from flows.submit_rounds import finishing_job, new_groups, open_round, round_plans, submit_round
from flows.submit_state import Submission, SubmissionPaths, read_submission
from infra.cluster.controller import note_restart
from infra.cluster.orphans import has_owner
from infra.cluster.packing import Packing
from infra.cluster.policy import Attempt
from infra.cluster.profile import Profile
from infra.cluster.script import BatchJob, batch_script
from infra.cluster.slurm_commands import Partition, Slurm
from infra.cluster.slurm_limits import require_room
from infra.errors import RomflowError, UserError, storage_errors
from infra.files import locked

__all__ = ["cancel", "check_slurm", "dry_run_scripts", "require_idle", "submit"]


def dry_run_scripts(study: Study, profile: Profile) -> list[str]:
    """Return the batch scripts of a study's first round; nothing is written, nobody is asked."""
    _require_slurm(profile)
    paths, submission = SubmissionPaths(study.dataset), _new(study, profile)
    first = Attempt(profile.resources)
    attempts = dict.fromkeys(range(len(design(study).chunks)), first)
    packing = Packing(profile.pack)
    groups = new_groups(paths.root, submission.token, 1, attempts, packing)
    plans = [plan for mine in round_plans(paths, submission, groups) for plan in mine]
    # The numbers of the jobs that it waits for are known when they have been submitted.
    _, finisher = finishing_job(paths, submission, 1, ())
    return [*(plan.script for plan in plans), finisher]


def submit(
    study: Study, profile: Profile, *, retry_failed: bool = False, slurm: Slurm | None = None
) -> Submission:
    """Give a study to Slurm and return at once.

    Parameters
    ----------
    study, profile : what and where
    retry_failed : whether samples that failed before are tried again
    slurm : the commands

    Returns
    -------
    Submission
        Also lies in the dataset's folder. If nothing is left to compute, its only job publishes.

    Raises
    ------
    UserError
        If the study, the profile or Slurm's limits refuse it, or the study is in Slurm already.
    SlurmError
        If Slurm does not answer.
    """
    _require_slurm(profile)
    slurm, paths = slurm or Slurm(), SubmissionPaths(study.dataset)
    partitions = check_slurm(slurm, profile, ranks_of(profile, study.run))
    require_idle(paths, slurm)
    plan = prepare(study, retry_failed=retry_failed, logs=False)
    with storage_errors(paths.folder):
        paths.folder.mkdir(parents=True, exist_ok=True)
    with locked(paths.lock):
        require_idle(paths, slurm)  # another login may have been quicker
        attempt = Attempt(profile.resources)
        attempts = {chunk.number: attempt for chunk in plan.chunks}
        present = read_submission(paths) if paths.state.exists() else None
        if present is not None and present.stage == "cancelled":
            # What a `cancel` that Slurm did not answer has left, or a submission that was broken.
            slurm.cancel(living_jobs(paths, present, slurm))
        stopped = present is not None and present.stage == "running"
        before = present.rounds if present is not None else ()
        packing = packing_of(study, profile, plan.chunks, before, partitions)
        submission = open_round(paths, _new(study, profile), attempts, packing)
        try:
            submission = submit_round(paths, submission, slurm)
        except RomflowError as error:
            raise type(error)(f"{error} {_withdraw(paths, slurm)}") from error
        except (OSError, KeyboardInterrupt):
            _withdraw(paths, slurm)
            raise
        # What befell the controller since a submission that had ended is nobody's concern.
        boot = note_restart(paths.journal, slurm) if stopped else slurm.boot()
        jobs = ", ".join(str(job) for job in submission.rounds[-1].jobs())
        text = f"{len(plan.chunks)} chunks submitted, jobs {jobs}"
        paths.journal.write("submitted", text, boot=boot)
    return submission


def cancel(root: Path, slurm: Slurm | None = None) -> Submission:
    """End a submitted study; what is committed stays.

    Parameters
    ----------
    root : folder of the dataset
    slurm : the commands

    Raises
    ------
    UserError
        If nothing was submitted there.
    SlurmError
        If Slurm does not answer.
    """
    slurm, paths = slurm or Slurm(), SubmissionPaths(root)
    read_submission(paths)
    with locked(paths.lock):
        submission = read_submission(paths)
        if submission.stage == "running":
            # The finishing job sees this first, should it start meanwhile.
            submission = submission.model_copy(update={"stage": "cancelled"})
            paths.save(submission)
            paths.journal.write("cancelled", "the study was cancelled")
    # Also what an earlier attempt to cancel, without an answer of Slurm, has left.
    if submission.stage == "cancelled":
        slurm.cancel((*submission.rounds[-1].jobs(), *living_jobs(paths, submission, slurm)))
    return submission


def check_slurm(slurm: Slurm, profile: Profile, ranks: int) -> tuple[Partition, ...]:
    """Ask Slurm whether it would take a job of this profile.

    Parameters
    ----------
    slurm : the commands
    profile : of the job
    ranks : of its chunks

    Returns
    -------
    tuple of Partition
        What Slurm has.

    Raises
    ------
    UserError
        If it would not; the message names the key of the profile, and what would be right.
    """
    known = slurm.partitions()
    require_room(known, profile, ranks)
    job = BatchJob(
        name="romflow-test",
        module=("infra.cluster.element",),
        folder=Path("/"),
        output=Path("/dev/null"),
        ranks=ranks,
        resources=profile.resources,
    )
    slurm.test(batch_script(profile, job, sys.executable), profile)
    return known


def _withdraw(paths: SubmissionPaths, slurm: Slurm) -> str:
    """Cancel what was submitted of a round that could not be submitted as a whole, and say so."""
    try:
        submission = read_submission(paths).model_copy(update={"stage": "cancelled"})
        paths.save(submission)
        jobs = living_jobs(paths, submission, slurm)
        slurm.cancel(jobs)
        told = ", ".join(map(str, jobs)) or "none"
        text = f"Not all of it was submitted; jobs that Slurm had taken were cancelled: {told}."
        paths.journal.write("withdrawn", text)
    except (RomflowError, OSError):
        return (
            "Slurm may have taken some of its jobs, and they could not be cancelled: look with "
            f"`romflow status {paths.root}`, and end them with `romflow cancel`."
        )
    return text


def _require_slurm(profile: Profile) -> None:
    if profile.kind != "slurm":
        raise UserError(
            f"profile {profile.name}: kind: expected slurm for `romflow submit`, received "
            f"{profile.kind}; with this kind use `romflow run ... --profile`"
        )


def _new(study: Study, profile: Profile) -> Submission:
    # The job that goes on with it may have another working folder.
    places = {"output": study.output.absolute(), "catalog": study.catalog.absolute()}
    fixed = study.model_copy(update=places)
    data = fixed.model_dump(mode="json", exclude_none=True)
    return Submission(token=uuid.uuid4().hex[:10], study=data, profile=profile)


def require_idle(paths: SubmissionPaths, slurm: Slurm) -> None:
    """Refuse a study that is in Slurm already, by a submission or by a flow that lives.

    Parameters
    ----------
    paths : of its dataset
    slurm : the commands

    Raises
    ------
    UserError
        If jobs of its submission wait or run, or a flow waits for jobs of it.
    SlurmError
        If Slurm does not answer.
    """
    if has_owner(paths.folder):
        raise UserError(
            f"{paths.root}: expected a study that nobody computes, received one whose jobs in "
            "Slurm a `romflow run` waits for. Wait for its end, or end it with Ctrl-C."
        )
    if not paths.state.exists():
        return
    present = read_submission(paths)
    if present.stage != "running" or not present.rounds:
        return
    jobs = living_jobs(paths, present, slurm)
    if jobs:
        raise UserError(
            f"{paths.root}: expected a study that is not in Slurm, received one whose jobs "
            f"{', '.join(map(str, jobs))} wait or run. Follow them with `romflow status`, or end "
            "them with `romflow cancel`."
        )
