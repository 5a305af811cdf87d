"""The flow `generate-ns-data`: study -> samples -> chunks as MPI jobs -> store -> catalogue.

A chunk is one Prefect task and one MPI job. The state of the work is in the dataset alone: a
rerun, after whatever happened, computes what is not committed and nothing else.
"""

import time
from dataclasses import asdict
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.artifacts import show_artifacts
from flows.chunks import INCOMPLETE, REFUSED, STORAGE, Gate, Problem, problem_of, run_chunk
from flows.display import Display
from flows.messages import message_of
from flows.plan import Plan, prepare
from flows.progress import Follower
from flows.publish import publish
from flows.study import RunSettings, Study
from infra.errors import RomflowError, StoreMismatchError, UserError

__all__ = ["generate_ns_data"]

# Seconds between looks at the logs, and between updates of the artifact on the server.
_LOOK, _UPDATE = 0.25, 5.0


@flow(name="compute-chunks", validate_parameters=False, persist_result=False)
def compute_chunks(plan: Plan, run: RunSettings) -> list[Problem]:
    """Run all chunks side by side, show how far they are, and return what went wrong."""
    attempt = run_chunk.with_options(retries=run.retries)
    gate = Gate()
    try:
        futures = [
            attempt.submit(chunk.number, chunk, run.ranks, gate, return_state=False)
            for chunk in plan.chunks
        ]
        _follow(plan, futures)
        return [problem for future in futures if (problem := problem_of(future))]
    finally:
        # Nothing is left unless this flow is being cancelled or has failed.
        gate.close()


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
    except (UserError, StoreMismatchError) as error:
        return Failed(name=REFUSED, message=str(error))
    except (RomflowError, OSError) as error:
        return Failed(name=STORAGE, message=message_of(error))


def _generate(study: Study, retry_failed: bool) -> State[dict[str, Any]]:
    plan = prepare(study, retry_failed=retry_failed)
    get_run_logger().info(
        "%s: %d samples, %d committed, %d chunks to compute",
        plan.root,
        plan.n_samples,
        plan.n_committed,
        len(plan.chunks),
    )
    problems: list[Problem] = []
    if plan.chunks:
        compute = compute_chunks.with_options(task_runner=_runner(study.run))
        problems = compute(plan, study.run)
    summary = publish(study, [problem.message for problem in problems])
    show_artifacts(study.dataset, summary)
    if summary.complaint:
        # A disk that cannot be used is another thing than samples that cannot be computed.
        unusable = any(problem.kind == STORAGE for problem in problems)
        name = STORAGE if unusable else INCOMPLETE
        return Failed(name=name, message=summary.complaint, data=asdict(summary))
    return Completed(data=asdict(summary), message=f"{summary.committed} samples committed")


def _runner(run: RunSettings) -> TaskRunner[Any]:
    if run.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=run.workers)
    from prefect_dask.task_runners import DaskTaskRunner

    settings = {
        "n_workers": run.workers,
        "threads_per_worker": 1,
        # No pages; Dask's server for them listens all the same, so here and on any free port.
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
    }
    return DaskTaskRunner(cluster_kwargs=settings)


def _follow(plan: Plan, futures: list[PrefectFuture[Any]]) -> None:
    """Show progress until all chunks have ended."""
    follower, logger = Follower(plan), get_run_logger()
    artifact = create_progress_artifact(0.0, description=f"Frames of {plan.root.name}")
    assert isinstance(artifact, UUID), "a coroutine only inside asynchronous flows"
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
