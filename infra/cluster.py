"""Where jobs run: one interface, here with the local machine behind it."""

import os
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import psutil

from infra.errors import UserError, storage_errors

__all__ = ["Cluster", "JobResult", "LocalCluster", "find_mpiexec", "kill_jobs"]

# Libraries with threads of their own would fight with the MPI ranks for the cores.
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_TAIL = 4000
# The flag of every job, by which it is found again.
_LIFELINE = "--lifeline"


@final
@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Attributes
    ----------
    code : exit code; negative for a signal
    errors : the end of what it wrote to standard error
    """

    code: int
    errors: str


class Cluster(ABC):
    """Runs Python modules as jobs."""

    @abstractmethod
    def run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        """Run ``python -m <module>`` on `ranks` MPI processes and wait for its end.

        Parameters
        ----------
        module : name of the module and its arguments
        ranks : number of MPI processes
        log : file that receives standard output (appended); standard error goes beside it

        Raises
        ------
        UserError
            If MPI cannot be started here.
        """

    @abstractmethod
    def run_alone(self, module: Sequence[str], log: Path) -> JobResult:
        """Run ``python -m <module>`` as one process without MPI and wait for its end.

        Parameters
        ----------
        module : name of the module and its arguments
        log : as in `run`
        """


@final
@dataclass(frozen=True)
class LocalCluster(Cluster):
    """Jobs on this machine, with the `mpiexec` that belongs to the Python environment."""

    def run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        """Run an MPI job that ends with this process; see `Cluster.run`."""
        return _run([str(find_mpiexec()), "-n", str(ranks), *_python(module)], log)

    def run_alone(self, module: Sequence[str], log: Path) -> JobResult:
        """Run a job without MPI that ends with this process; see `Cluster.run_alone`."""
        return _run(_python(module), log)


def find_mpiexec() -> Path:
    """Return the `mpiexec` beside this Python, or else the one on the path.

    Raises
    ------
    UserError
        If there is none.
    """
    beside = Path(sys.executable).parent / "mpiexec"
    found = shutil.which(beside) or shutil.which("mpiexec")
    if found is None:
        raise UserError(
            f"mpiexec: expected at {beside} or on PATH, received none. Install the MPI that "
            "belongs to this environment (pip install mpich), or load your site's MPI module."
        )
    return Path(found)


def kill_jobs() -> None:
    """Kill the jobs that this process started, also through worker processes of its own."""
    for child in psutil.Process().children(recursive=True):
        try:
            if child.name().startswith(("mpiexec", "hydra")) or _LIFELINE in child.cmdline():
                child.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def _python(module: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", *module, _LIFELINE]


def _run(command: Sequence[str], log: Path) -> JobResult:
    errors = log.with_suffix(".err")
    with storage_errors(log), log.open("ab") as out, errors.open("wb") as err:
        job = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # the lifeline: nothing is ever written to it
            stdout=out,
            stderr=err,
            env={**os.environ, **_THREADS},
            start_new_session=True,  # Ctrl-C reaches the flow, which ends the job in order
        )
        with job:
            code = _wait(job)
    return JobResult(code, errors.read_text(errors="replace")[-_TAIL:])


def _wait(job: subprocess.Popen[bytes]) -> int:
    """Wait without closing the job's standard input, which `communicate` would do."""
    try:
        return job.wait()
    except BaseException:
        job.kill()
        raise
