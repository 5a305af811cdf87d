"""The flow `generate-ns-data`: study -> samples -> chunks as MPI jobs -> store -> catalogue.

A chunk is one Prefect task and one MPI job. The state of the work is in the dataset alone: a
rerun, after whatever happened, computes what is not committed and nothing else.
"""

import time
from dataclasses import asdict
from typing import Any, final

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from flows.artifacts import show_artifacts
from flows.display import Display
from flows.plan import Chunk, Plan, prepare
from flows.progress import Follower
from flows.publish import publish
from flows.study import RunSettings, Study
from infra.cluster import LocalCluster, kill_jobs
from infra.errors import RomflowError, StoreMismatchError, UserError

__all__ = ["generate_ns_data"]

# Seconds between looks at the logs, and between updates of the artifact on the server.
_LOOK, _UPDATE = 0.25, 5.0


@final
class ChunkCrashedError(RomflowError):
    """An MPI job ended without finishing its chunk: it is worth another attempt."""


def _crashed(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry crashes only; a wrong input or a full disk stays what it is."""
    try:
        state.result(raise_on_failure=True)
    except ChunkCrashedError:
        return True
    except Exception:  # noqa: BLE001 - whatever else it was, it is not retried
        return False
    return False


@task(
    name="chunk",
    task_run_name="chunk-{number}",
    retry_condition_fn=_crashed,
    persist_result=False,
)
def run_chunk(number: int, chunk: Chunk, ranks: int) -> State[None]:
    """Run one chunk as an MPI job and wait for its end."""
    result = LocalCluster().run(["solvers", str(chunk.job)], ranks, chunk.log)
    said = result.errors.strip() or "nothing"
    if result.code == 0:
        return Completed(message=f"{len(chunk.samples)} samples")
    if result.code in (2, 3):  # a wrong input or a full disk: said in full, and not retried
        return Failed(message=said)
    raise ChunkCrashedError(
        f"chunk {number}: its MPI job ended with code {result.code} before the chunk was "
        f"finished; it said: {said}. Committed samples are kept. Log: {chunk.log}"
    )


@flow(name="compute-chunks", validate_parameters=False, persist_result=False)
def compute_chunks(plan: Plan, run: RunSettings) -> State[list[str]]:
    """Run all chunks side by side, show how far they are, and say what went wrong."""
    attempt = run_chunk.with_options(retries=run.retries)
    try:
        futures = [
            attempt.submit(chunk.number, chunk, run.ranks, return_state=False)
            for chunk in plan.chunks
        ]
        _follow(plan, futures)
        problems = [text for future in futures if (text := _complaint(future))]
        return Completed(data=problems, message=f"{len(problems)} chunks ended early")
    finally:
        # Nothing is left unless this flow is being cancelled or has failed.
        kill_jobs()


@flow(
    name="generate-ns-data",
    description="Generate a dataset of incompressible flows on real solvers.",
    persist_result=False,
)
def generate_ns_data(
    study: Study = Study(),  # noqa: B008 - frozen
    retry_failed: bool = False,
) -> State[dict[str, Any]]:
    """Generate, or complete, the dataset of a study.

    Parameters
    ----------
    study : what to compute; the defaults are a small study of flows around a cylinder
    retry_failed : whether samples that failed before are tried again

    Returns
    -------
    State
        Completed with the fields of `Summary`; or Failed with a message for people and the name
        ``Incomplete`` (the dataset holds all samples that could be computed), ``Refused`` (the
        study is wrong) or ``Storage``.
    """
    try:
        return _generate(study, retry_failed)
    except UserError as error:
        return Failed(name="Refused", message=str(error))
    except StoreMismatchError as error:
        return Failed(name="Refused", message=str(error))
    except RomflowError as error:
        return Failed(name="Storage", message=str(error))


def _generate(study: Study, retry_failed: bool) -> State[dict[str, Any]]:
    plan = prepare(study, retry_failed=retry_failed)
    get_run_logger().info(
        "%s: %d samples, %d committed, %d chunks to compute",
        plan.root,
        plan.n_samples,
        plan.n_committed,
        len(plan.chunks),
    )
    problems: list[str] = []
    if plan.chunks:
        compute = compute_chunks.with_options(task_runner=_runner(study.run))
        problems = compute(plan, study.run)  # type: ignore[assignment] - Prefect unpacks the state
    summary = publish(study, problems)
    show_artifacts(study.dataset, summary)
    if summary.complaint:
        return Failed(name="Incomplete", message=summary.complaint, data=asdict(summary))
    return Completed(data=asdict(summary), message=f"{summary.committed} samples committed")


def _runner(run: RunSettings) -> TaskRunner[Any]:
    if run.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=run.workers)
    from prefect_dask import DaskTaskRunner

    settings = {"n_workers": run.workers, "threads_per_worker": 1, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=settings)


def _follow(plan: Plan, futures: list[PrefectFuture[Any]]) -> None:
    """Show progress until all chunks have ended."""
    follower, logger = Follower(plan), get_run_logger()
    artifact = create_progress_artifact(0.0, description=f"Frames of {plan.root.name}")
    updated = time.monotonic()
    with Display(plan.n_samples * plan.n_frames) as display:
        pending = True
        while pending:
            pending = bool(wait(futures, timeout=_LOOK).not_done)
            now = follower.look()
            display.show(now)
            for message in now.messages:
                logger.info(message)
            if not pending or time.monotonic() - updated > _UPDATE:
                update_progress_artifact(artifact, 100.0 * now.fraction)
                updated = time.monotonic()


def _complaint(future: PrefectFuture[Any]) -> str:
    state = future.state
    return "" if state.is_completed() else str(state.message or state.name)
