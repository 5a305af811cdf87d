"""What every kind of cluster promises: it runs Python modules as jobs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

__all__ = ["Cluster", "JobResult"]


@final
@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Attributes
    ----------
    code : exit code; negative for a signal
    errors : the end of what it wrote to standard error
    final : whether another attempt would end alike, or has been made already
    """

    code: int
    errors: str
    final: bool = False


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

    @abstractmethod
    def end_jobs(self) -> None:
        """End the jobs that this object runs; whoever waits for one gets its end."""
