"""Jobs as elements of Slurm arrays: what is asked for at about the same time goes in one array."""

import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from infra.cluster.arrays import Array, places, plan_arrays, submit_array, write_array_work
from infra.cluster.job import Cluster, JobResult
from infra.cluster.journal import Journal
from infra.cluster.orphans import Owner
from infra.cluster.packing import Packing
from infra.cluster.policy import Attempt, advice, next_attempt
from infra.cluster.profile import Profile
from infra.cluster.slurm_commands import Slurm
from infra.cluster.slurm_limits import limits_of
from infra.cluster.states import Outcome, outcome_of
from infra.cluster.work import PROGRESS, End, Work, WorkItem, count_events, read_end
from infra.errors import RomflowError

__all__ = ["SlurmCluster"]

# Seconds in which jobs are gathered for one array; between looks at files; between squeue calls.
_GATHER, _LOOK, _ASK = 0.3, 0.3, 3.0
# A crash is tried again by whoever asked for the job; the other ends are this cluster's matter.
_ENDS = (Outcome.DONE, Outcome.REFUSED, Outcome.STORAGE, Outcome.CRASHED)


@final
@dataclass(eq=False)
class _Request:
    """One attempt at one job, from the asking to its end."""

    item: WorkItem
    attempt: Attempt
    offset: int
    asked: float = field(default_factory=time.monotonic)
    array: Array | None = None
    work: Work | None = None
    element: int = 0
    place: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None
    end: End | None = None
    error: RomflowError | None = None

    def settle(self, outcome: Outcome | None, end: End | None) -> None:
        """Note an outcome, if there is one."""
        if outcome is not None:
            self.outcome, self.end = outcome, end
            self.ended.set()


