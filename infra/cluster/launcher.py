"""The command that starts the processes of a job: ``mpiexec`` or ``srun``, a container or none."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, final

from pydantic import BaseModel, ConfigDict

from infra.errors import UserError

__all__ = ["LIFELINE", "Launcher", "find_mpiexec"]

# The flag of every job: it ends with its standard input, and by it the job is found again.
LIFELINE = "--lifeline"


@final
class Launcher(BaseModel):
    """How the processes of a job are started; the defaults are right for one machine.

    Attributes
    ----------
    program : ``mpiexec`` or ``srun``
    options : further options of the program, such as ``--mpi=pmi2``
    wrapper : words before the interpreter, such as ``apptainer exec image.sif``
    python : interpreter; empty: the one of this process
    hide_allocation : whether the program shall not see that it runs inside a Slurm job. On one
        node ``mpiexec`` then starts its ranks itself, and asks the controller for nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: Literal["mpiexec", "srun"] = "mpiexec"
    options: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    python: str = ""
    hide_allocation: bool = False

    def command(self, module: Sequence[str], ranks: int) -> list[str]:
        """Return the words of a command.

        Parameters
        ----------
        module : name of a module and its arguments
        ranks : number of MPI processes; 0 for one process without MPI

        Raises
        ------
        UserError
            If there is no such program.
        """
        python = [*self.wrapper, self.python or sys.executable, "-m", *module, LIFELINE]
        if not ranks:
            return python
        return [self._found(), *self.options, "-n", str(ranks), *python]

    def _found(self) -> str:
        if self.program == "mpiexec":
            return str(find_mpiexec())
        found = shutil.which("srun")
        if found is None:
            raise UserError(
                "launcher: expected srun on PATH, received none. Use launcher: mpiexec, or load "
                "your site's Slurm module."
            )
        return found


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
