"""Jobs on this machine; inside an allocation, on its nodes."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import psutil

from infra.cluster.job import Cluster, JobResult
from infra.cluster.launcher import LIFELINE, Launcher
from infra.errors import storage_errors

__all__ = ["LocalCluster", "error_tail", "kill_jobs", "started", "told_code"]

# Libraries with threads of their own would fight with the MPI ranks for the cores.
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_TAIL = 4000
# Variables of an allocation, by which an MPI starts its processes through Slurm.
_ALLOCATION = ("SLURM_", "PMI_", "PMIX_")


@final
@dataclass(frozen=True)
class LocalCluster(Cluster):
    """Jobs on this machine.

    Attributes
    ----------
    launcher : how they are started; by default with the `mpiexec` of the Python environment
    """

    launcher: Launcher = field(default_factory=Launcher)

    def run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        """Run an MPI job that ends with this process; see `Cluster.run`."""
        return self._run(module, ranks, log)

    def run_alone(self, module: Sequence[str], log: Path) -> JobResult:
        """Run a job without MPI that ends with this process; see `Cluster.run_alone`."""
        return self._run(module, 0, log)

    def end_jobs(self) -> None:
        """Kill all jobs of this process; see `kill_jobs`."""
        kill_jobs()

    def _run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        command = self.launcher.command(module, ranks)
        with started(command, log, hide_allocation=self.launcher.hide_allocation) as job:
            code = _wait(job)
        errors = error_tail(log)
        return JobResult(told_code(code, errors), errors)


@contextmanager
def started(
    command: Sequence[str], log: Path, *, hide_allocation: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a job; leaving the block closes its standard input and waits for its end.

    Parameters
    ----------
    command : its words
    log : receives standard output (appended); standard error goes beside it
    hide_allocation : see `Launcher`

    Yields
    ------
    subprocess.Popen
        Its standard input is the lifeline: nothing is ever written to it.
    """
    errors = log.with_suffix(".err")
    with storage_errors(log), log.open("ab") as out, errors.open("wb") as err:
        job = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env=_environment(hide_allocation=hide_allocation),
            start_new_session=True,  # Ctrl-C reaches the flow, which ends the job in order
        )
        with job:
            yield job


def told_code(code: int, errors: str) -> int:
    """Return a job's exit code, with 128 added if it is the number of a signal.

    When a rank dies of a signal, MPI's launcher ends with its number: 2 and 3 are those of SIGINT
    and SIGQUIT, and codes with which our programs refuse something, but never without a word.

    Parameters
    ----------
    code : how the job ended
    errors : what it wrote to standard error
    """
    return code + 128 if code in (2, 3) and not errors.strip() else code


def error_tail(log: Path) -> str:
    """Return the end of what a job with this log wrote to standard error."""
    return log.with_suffix(".err").read_text(errors="replace")[-_TAIL:]


def kill_jobs() -> None:
    """Kill the jobs that this process started, also through worker processes of its own."""
    for child in psutil.Process().children(recursive=True):
        try:
            if child.name().startswith(("mpiexec", "hydra")) or LIFELINE in child.cmdline():
                child.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def _environment(*, hide_allocation: bool) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not (hide_allocation and name.startswith(_ALLOCATION))
    }
    return kept | _THREADS


def _wait(job: subprocess.Popen[bytes]) -> int:
    """Wait without closing the job's standard input, which `communicate` would do."""
    try:
        return job.wait()
    except BaseException:
        job.kill()
        raise
