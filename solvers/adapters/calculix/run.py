"""CalculiX as an external solver: deck in, ``ccx`` run, displacements and stresses out."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from infra.errors import storage_errors
from solvers.adapters.calculix.dat import read_displacements, read_stresses
from solvers.adapters.calculix.deck import deck
from solvers.adapters.calculix.sta import read_increments
from solvers.adapters.external import (
    ExternalCase,
    ExternalHistory,
    ExternalSolver,
    ResultMismatchError,
    SolverFailedError,
    SolverNotFoundError,
)
from solvers.mesh import FloatArray

__all__ = ["CalculiX"]

_JOB = "case"
_DIVERGED = ("diverge", "cutbacks", "increment size smaller than minimum", "too many iterations")


@final
@dataclass(frozen=True)
class CalculiX(ExternalSolver):
    """The solver ``ccx`` (G. Dhondt, K. Wittig; Debian's package calculix-ccx).

    The folder of a case holds ``case.inp``, the results ``case.dat`` and ``case.frd``, and what
    the program said, ``case.log``.

    Attributes
    ----------
    program : name or path of the program
    threads : of the program
    tolerance : of its Newton iterations, see `solvers.adapters.calculix.deck`. CalculiX's own
        0.5 % is visible in creep strains
    limit : seconds after which a run is stopped; None waits for ever
    """

    name: ClassVar[str] = "CalculiX"
    program: str = "ccx"
    threads: int = 1
    tolerance: float = 1e-6
    limit: float | None = None

    def write(self, case: ExternalCase, folder: Path) -> None:
        """Write ``case.inp``; see `solvers.adapters.calculix.deck`."""
        text = deck(case, self.tolerance)
        with storage_errors(folder):
            (folder / f"{_JOB}.inp").write_text(text)

    def run(self, folder: Path) -> None:
        """Run ``ccx``; results of an earlier run are removed first."""
        program = shutil.which(self.program)
        if program is None:
            raise SolverNotFoundError(
                f"CalculiX: expected the program {self.program!r}; there is none. Install it "
                "(Debian: calculix-ccx), or give its path"
            )
        log = folder / f"{_JOB}.log"
        with storage_errors(folder):
            for suffix in (".dat", ".frd", ".sta", ".cvg"):
                (folder / f"{_JOB}{suffix}").unlink(missing_ok=True)
            code = self._call(program, folder, log)
            said = log.read_text(errors="replace")
        if code != 0 or "*ERROR" in said:
            raise _failure(code, said, log)

    def read(self, case: ExternalCase, folder: Path) -> ExternalHistory:
        """Read ``case.dat`` and ``case.sta``, and put the start before the results."""
        path = folder / f"{_JOB}.dat"
        spans, displacement = read_displacements(path, case.mesh.n_nodes)
        _, stress = read_stresses(path, case.mesh)
        expected = np.asarray(case.times[1:] - case.times[0])
        if len(spans) != len(expected) or not np.allclose(spans, expected, rtol=1e-5, atol=0.0):
            raise ResultMismatchError(
                f"CalculiX: {path}: expected results after {expected.tolist()} s, received "
                f"{spans.tolist()}; the run stopped early or belongs to other times"
            )
        increments = read_increments(folder / f"{_JOB}.sta", len(expected))
        return ExternalHistory(
            np.array(case.times), _with_start(displacement), _with_start(stress), increments
        )

    def _call(self, program: str, folder: Path, log: Path) -> int:
        # `env` gives the thread count to this one process without touching our environment.
        command = ["env", f"OMP_NUM_THREADS={self.threads}", program, "-i", _JOB]
        with log.open("wb") as output:
            try:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=self.limit,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise SolverFailedError(
                    f"CalculiX: expected an end within {self.limit} s; stopped. Its log is {log}. "
                    "Give it more time, or a smaller case"
                ) from error
        return done.returncode


def _with_start(values: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros_like(values[:1]), values])


def _failure(code: int, said: str, log: Path) -> SolverFailedError:
    lines = said.splitlines()
    first = next((i for i, line in enumerate(lines) if "*ERROR" in line), len(lines) - 1)
    words = " ".join(line.strip() for line in lines[first : first + 3])
    if any(sign in said for sign in _DIVERGED):
        return SolverFailedError(
            f"CalculiX: its Newton iterations did not converge: {words} (exit code {code}). Use "
            f"smaller steps of time or load; its log is {log}"
        )
    return SolverFailedError(
        f"CalculiX: expected a run without errors, received: {words} (exit code {code}). Its log "
        f"is {log}"
    )
