"""Full-order runs of structures on MPI ranks of their own, step by step with a clock.

``mpiexec -n p python _structures_full.py JOB RESULT`` reads a JSON file and writes an .npz file.
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from _flow import run_ranks
from numpy.typing import NDArray

from solvers.laws.description import law_from
from solvers.problems.structures import structure_class
from solvers.problems.structures.problem import StructureCase

__all__ = ["FIELD", "FullRun", "Job", "full_run"]

FIELD = "accumulated_plasticity"


@final
@dataclass(frozen=True)
class Job:
    """What is computed.

    Attributes
    ----------
    problem : name of the structure
    settings, mu : its settings, and its parameters where they are not the defaults
    tolerance : of Newton's method
    """

    problem: str
    settings: Mapping[str, Any]
    mu: Mapping[str, float]
    tolerance: float = 1e-8

    def case(self) -> StructureCase:
        """Return mesh, law, loads and times."""
        kind = structure_class(self.problem)
        return kind(kind.Settings(**self.settings)).case(self.mu)


@final
@dataclass(frozen=True, eq=False)
class FullRun:
    """What was computed, in the mesh's numbering.

    Attributes
    ----------
    displacement : (T + 1, N, 3) mm
    plasticity : (T + 1, G, 1) accumulated
    seconds : (T,) of the steps, after a step that was thrown away
    setup : seconds before the first step: mesh, distribution, choice of the linear solver
    iterations : of Newton's method, in all steps
    linear : name of the linear solver
    """

    displacement: NDArray[np.float64]
    plasticity: NDArray[np.float64]
    seconds: NDArray[np.float64]
    setup: float
    iterations: int
    linear: str

    @property
    def total(self) -> float:
        """Seconds of the steps together."""
        return float(self.seconds.sum())


def full_run(job: Job, ranks: int) -> FullRun:
    """Compute a case on some ranks."""
    with tempfile.TemporaryDirectory() as folder:
        text, result = Path(folder) / "job.json", Path(folder) / "result.npz"
        text.write_text(json.dumps(asdict(job)))
        run_ranks(Path(__file__), ranks, str(text), str(result))
        with np.load(result) as arrays:
            return FullRun(
                arrays["displacement"],
                arrays["plasticity"],
                arrays["seconds"],
                float(arrays["setup"]),
                int(arrays["iterations"]),
                str(arrays["linear"]),
            )


def _compute(job: Job, result: Path) -> None:
    """Compute on the ranks of the world."""
    from solvers.backend import MPI
    from solvers.structures.model import StructureModel
    from solvers.structures.settings import StructureSettings

    comm, case = MPI.COMM_WORLD, job.case()
    law = law_from(case.law)
    comm.Barrier()
    started = time.perf_counter()
    chosen = StructureSettings(tolerance=job.tolerance)
    model = StructureModel(case.mesh, law, case.loads, comm, chosen)
    setup = time.perf_counter() - started
    state = model.initial_state(float(case.times[0]))
    model.advance(state, float(case.times[1]))  # thrown away: what is made once is made here
    frames, seconds, iterations = [model.collect(state)], [], 0
    for t in case.times[1:]:
        comm.Barrier()
        started = time.perf_counter()
        state, report = model.advance(state, float(t))
        comm.Barrier()
        seconds.append(time.perf_counter() - started)
        iterations += report.iterations
        frames.append(model.collect(state))
    linear = model.options["linear_method"]
    model.destroy()
    if comm.rank == 0:
        np.savez(
            result,
            displacement=np.stack([frame.displacement for frame in frames if frame is not None]),
            plasticity=np.stack(
                [frame.internal[:, law.column(FIELD)] for frame in frames if frame is not None]
            ),
            seconds=np.array(seconds),
            setup=setup,
            iterations=iterations,
            linear=np.array(linear),
        )


if __name__ == "__main__":
    _compute(Job(**json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2]))
