"""The full-order runs of a structure as Prefect tasks: an MPI job each, several side by side."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect import flow

from flows.chunks import REFUSED, STORAGE, Gate, Problem, run_chunk
from flows.generate import task_runner
from flows.plan import Chunk
from flows.slurm_profile import cluster_of, load_profile, places_of, ranks_of
from flows.structure_store import RunJob, RunStore
from flows.study_parts import RunSettings
from flows.tasks import run_all
from infra.errors import StorageAccessError, UserError

__all__ = ["WORKER", "compute_runs", "missing_runs"]

# Told lines for people.
type Tell = Callable[[str], None]

WORKER = "flows.structure_worker"


def missing_runs(
    store: RunStore, jobs: Sequence[RunJob], run: RunSettings, tell: Tell, *, retry_failed: bool
) -> list[str]:
    """Compute runs that are neither committed nor failed, within a flow.

    Parameters
    ----------
    store : keeps them
    jobs : all that shall be there
    run : how they are computed
    tell : told how far it is
    retry_failed : whether runs that failed before are tried again

    Returns
    -------
    list of str
        What went wrong with jobs as a whole, such as crashes.

    Raises
    ------
    UserError
        If a job is wrong.
    StorageAccessError
        If the storage cannot be used.
    """
    if retry_failed:
        for job in jobs:
            store.forgive(job)
    left = [job for job in jobs if not store.committed(job) and store.failure(job) is None]
    tell(f"{len(jobs)} full-order runs, {len(jobs) - len(left)} of them were there before")
    if not left:
        return []
    chunks = [
        Chunk(number, store.prepare(job), store.log(job), (number,))
        for number, job in enumerate(left)
    ]
    compute = compute_runs.with_options(task_runner=task_runner(run, store.folder))
    problems = compute(chunks, run, store.folder)
    for kind, error in ((STORAGE, StorageAccessError), (REFUSED, UserError)):
        for problem in problems:
            if problem.kind == kind:
                raise error(problem.message)
    return [problem.message for problem in problems]


@flow(name="compute-runs", validate_parameters=False, persist_result=False)
def compute_runs(chunks: list[Chunk], run: RunSettings, folder: Path) -> list[Problem]:
    """Compute runs side by side, and return what went wrong."""
    attempt = run_chunk.with_options(retries=run.retries)
    profile = load_profile(run.profile)
    cluster, ranks = cluster_of(profile, folder), ranks_of(profile, run)
    gate = Gate(cluster.end_jobs)

    def submit(chunk: Chunk) -> Any:
        return attempt.submit(chunk.number, chunk, ranks, gate, cluster, WORKER, return_state=False)

    try:
        return run_all(chunks, submit, places_of(profile, run), lambda _pending: None)
    finally:
        # Nothing is left unless this flow is being cancelled or has failed.
        gate.close()
