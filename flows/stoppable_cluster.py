"""Jobs inside Dask's workers that a flow can end from outside: by a file."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from infra.cluster import Cluster, JobResult
from infra.cluster.launcher import Launcher
from infra.cluster.local import error_tail, started, told_code
from infra.errors import storage_errors

__all__ = ["StoppableCluster"]

# Seconds between looks at the file, and until a job that was asked to end is killed.
_LOOK, _KILL = 0.5, 5.0


@final
@dataclass(frozen=True)
class StoppableCluster(Cluster):
    """Jobs on the machine of whichever worker runs them, until a file appears.

    A copy of it goes to the workers with each task; they share a folder with the flow.

    Attributes
    ----------
    launcher : how they are started
    stop : the file, in a folder that exists
    """

    launcher: Launcher
    stop: Path

    def run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        """Run an MPI job that ends with this process; see `Cluster.run`."""
        return self._run(module, ranks, log)

    def run_alone(self, module: Sequence[str], log: Path) -> JobResult:
        """Run a job without MPI that ends with this process; see `Cluster.run_alone`."""
        return self._run(module, 0, log)

    def end_jobs(self) -> None:
        """Ask for the end of all jobs, wherever they run; none is started any more."""
        with storage_errors(self.stop):
            self.stop.touch()

    def _run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        if self.stop.exists():
            return JobResult(1, "it was not started: its flow has ended it", final=True)
        command = self.launcher.command(module, ranks)
        with started(command, log, hide_allocation=self.launcher.hide_allocation) as job:
            code = self._wait(job)
        errors, final = error_tail(log), code != 0 and self.stop.exists()
        return JobResult(told_code(code, errors), errors, final=final)

    def _wait(self, job: "subprocess.Popen[bytes]") -> int:
        while True:
            try:
                return job.wait(_LOOK)
            except subprocess.TimeoutExpired:
                if self.stop.exists():
                    return _end(job)
            except BaseException:
                job.kill()
                raise


def _end(job: "subprocess.Popen[bytes]") -> int:
    """End a job by its lifeline, as Ctrl-C does."""
    if job.stdin is not None:
        job.stdin.close()
    try:
        return job.wait(_KILL)
    except subprocess.TimeoutExpired:
        job.kill()
        return job.wait()
