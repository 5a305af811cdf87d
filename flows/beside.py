"""A study is computed by one at a time: by a flow, or by jobs that `romflow submit` has left."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flows.slurm_profile import load_profile
from flows.study import Study
from flows.submit import require_idle
from flows.submit_state import SubmissionPaths, read_submission
from infra.cluster.orphans import Owner, end_orphans
from infra.cluster.slurm_commands import Slurm
from infra.cluster.slurm_errors import SlurmError
from infra.errors import storage_errors
from infra.files import locked

__all__ = ["alone"]


@contextmanager
def alone(study: Study) -> Iterator[None]:
    """Compute a study while the block runs, if nobody computes it already.

    A flow whose jobs are in Slurm owns the study until the block ends, however it ends: neither a
    submission nor another such flow is let in beside it. Other flows own nothing, for a killed one
    would leave a question that only Slurm can answer. Where no Slurm is, they go on, and people are
    told that there may be jobs.

    Raises
    ------
    UserError
        If a submission's jobs wait or run, or a flow waits for jobs of the study in Slurm.
    SlurmError
        If Slurm does not answer.
    """
    paths = SubmissionPaths(study.dataset)
    if load_profile(study.run.profile).kind == "slurm":
        with _owned(paths):
            yield
    else:
        _require_no_jobs(paths)
        yield


@contextmanager
def _owned(paths: SubmissionPaths) -> Iterator[None]:
    """Own a study; who comes at the same time, as a flow or as a submission, is refused."""
    slurm, owner = Slurm(note=_say), Owner(paths.folder)
    # These may wait for Slurm, and for the end of jobs: nobody shall wait for them.
    end_orphans(paths.folder, paths.journal, slurm)
    _require_idle(paths, slurm)
    with storage_errors(paths.folder):
        paths.folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(paths.lock):
            _require_idle(paths, slurm)  # somebody may have been quicker
            owner.take()
        yield
    finally:
        owner.release()


def _require_no_jobs(paths: SubmissionPaths) -> None:
    """Refuse a study whose submitted jobs wait or run, as far as this machine can know."""
    if not paths.state.exists() or read_submission(paths).stage != "running":
        return
    if not shutil.which("squeue"):
        _say(
            f"{paths.root} was submitted to a Slurm that this machine does not know: if its jobs "
            "go on there, they and this run compute the same samples, the second ones in vain"
        )
        return
    _require_idle(paths, Slurm(note=_say))


def _require_idle(paths: SubmissionPaths, slurm: Slurm) -> None:
    try:
        require_idle(paths, slurm)
    except SlurmError as error:
        raise SlurmError(
            f"{error} The study was submitted, and its jobs may wait or run; if that Slurm is gone "
            f"for good, remove {paths.state}."
        ) from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
