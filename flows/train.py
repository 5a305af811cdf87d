"""The flow `train-surrogate-online`: simulations and a trainer side by side, frames between them.

The trainer is one job, each chunk of simulations another; both are Prefect tasks. Where they run
is said by cluster profiles; see `flows.online_places`. A crash of either is answered by starting
it again: the trainer goes on from its checkpoint and its journal, a chunk sends what the trainer
lacks. Nothing is kept in the flow itself. With active sampling the flow also draws the samples, a
round at a time; see `flows.breeding`.
"""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.breeding import breeder_of
from flows.chunks import INCOMPLETE, REFUSED, STORAGE, Gate, Problem, problem_of
from flows.messages import message_of
from flows.online_chunks import Job, OnlineChunks
from flows.online_clusters import OnlineClusters
from flows.online_plan import OnlinePlan, check_design, prepare_online
from flows.online_study import OnlineStudy, load_training
from flows.progress import Follower
from flows.publish import publish
from flows.trainer import run_trainer
from flows.training_display import TrainingDisplay
from flows.training_progress import TrainingFollower
from infra.errors import RomflowError, StoreMismatchError, UserError
from infra.provenance import collect, utc_now
from infra.records import FailureRecord
from infra.streaming.rendezvous import Rendezvous
from infra.zarr_store import open_store

__all__ = ["Ended", "compute_online", "train_surrogate_online"]

# Seconds between looks at the logs, and between updates of the artifact on the server.
_LOOK, _UPDATE = 0.25, 5.0


@final
@dataclass(frozen=True)
class Ended:
    """How trainer and simulations have ended.

    Attributes
    ----------
    trained : whether the trainer has spent its budget and left a surrogate
    problems : what went wrong
    """

    trained: bool
    problems: tuple[Problem, ...]


@flow(name="compute-online", validate_parameters=False, persist_result=False)
def compute_online(plan: OnlinePlan, training: OnlineStudy) -> Ended:
    """Run trainer and simulations side by side, and return how they ended.

    The simulations are ended when the trainer has had enough, unless they are archived.
    """
    clusters = OnlineClusters(plan.places, plan.simulations.root)
    gate = Gate(clusters.end_jobs)
    # The trainer has a thread of its own: it is no chunk, and Dask's workers may be elsewhere.
    own: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=1)
    with own as runner:
        try:
            return _side_by_side(plan, training, clusters, gate, runner)
        finally:
            # Nothing is left unless the trainer has had enough, or this flow is being cancelled.
            gate.close()
            clusters.forget()


def _side_by_side(
    plan: OnlinePlan,
    training: OnlineStudy,
    clusters: OnlineClusters,
    gate: Gate,
    runner: ThreadPoolTaskRunner[Any],
) -> Ended:
    run, before = training.study.run, _epoch(plan)
    task = run_trainer.with_options(retries=run.retries)
    given = {"job": plan.job, "log": plan.log, "gate": gate, "cluster": clusters.trainer}
    trainer = Job(runner.submit(task, given))
    if not _trainer_listens(plan, trainer, before):
        problem = problem_of(trainer.future)
        return Ended(problem is None, (problem,) if problem else ())
    chunks = OnlineChunks(
        plan.simulations, run, plan.places, clusters.simulations, gate, breeder_of(training)
    )
    try:
        _follow(plan, training, trainer, chunks)
        failed = problem_of(trainer.future)
        problems = [problem for problem in (failed, *chunks.problems()) if problem]
        return Ended(failed is None, tuple(problems))
    finally:
        gate.close()
        if clusters.elsewhere:
            chunks.leave()


def _trainer_listens(plan: OnlinePlan, trainer: Job, before: int) -> bool:
    """Wait until a new trainer has written the rendezvous; False if it ended before."""
    while _epoch(plan) == before:
        if trainer.ended.wait(_LOOK):
            return False
    return True


def _epoch(plan: OnlinePlan) -> int:
    try:
        return Rendezvous.read(plan.rendezvous).epoch
    except (RomflowError, OSError):
        return 0


