"""A study is computed by one at a time: by a flow, or by jobs that `romflow submit` has left."""

import shutil
import sys

from flows.study import Study
from flows.submit import require_idle
from flows.submit_state import SubmissionPaths, read_submission
from infra.cluster.slurm_commands import Slurm
from infra.cluster.slurm_errors import SlurmError

__all__ = ["require_no_jobs"]


def require_no_jobs(study: Study) -> None:
    """Refuse to compute a study whose jobs wait or run in Slurm, for they compute it already.

    Where no Slurm is, people are told that there may be such jobs.

    Raises
    ------
    UserError
        If there are such jobs.
    SlurmError
        If Slurm does not answer.
    """
    paths = SubmissionPaths(study.dataset)
    if not paths.state.exists() or read_submission(paths).stage != "running":
        return
    if not shutil.which("squeue"):
        _say(
            f"{paths.root} was submitted to a Slurm that this machine does not know: if its jobs "
            "go on there, they and this run compute the same samples, the second ones in vain"
        )
        return
    try:
        require_idle(paths, Slurm(note=_say))
    except SlurmError as error:
        raise SlurmError(
            f"{error} The study was submitted, and its jobs may wait or run; if that Slurm is gone "
            f"for good, remove {paths.state}."
        ) from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
