"""Compute one run: ``mpiexec -n 2 python -m flows.structure_worker FOLDER/jobs/KEY.json``.

Exit codes: 0 the run is committed, or why it failed is; 2 the job is wrong; 3 the storage cannot
be used; 1 a crash. With ``--lifeline`` the job ends with the process that started it.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from flows.structure_store import CommittedRun, RunJob, RunStore
from infra.errors import RomflowError, StorageAccessError, StorageFullError, UserError
from solvers.__main__ import run_job
from solvers.laws.description import law_from
from solvers.problems.structures import structure_class
from solvers.structures.state import StructureState

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Compute the run that the command line names, and return the exit code."""
    return run_job("python -m flows.structure_worker", __doc__, "job", _run, arguments)


def _run(path: Path, comm: Any) -> None:
    from solvers.ranks import on_rank_zero

    job = RunJob.model_validate_json(path.read_bytes())
    store = RunStore(path.parents[1])
    try:
        found = _computed(job, store, comm)
    except (UserError, StorageAccessError, StorageFullError):
        raise
    except RomflowError as error:  # raised on every rank: this run is not possible
        reason, message = type(error).__name__, str(error)
        on_rank_zero(comm, lambda: store.fail(job, reason, message))
    else:
        on_rank_zero(comm, lambda: store.commit(job, found))


def _computed(job: RunJob, store: RunStore, comm: Any) -> CommittedRun:
    from solvers.structures.model import StructureModel

    kind = structure_class(job.problem)
    case = kind(kind.Settings.model_validate(job.settings)).case(job.mu)
    law = law_from(case.law if job.law is None else job.law)
    frames: list[np.ndarray] = []

    def keep(_number: int, state: StructureState) -> None:
        frames.append(state.displacement)

    begun = time.perf_counter()
    model = StructureModel(case.mesh, law, case.loads, comm, job.solver)
    try:
        model.run(case.times, keep, rescue=store.rescue(job))
    finally:
        model.destroy()
    seconds = time.perf_counter() - begun
    displacement = np.stack(frames) if frames else np.empty((0, 0, 3))  # rank 0 has all
    return CommittedRun(case.times, displacement, seconds)


if __name__ == "__main__":
    sys.exit(main())
