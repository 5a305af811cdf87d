"""The trainer as a Prefect task: one job, started again from its checkpoint if it crashes."""

from pathlib import Path
from typing import Any, final

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed
from prefect.tasks import Task

from flows.chunks import REFUSED, STORAGE, Gate
from infra.cluster import Cluster, LocalCluster
from infra.errors import RomflowError, UserError

__all__ = ["TrainerCrashedError", "run_trainer"]


@final
class TrainerCrashedError(RomflowError):
    """The trainer ended without finishing: it is worth another attempt from its checkpoint."""


def _crashed(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), TrainerCrashedError)


@task(name="train", retry_condition_fn=_crashed, persist_result=False)
def run_trainer(job: Path, log: Path, gate: Gate, cluster: Cluster | None = None) -> State[None]:
    """Run the trainer and wait for its end.

    Parameters
    ----------
    job, log : the trainer's job file and its log
    gate : closed when the flow ends
    cluster : where the job runs; None: on this machine

    Raises
    ------
    TrainerCrashedError
        If it ended before its budget was spent.
    """
    with gate.job() as entered:
        if not entered:
            return Failed(message="the trainer was not started: the flow was ended")
        try:
            result = (cluster or LocalCluster()).run_alone(["surrogates", str(job)], log)
        except UserError as error:  # Slurm refuses the job
            return Failed(name=REFUSED, message=str(error))
    said = result.errors.strip() or "nothing"
    if result.code == 0:
        return Completed(message="trained")
    if result.code in (2, 3):
        return Failed(name=REFUSED if result.code == 2 else STORAGE, message=said)
    if result.final:
        return Failed(message=f"the trainer: {said} Log: {log}")
    raise TrainerCrashedError(
        f"the trainer ended with code {result.code} before its budget was spent; it said: {said}. "
        f"Its checkpoints and all frames that it took are kept. Log: {log}"
    )
