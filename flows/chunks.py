"""A chunk as a Prefect task: one MPI job, retried if it crashes, ended when its flow ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.tasks import Task

from flows.plan import Chunk
from infra.cluster import Cluster, LocalCluster, kill_jobs
from infra.errors import RomflowError, UserError

__all__ = [
    "INCOMPLETE",
    "REFUSED",
    "STORAGE",
    "ChunkCrashedError",
    "Gate",
    "Problem",
    "problem_of",
    "run_chunk",
]

# Seconds between two attempts to end jobs; the second is needed for one that was just starting.
_AGAIN = 0.2
# Names of Prefect states, which tell the command line what went wrong.
STORAGE, REFUSED, INCOMPLETE = "Storage", "Refused", "Incomplete"


@final
class ChunkCrashedError(RomflowError):
    """An MPI job ended without finishing its chunk: it is worth another attempt."""


@final
@dataclass(frozen=True)
class Problem:
    """Why a chunk ended early.

    Attributes
    ----------
    kind : ``Storage`` for a full or unusable disk, ``Refused`` for a wrong input, else ``Crashed``
    message : what the job said
    """

    kind: str
    message: str


@final
class Gate:
    """Lets MPI jobs in until it is closed; closing ends those that are in.

    Without it a chunk whose job is killed by Ctrl-C would count as crashed, and be retried. A
    copy that is sent to another process is a new, open gate: Dask ends its own workers.

    Parameters
    ----------
    end_jobs : ends those that are in
    """

    def __init__(self, end_jobs: Callable[[], None] = kill_jobs) -> None:
        self._end_jobs = end_jobs
        self._change = threading.Condition()
        self._inside = 0
        self._closed = False

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (type(self), ())

    @contextmanager
    def job(self) -> Iterator[bool]:
        """Enter for the time of a job; gives False if the gate is closed."""
        with self._change:
            entered = not self._closed
            self._inside += entered
        try:
            yield entered
        finally:
            with self._change:
                self._inside -= entered
                self._change.notify_all()

    def close(self) -> None:
        """Let nobody in any more, end the jobs that are in, and wait until they are out."""
        with self._change:
            self._closed = True
            self._end_jobs()
            while self._inside:
                self._change.wait(_AGAIN)
                self._end_jobs()


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
def run_chunk(
    number: int,
    chunk: Chunk,
    ranks: int,
    gate: Gate,
    cluster: Cluster | None = None,
    module: str = "solvers",
) -> State[None]:
    """Run one chunk as an MPI job and wait for its end.

    Parameters
    ----------
    number : of the chunk, for its name on Prefect's pages
    chunk : what to compute
    ranks : number of MPI processes
    gate : closed when the flow ends
    cluster : where the job runs; None: on this machine
    module : what computes it

    Raises
    ------
    ChunkCrashedError
        If the job ended before its chunk was finished.
    """
    with gate.job() as entered:
        if not entered:
            return Failed(message=f"chunk {number} was not started: the flow was ended")
        place = cluster or LocalCluster()
        try:
            result = place.run([module, str(chunk.job)], ranks, chunk.log)
        except UserError as error:  # no such launcher, or Slurm refuses the job
            return Failed(name=REFUSED, message=str(error))
    said = result.errors.strip() or "nothing"
    if result.code == 0:
        return Completed(message=f"{len(chunk.samples)} samples")
    if result.code in (2, 3):  # a wrong input or an unusable disk: said in full, and not retried
        return Failed(name=REFUSED if result.code == 2 else STORAGE, message=said)
    if result.final:
        return Failed(message=f"chunk {number}: {said} Log: {chunk.log}")
    raise ChunkCrashedError(
        f"chunk {number}: its MPI job ended with code {result.code} before the chunk was "
        f"finished; it said: {said}. Committed samples are kept. Log: {chunk.log}"
    )


def problem_of(future: PrefectFuture[Any]) -> Problem | None:
    """Return why a chunk ended early, None if it did not."""
    future.wait()  # it is through, but what its state says may still be on the way to the server
    state = future.state
    if state.is_completed():
        return None
    if state.name in (STORAGE, REFUSED):
        return Problem(state.name, str(state.message))
    # Prefect's message would begin with the exception's class.
    error = state.result(raise_on_failure=False)
    return Problem("Crashed", str(error or state.message or state.name))