def _follow(plan: OnlinePlan, training: OnlineStudy, trainer: Job, chunks: OnlineChunks) -> None:
    """Show progress until the trainer has ended, and the archive is complete; tell it of losses."""
    items = training.study.sampling.samples * max(plan.simulations.n_frames, 1)
    simulations = Follower(plan.simulations)
    learning = TrainingFollower(plan.log, training.training.planned_steps(items))
    logger = get_run_logger()
    artifact = create_progress_artifact(0.0, description=f"Training of {plan.folder.name}")
    assert isinstance(artifact, UUID), "a coroutine only inside asynchronous flows"
    lost, updated = list[int](), time.monotonic()
    frames = plan.simulations.n_samples * max(plan.simulations.n_frames, 1)
    try:
        with TrainingDisplay(frames) as display:
            pending = told = False
            while not told or pending:
                # Nobody needs another round once the trainer has had enough, but the archive does.
                wanted = not trainer.ended.is_set() or training.archive
                drawn = chunks.go_on(learning=not trainer.ended.is_set()) if wanted else ()
                pending = not trainer.ended.wait(_LOOK)
                computed = chunks.ended
                now, lessons = simulations.look(), learning.look()
                now = replace(now, messages=(*drawn, *now.messages))
                display.show(now, lessons)
                for message in (*now.messages, *lessons.messages):
                    logger.info(message)
                if computed and not told:
                    told, lost = True, _give_up(plan, simulations)
                if not pending and not training.archive:
                    told = True
                if not pending or time.monotonic() - updated > _UPDATE:
                    update_progress_artifact(artifact, 100.0 * lessons.fraction)
                    updated = time.monotonic()
    finally:
        # Another run may compute them.
        open_store(plan.simulations.root).forgive(lost)


def _give_up(plan: OnlinePlan, simulations: Follower) -> list[int]:
    """Record the samples of chunks that ended early as failed: the trainer waits for them else.

    Returns
    -------
    list of int
        The samples, to be forgiven when the trainer has ended.
    """
    store = open_store(plan.simulations.root)
    asked = [sample for chunk in plan.simulations.chunks for sample in chunk.samples]
    failed = store.failures()
    lost = [i for i in asked if not simulations.computed(i) and i not in failed]
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
    profile: str | None = None,
) -> State[dict[str, Any]]:
    """Train a surrogate while its simulations run, or go on with it.

    Parameters
    ----------
    training : simulations, surrogate and budget
    retry_failed : whether simulations that failed before are tried again
    profile : cluster profile of the simulations, and of the trainer if it is of kind slurm; none:
        the one that the training names

    Returns
    -------
    State
        Completed with the fields of `ModelSummary`; or Failed with a message for people and the
        name ``Incomplete`` (simulations are missing, the surrogate was trained on the others),
        ``Refused`` (the training is wrong) or ``Storage``.
    """
    try:
        placed = training.at(profile)
        check_design(placed)
        return _train(placed, retry_failed)
    except (UserError, StoreMismatchError) as error:
        return Failed(name=REFUSED, message=str(error))
    except (RomflowError, OSError) as error:
        return Failed(name=STORAGE, message=message_of(error))


def _train(training: OnlineStudy, retry_failed: bool) -> State[dict[str, Any]]:
    plan = prepare_online(training, retry_failed=retry_failed)
    runner = plan.places.runner(training.study.run, plan.simulations.root)
    ended = compute_online.with_options(task_runner=runner)(plan, training)
    texts = list(dict.fromkeys(problem.message for problem in ended.problems))
    complaints = [publish(training.data, texts).complaint] if training.archive else []
    if ended.trained:
        # Whatever simulations have left there, nobody will read it.
        shutil.rmtree(training.paths.spool, ignore_errors=True)
    from flows.publish_model import publish_model  # loads Matplotlib: no trainer waits for that

    summary = publish_model(training, texts, [c for c in complaints if c], trained=ended.trained)
    data = asdict(summary)
    if not summary.complaint:
        return Completed(data=data, message=f"{summary.name}: trained")
    kinds = {problem.kind for problem in ended.problems}
    name = next((kind for kind in (STORAGE, REFUSED) if kind in kinds), INCOMPLETE)
    return Failed(name=name, message=summary.complaint, data=data)
