"""The interface of external solvers of structures: write a case, run it, read displacements.

A new code needs one subclass of `ExternalSolver` with three methods. What reduced models need
from it is the displacement history alone, in the numbering of the mesh that was given; everything
else is recomputed from mesh, law and loads. A code that cannot be started from here is served too:
write the case by hand and implement `read` only.

::

    RomflowError (infra.errors)
    └── ExternalSolverError       the code gave no usable result
        ├── SolverNotFoundError       its program is not installed
        ├── SolverFailedError         it stopped with an error or did not converge
        ├── MissingResultError        a result file or a block in it is missing
        └── ResultMismatchError       the results do not belong to this mesh or these times
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from infra.errors import RomflowError, UserError
from solvers.laws.law import Law
from solvers.loads import LoadCase
from solvers.mesh import FloatArray, IntArray
from solvers.structure_mesh import StructureMesh

__all__ = [
    "ExternalCase",
    "ExternalHistory",
    "ExternalSolver",
    "ExternalSolverError",
    "MissingResultError",
    "ResultMismatchError",
    "SolverFailedError",
    "SolverNotFoundError",
]


class ExternalSolverError(RomflowError):
    """An external solver gave no usable result."""


@final
class SolverNotFoundError(ExternalSolverError):
    """The program of the external solver is not installed or not on the search path."""


@final
class SolverFailedError(ExternalSolverError):
    """The external solver stopped with an error or did not converge."""


@final
class MissingResultError(ExternalSolverError):
    """A result file, or what should be in it, is missing."""


@final
class ResultMismatchError(ExternalSolverError):
    """The results do not belong to this mesh or to these times."""


@final
@dataclass(frozen=True, eq=False)
class ExternalCase:
    """What an external solver computes: a quasi-static history from an undeformed start.

    Attributes
    ----------
    mesh : with the regions that the loads name
    law : one for the whole mesh
    loads : as functions of time
    times : (T + 1,) ascending, seconds; the first is the undeformed start

    Raises
    ------
    UserError
        If loads and mesh do not fit together or the times do not ascend.
    """

    mesh: StructureMesh
    law: Law
    loads: LoadCase
    times: FloatArray

    def __post_init__(self) -> None:
        self.loads.require_fits(self.mesh)
        times = np.asarray(self.times)
        fine = times.ndim == 1 and len(times) > 1 and np.isfinite(times).all()
        if not fine or (np.diff(times) <= 0.0).any():
            raise UserError(
                "case: times: expected at least two ascending finite times in seconds, received "
                f"{times.tolist()}"
            )


@final
@dataclass(frozen=True, eq=False)
class ExternalHistory:
    """What an external solver computed.

    Attributes
    ----------
    times : (T + 1,) seconds
    displacement : (T + 1, N, 3) mm, in the numbering of the mesh; zero at the start
    stress : (T + 1, C g, 6) MPa in Mandel components at the material points of the mesh, in its
        order, or None if the code does not give it there
    increments : (T,) how many increments the code took in each interval, or None if it does not
        say; where it took more than one, the law was integrated over shorter ones than `times`
    """

    times: FloatArray
    displacement: FloatArray
    stress: FloatArray | None = None
    increments: IntArray | None = None


class ExternalSolver(ABC):
    """A solver in another program.

    Attributes
    ----------
    name : for messages and provenance
    """

    name: ClassVar[str]

    @abstractmethod
    def write(self, case: ExternalCase, folder: Path) -> None:
        """Write the input files of a case into an existing folder.

        Raises
        ------
        UserError
            If the code cannot express the law or a load; the message says which part.
        """

    @abstractmethod
    def run(self, folder: Path) -> None:
        """Run the code in a folder that `write` filled, and wait for it.

        Raises
        ------
        SolverNotFoundError
            If the program is missing.
        SolverFailedError
            If it stopped with an error.
        """

    @abstractmethod
    def read(self, case: ExternalCase, folder: Path) -> ExternalHistory:
        """Read the results of a case from its folder; own numbering back to the mesh's.

        Raises
        ------
        MissingResultError, ResultMismatchError
            If results are missing or are those of another case.
        """

    @final
    def solve(self, case: ExternalCase, folder: Path) -> ExternalHistory:
        """Write, run and read a case; the folder is made, and kept for inspection."""
        folder.mkdir(parents=True, exist_ok=True)
        self.write(case, folder)
        self.run(folder)
        history = self.read(case, folder)
        self.require_fits(case, history)
        return history

    @final
    def require_fits(self, case: ExternalCase, history: ExternalHistory) -> None:
        """Check that a history belongs to a case and is finite.

        Raises
        ------
        ResultMismatchError
            If it does not; the message names the array.
        """
        frames, mesh = len(case.times), case.mesh
        arrays = {
            "times": (history.times, (frames,)),
            "displacement": (history.displacement, (frames, mesh.n_nodes, 3)),
        }
        if history.stress is not None:
            arrays["stress"] = (history.stress, (frames, mesh.n_material_points, 6))
        for name, (array, shape) in arrays.items():
            if array.shape != shape:
                raise ResultMismatchError(
                    f"{self.name}: {name}: expected shape {shape} for this mesh and these times, "
                    f"received {array.shape}; read the results of this very case"
                )
            if not np.isfinite(array).all():
                raise ResultMismatchError(
                    f"{self.name}: {name}: expected finite numbers, received NaN or infinite "
                    "ones; look into the solver's log"
                )
        if not np.allclose(history.times, case.times, rtol=1e-5, atol=0.0):
            raise ResultMismatchError(
                f"{self.name}: times: expected {case.times.tolist()}, received "
                f"{history.times.tolist()}; the results are those of other times"
            )