@final
class SlurmCluster(Cluster):
    """Jobs of one flow as elements of Slurm arrays; to be used by many threads at once.

    Parameters
    ----------
    profile : where jobs run and what they ask for
    folder : shared between login and compute nodes; receives scripts, work and how it ended
    slurm : the commands
    """

    def __init__(self, profile: Profile, folder: Path, slurm: Slurm | None = None) -> None:
        self._journal_path = folder / "events.jsonl"
        self._journal = Journal(self._journal_path)
        self._profile, self._slurm = profile, slurm or Slurm(note=self._note)
        self._owner = Owner(folder)
        self._packing = Packing(profile.pack, profile.grace)
        self._change, self._tending = threading.Lock(), threading.Lock()
        self._open: list[_Request] = []
        self._left_behind: set[int] = set()
        self._submitted, self._asked, self._closed = 0, 0.0, False

    def run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        """Run an MPI job in Slurm; see `Cluster.run`.

        A job that was interrupted from outside, or ran out of time or memory, is submitted again
        as `next_attempt` says.

        Raises
        ------
        UserError
            If Slurm refuses the job.
        SlurmError
            If it does not answer.
        """
        return self._run(module, ranks, log)

    def run_alone(self, module: Sequence[str], log: Path) -> JobResult:
        """Run a job without MPI in Slurm; see `Cluster.run_alone`."""
        return self._run(module, 0, log)

    def end_jobs(self) -> None:
        """Cancel the jobs in Slurm; whoever waits for one is told that it was cancelled."""
        with self._change:
            self._closed = True
            left = [request for request in self._open if not request.ended.is_set()]
            jobs = {request.array.job for request in left if request.array} | self._left_behind
        self._slurm.cancel(jobs)
        for request in left:
            request.settle(Outcome.CANCELLED, None)
        self._owner.release()

    def _run(self, module: Sequence[str], ranks: int, log: Path) -> JobResult:
        item = WorkItem(key=0, module=tuple(module), ranks=ranks, log=log)
        attempt = Attempt(self._profile.resources)
        while True:
            request = self._await(_Request(item, attempt, _size(log)))
            outcome = request.outcome
            assert outcome is not None, "whoever has ended has an outcome"
            if outcome in _ENDS or self._closed:
                return _result(outcome, request.end, attempt, final=self._closed)
            progress = count_events(log, PROGRESS, request.offset) > 0
            limits = limits_of(self._slurm.partitions(), self._profile)
            following = next_attempt(outcome, attempt, progress=progress, retries=0, limits=limits)
            self._journal.note(log.stem, outcome, attempt, following)
            if following is None:
                return _result(outcome, request.end, attempt, final=True)
            attempt = following

    def _await(self, request: _Request) -> _Request:
        """Have a request submitted and wait for its end; one of those that wait does the work."""
        with self._change:
            self._open.append(request)
            if self._closed:
                request.settle(Outcome.CANCELLED, None)
        try:
            while not request.ended.wait(_LOOK):
                if self._tending.acquire(blocking=False):
                    try:
                        self._tend()
                    finally:
                        self._tending.release()
        finally:
            with self._change:
                self._open.remove(request)
                if request.array is not None and not request.ended.is_set():
                    self._left_behind.add(request.array.job)  # Slurm did not answer, or Ctrl-C
        if request.error is not None:
            raise request.error
        return request

    def _tend(self) -> None:
        """Submit what was gathered, and see who has ended."""
        with self._change:
            waiting = [r for r in self._open if r.array is None and not r.ended.is_set()]
        now = time.monotonic()
        if waiting and now - min(request.asked for request in waiting) >= _GATHER:
            for group in _alike(waiting):
                self._submit(group)
        with self._change:
            running = [r for r in self._open if r.array is not None and not r.ended.is_set()]
        for request in running:
            _look_at_file(request)
        if running and now - self._asked >= _ASK:
            self._ask([request for request in running if not request.ended.is_set()])
            self._asked = time.monotonic()

    def _submit(self, group: Sequence[_Request]) -> None:
        """Submit requests that need the same room; what goes wrong is told to each of them."""
        self._submitted += 1
        folder = self._owner.run / f"{self._submitted:04d}"
        name = f"romflow-{self._owner.run.name}-{self._submitted}"
        attempt, ranks = group[0].attempt, group[0].item.ranks
        counts = self._packing.counts(range(len(group)), attempt)
        try:
            self._owner.take()
            items = [request.item for request in group]
            work = write_array_work(self._profile, folder, items, counts, self._journal_path)
            resources, python = attempt.resources, sys.executable
            plans = plan_arrays(self._profile, folder, name, len(counts), ranks, resources, python)
            for plan in plans:
                array = submit_array(self._slurm, self._profile, plan)
                for request, (element, place) in zip(group, places(counts), strict=True):
                    if array.first <= element < array.first + array.count:
                        request.work, request.element, request.place = work, element, place
                        request.array = array
        except RomflowError as error:
            for request in group:
                if request.array is None:
                    request.error, request.outcome = error, Outcome.LOST
                    request.ended.set()
        if self._closed:  # while this was under way
            self.end_jobs()

    def _note(self, text: str) -> None:
        self._journal.write("waited", text)

    def _ask(self, requests: Iterable[_Request]) -> None:
        """Ask Slurm about jobs that have left no final word."""
        open_ = [(r, r.array, r.work) for r in requests if r.array and r.work]
        if not open_:
            return
        queue = self._slurm.queue(array.job for _, array, _ in open_)
        for request, array, work in open_:
            request.settle(*array.outcome(queue, work, request.element, request.place))


def _look_at_file(request: _Request) -> None:
    """Notice an end that Slurm cannot change, without asking Slurm."""
    if request.work is not None:
        end = read_end(request.work.end(request.element, request.place))
        if end is not None and end.settled:
            request.settle(outcome_of(None, end), end)


def _alike(requests: Iterable[_Request]) -> list[list[_Request]]:
    """Return groups of requests that ask for the same ranks, time and memory."""
    groups: dict[object, list[_Request]] = {}
    for request in requests:
        attempt = request.attempt
        alike = (request.item.ranks, attempt.resources, attempt.alone)
        groups.setdefault(alike, []).append(request)
    return list(groups.values())


def _result(outcome: Outcome, end: End | None, attempt: Attempt, *, final: bool) -> JobResult:
    said = end.errors if end is not None else ""
    if outcome in _ENDS:
        code = end.code if end is not None else 1
        return JobResult(code, said, final)
    text = f"its Slurm job {outcome.value}. {advice(outcome, attempt)}"
    return JobResult(1, f"{text}\n{said}" if said else text, final)


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
