"""The flow `train-surrogate-online`: simulations and a trainer side by side, frames between them.

The trainer is one job, each chunk of simulations another; both are Prefect tasks. A crash of
either is answered by starting it again: the trainer goes on from its checkpoint and its journal,
a chunk sends what the trainer lacks. Nothing is kept in the flow itself.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.chunks import INCOMPLETE, REFUSED, STORAGE, Gate, Problem, problem_of, run_chunk
from flows.messages import message_of
from flows.online_plan import OnlinePlan, check_design, prepare_online
from flows.online_study import OnlineStudy, load_training
from flows.progress import Follower
from flows.publish import publish
from flows.publish_model import ModelSummary, publish_model
from flows.trainer import run_trainer
from flows.training_display import TrainingDisplay
from flows.training_progress import TrainingFollower
from infra.errors import RomflowError, StoreMismatchError, UserError
from infra.provenance import collect, utc_now
from infra.records import FailureRecord
from infra.streaming.rendezvous import Rendezvous
from infra.zarr_store import open_store

__all__ = ["compute_online", "train_surrogate_online"]

# Seconds between looks at the logs, and between updates of the artifact on the server.
_LOOK, _UPDATE = 0.25, 5.0


@flow(name="compute-online", validate_parameters=False, persist_result=False)
def compute_online(plan: OnlinePlan, training: OnlineStudy) -> list[Problem]:
    """Run trainer and simulations side by side, and return what went wrong.

    The simulations are ended when the trainer has had enough.
    """
    run = training.study.run
    gate = Gate()
    try:
        trainer = run_trainer.with_options(retries=run.retries).submit(
            plan.job, plan.log, gate, return_state=False
        )
        if not _trainer_listens(plan, trainer):
            return [problem for problem in (problem_of(trainer),) if problem]
        attempt = run_chunk.with_options(retries=run.retries)
        chunks = [
            attempt.submit(chunk.number, chunk, run.ranks, gate, return_state=False)
            for chunk in plan.simulations.chunks
        ]
        _follow(plan, training, trainer, chunks)
        enough = trainer.state.is_final()
        if enough:
            gate.close()
        found = [] if enough else [p for f in chunks if (p := problem_of(f))]
        return [*found, *(p for p in (problem_of(trainer),) if p)]
    finally:
        # Nothing is left unless this flow is being cancelled or has failed.
        gate.close()


def _trainer_listens(plan: OnlinePlan, trainer: PrefectFuture[Any]) -> bool:
    """Wait until a new trainer has written the rendezvous; False if it ended before."""
    before = _epoch(plan)
    while _epoch(plan) == before:
        if wait([trainer], timeout=_LOOK).done:
            return False
    return True


def _epoch(plan: OnlinePlan) -> int:
    try:
        return Rendezvous.read(plan.rendezvous).epoch
    except (RomflowError, OSError):
        return 0


def _follow(
    plan: OnlinePlan,
    training: OnlineStudy,
    trainer: PrefectFuture[Any],
    chunks: Sequence[PrefectFuture[Any]],
) -> None:
    """Show progress until the trainer has ended; tell it what will never come."""
    items = training.study.sampling.samples * max(plan.simulations.n_frames, 1)
    simulations = Follower(plan.simulations)
    learning = TrainingFollower(plan.log, training.training.planned_steps(items))
    logger = get_run_logger()
    artifact = create_progress_artifact(0.0, description=f"Training of {plan.folder.name}")
    assert isinstance(artifact, UUID), "a coroutine only inside asynchronous flows"
    told, lost, updated = False, list[int](), time.monotonic()
    frames = plan.simulations.n_samples * max(plan.simulations.n_frames, 1)
    with TrainingDisplay(frames) as display:
        pending = True
        while pending:
            pending = bool(wait([trainer], timeout=_LOOK).not_done)
            now, lessons = simulations.look(), learning.look()
            display.show(now, lessons)
            for message in (*now.messages, *lessons.messages):
                logger.info(message)
            if not told and all(f.state.is_final() for f in chunks):
                told, lost = True, _give_up(plan, chunks)
            if not pending or time.monotonic() - updated > _UPDATE:
                update_progress_artifact(artifact, 100.0 * lessons.fraction)
                updated = time.monotonic()
    open_store(plan.simulations.root).forgive(lost)


def _give_up(plan: OnlinePlan, chunks: Sequence[PrefectFuture[Any]]) -> list[int]:
    """Record the samples of chunks that ended early as failed: the trainer waits for them else.

    Returns
    -------
    list of int
        The samples, to be forgiven when the trainer has ended: another run may compute them.
    """
    store = open_store(plan.simulations.root)
    done = store.committed() | set(store.failures())
    lost = [
        sample
        for chunk, future in zip(plan.simulations.chunks, chunks, strict=True)
        if not future.state.is_completed()
        for sample in chunk.samples
        if sample not in done
    ]
    code = Path(__file__).resolve().parents[1]
    for index in lost:
        sample = store.samples[index]
        provenance = collect({}, sample.seed, 0, utc_now(), ("romflow",), code)
        store.fail(FailureRecord(sample, "lost", "Its job ended early.", provenance))
    return lost


@flow(
    name="train-surrogate-online",
    description="Train a surrogate while its simulations run.",
    persist_result=False,
)
def train_surrogate_online(
    training: OnlineStudy = load_training("heat-mlp"),  # noqa: B008 - Prefect's form shows it
    retry_failed: bool = False,
) -> State[dict[str, Any]]:
    """Train a surrogate while its simulations run, or go on with it.

    Parameters
    ----------
    training : simulations, surrogate and budget
    retry_failed : whether simulations that failed before are tried again

    Returns
    -------
    State
        Completed with the fields of `ModelSummary`; or Failed with a message for people and the
        name ``Incomplete`` (simulations are missing, the surrogate was trained on the others),
        ``Refused`` (the training is wrong) or ``Storage``.
    """
    try:
        check_design(training)
        return _train(training, retry_failed)
    except (UserError, StoreMismatchError) as error:
        return Failed(name=REFUSED, message=str(error))
    except (RomflowError, OSError) as error:
        return Failed(name=STORAGE, message=message_of(error))


def _train(training: OnlineStudy, retry_failed: bool) -> State[dict[str, Any]]:
    plan = prepare_online(training, retry_failed=retry_failed)
    workers = training.study.run.workers + 1
    runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=workers)
    compute = compute_online.with_options(task_runner=runner)
    problems = compute(plan, training)
    if training.archive:
        publish(training.data, [problem.message for problem in problems])
    return _ended(publish_model(training, _texts(problems)), problems)


def _ended(summary: ModelSummary, problems: Sequence[Problem]) -> State[dict[str, Any]]:
    data = asdict(summary)
    if summary.complaint:
        kinds = {problem.kind for problem in problems}
        name = next((kind for kind in (STORAGE, REFUSED) if kind in kinds), INCOMPLETE)
        return Failed(name=name, message=summary.complaint, data=data)
    return Completed(data=data, message=f"{summary.name}: trained")


def _texts(problems: Iterable[Problem]) -> list[str]:
    return list(dict.fromkeys(problem.message for problem in problems))
