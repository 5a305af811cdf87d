"""The simulations of an online training as Prefect tasks, submitted as their samples are drawn."""

import threading
import time
from typing import Any, final

from prefect.futures import PrefectFuture

from flows.breeding import Breeder
from flows.chunks import Gate, Problem, problem_of, run_chunk
from flows.online_places import Places
from flows.plan import Chunk, Plan
from flows.study_parts import RunSettings
from infra.cluster import Cluster

__all__ = ["Job", "OnlineChunks"]

# Seconds for chunks to end that nobody needs any more; workers that are not there take longer.
_LEAVE = 10.0


@final
class Job:
    """A task's future that tells its end without asking the server.

    Attributes
    ----------
    future : of the task
    ended : set as soon as the task is through
    """

    def __init__(self, future: PrefectFuture[Any]) -> None:
        self.future = future
        self.ended = threading.Event()
        future.add_done_callback(lambda _: self.ended.set())


@final
class OnlineChunks:
    """Submits chunks; made and used inside a flow run.

    Parameters
    ----------
    plan : the chunks that are left
    run : workers and retries
    places, cluster : where they run
    gate : closed when the flow ends
    breeder : draws the samples of later rounds; None: all are drawn
    """

    def __init__(
        self,
        plan: Plan,
        run: RunSettings,
        places: Places,
        cluster: Cluster,
        gate: Gate,
        breeder: Breeder | None,
    ) -> None:
        self._left = list(plan.chunks)
        self._retries, self._workers = run.retries, places.side_by_side(run)
        self._ranks, self._cluster = places.ranks, cluster
        self._gate, self._breeder = gate, breeder
        self._jobs: list[Job] = []

    @property
    def ended(self) -> bool:
        """Whether all chunks of all rounds have ended."""
        return not self._left and all(job.ended.is_set() for job in self._jobs)

    def go_on(self, *, learning: bool) -> tuple[str, ...]:
        """Submit what can be computed; draw the next round if a worker would be idle.

        Parameters
        ----------
        learning : whether the trainer is still at work

        Returns
        -------
        tuple of str
            Lines for people.
        """
        self._submit()
        if self._breeder is None or not self._left or self._busy >= self._workers:
            return ()
        if not self._breeder.due(learning=learning):
            return ()
        text = self._breeder.draw()
        self._submit()
        return (text,)

    def problems(self) -> list[Problem]:
        """Return what went wrong with the chunks that have ended.

        Whoever is still at work is not needed any more: that he is ended is no problem.
        """
        found = [problem_of(job.future) for job in self._jobs if job.ended.is_set()]
        return [problem for problem in found if problem]

    def leave(self) -> None:
        """Wait, though not for ever, until chunks have ended after the gate was closed."""
        end = time.monotonic() + _LEAVE
        for job in self._jobs:
            job.ended.wait(max(0.0, end - time.monotonic()))

    @property
    def _busy(self) -> int:
        return sum(not job.ended.is_set() for job in self._jobs)

    def _submit(self) -> None:
        attempt = run_chunk.with_options(retries=self._retries)
        for chunk in [chunk for chunk in self._left if self._drawn(chunk)]:
            self._left.remove(chunk)
            what = (chunk.number, chunk, self._ranks, self._gate, self._cluster)
            self._jobs.append(Job(attempt.submit(*what, return_state=False)))

    def _drawn(self, chunk: Chunk) -> bool:
        return self._breeder is None or self._breeder.drawn_all(chunk.samples)
