"""Jobs in a thread of this process, one after the other: for small models and for tests."""

import logging
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import (
    ChecksumError,
    RomflowError,
    StorageAccessError,
    StorageFullError,
    StoreError,
    UserError,
)
from infra.records import Json
from rom.enrichment import EnrichmentSettings
from rom.service.jobs import JobKind, JobRunner, JobStatus
from rom.service.problem import ServiceError, problem_of

__all__ = ["JobCancelledError", "JobHandle", "LocalJobs"]

type _Arrays = dict[str, NDArray[np.floating]]
type _Outcome = tuple[dict[str, Json], _Arrays]
# So many jobs may wait, and so many are remembered.
_WAITING = 32
_KEPT = 200
# Bytes of arrays that are remembered; the newest job keeps its own whatever their size is.
_ARRAY_BYTES = 1 << 28
# A computation that is cancelled may start one more process after the last was ended, s.
_AGAIN = 0.2


class JobCancelledError(RomflowError):
    """A computation was told to stop, and has."""


@final
class JobHandle:
    """What a computation tells while it runs.

    Parameters
    ----------
    tell
        Takes progress from 0 to 1 and what is done.
    """

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self._tell = tell
        self._stop = Event()

    @property
    def cancelled(self) -> bool:
        """Whether it shall stop."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask it to stop."""
        self._stop.set()

    def check(self) -> None:
        """Go on.

        Raises
        ------
        JobCancelledError
            If it shall stop.
        """
        if self.cancelled:
            raise JobCancelledError("cancelled")

    def progress(self, part: float, message: str) -> None:
        """Say how far it is."""
        self._tell(part, message)


type Compare = Callable[[str, int, Mapping[str, float], JobHandle], _Outcome]
type Enrich = Callable[[str, int, EnrichmentSettings, JobHandle], _Outcome]


@final
class LocalJobs(JobRunner):
    """See the module.

    Parameters
    ----------
    compare, enrich
        The computations; they return results and arrays. None: not offered.
    kill
        Ends the processes that the computation has started, when it is cancelled: it then fails,
        or notices by `JobHandle.check`. None: it has none.
    """

    def __init__(
        self,
        compare: Compare | None = None,
        enrich: Enrich | None = None,
        kill: Callable[[], None] | None = None,
    ) -> None:
        self._compare, self._enrich, self._kill = compare, enrich, kill
        self._thread = ThreadPoolExecutor(1, "romflow-job")
        self._lock = Lock()
        self._known: dict[str, JobStatus] = {}
        self._arrays: dict[str, _Arrays] = {}
        self._handles: dict[str, tuple[JobHandle, Future[None]]] = {}

    def submit_compare(self, model: str, version: int, mu: Mapping[str, float]) -> str:
        """See `JobRunner`."""
        if self._compare is None:
            raise UserError("Expected a service that can compute the truth; received one without.")
        compare = self._compare
        return self._submit("compare", model, version, lambda h: compare(model, version, mu, h))

    def submit_enrich(self, model: str, version: int, settings: EnrichmentSettings) -> str:
        """See `JobRunner`."""
        if self._enrich is None:
            raise UserError("Expected a service that can enrich models; received one without.")
        enrich = self._enrich
        return self._submit("enrich", model, version, lambda h: enrich(model, version, settings, h))

    def status(self, job: str) -> JobStatus | None:
        """See `JobRunner`."""
        with self._lock:
            return self._known.get(job)

    def cancel(self, job: str) -> JobStatus | None:
        """See `JobRunner`."""
        found = self._handles.get(job)
        if found is not None and not found[1].done():
            handle, future = found
            handle.cancel()
            if future.cancel():
                self._change(job, state="cancelled", message="cancelled before it began")
            else:
                self._change(job, message="it is being cancelled")
                Thread(target=self._end, args=(future,), daemon=True).start()
        return self.status(job)

    def array(self, job: str, name: str) -> NDArray[np.floating] | None:
        """See `JobRunner`."""
        return self._arrays.get(job, {}).get(name)

    def close(self) -> None:
        """End all jobs and wait for the one that runs."""
        for job in list(self._handles):
            if self._handles[job][1].cancel():
                self._change(job, state="cancelled", message="cancelled before it began")
        for handle, future in list(self._handles.values()):
            if not future.done():
                handle.cancel()
                self._end(future)
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _end(self, future: Future[None]) -> None:
        """End the processes of the computation that runs, until it has ended."""
        while self._kill is not None and not future.done():
            try:
                self._kill()
            except Exception:
                logging.getLogger(__name__).exception("a process of a job could not be ended")
            wait([future], timeout=_AGAIN)

    def _submit(
        self, kind: JobKind, model: str, version: int, work: Callable[[JobHandle], _Outcome]
    ) -> str:
        job = uuid.uuid4().hex
        with self._lock:
            waiting = sum(status.state in ("queued", "running") for status in self._known.values())
            if waiting >= _WAITING:
                raise ServiceError.of(
                    429, "too_many_jobs", f"fewer than {_WAITING} jobs that wait", f"{waiting}"
                )
            self._known[job] = JobStatus(job, kind, model, version, "queued")
            self._forget()
        handle = JobHandle(lambda part, text: self._change(job, progress=part, message=text))
        self._handles[job] = (handle, self._thread.submit(self._run, job, handle, work))
        return job

    def _run(self, job: str, handle: JobHandle, work: Callable[[JobHandle], _Outcome]) -> None:
        self._change(job, state="running")
        try:
            result, arrays = work(handle)
        except BaseException as error:
            if handle.cancelled:  # a computation whose processes were ended fails
                self._change(job, state="cancelled", message="cancelled")
            else:
                logging.getLogger(__name__).error("job %s failed", job, exc_info=error)
                self._change(job, state="failed", message=_words(error))
        else:
            self._keep(job, arrays)
            self._change(job, state="done", progress=1.0, message="done", result=result)

    def _keep(self, job: str, arrays: _Arrays) -> None:
        """Remember arrays; the oldest are given up where they are too many."""
        with self._lock:
            self._arrays[job] = arrays
            self._known[job] = replace(self._known[job], arrays=tuple(arrays))
            for old in list(self._arrays):
                held = sum(a.nbytes for kept in self._arrays.values() for a in kept.values())
                if held <= _ARRAY_BYTES or old == job:
                    return
                del self._arrays[old]
                self._known[old] = replace(self._known[old], arrays=())

    def _change(self, job: str, **entries: object) -> None:
        with self._lock:
            if job in self._known:
                self._known[job] = replace(self._known[job], **entries)  # type: ignore[arg-type]

    def _forget(self) -> None:
        """Drop the oldest jobs that have ended."""
        ended = [j for j, s in self._known.items() if s.state in ("done", "failed", "cancelled")]
        for job in ended[: max(0, len(self._known) - _KEPT)]:
            del self._known[job]
            self._arrays.pop(job, None)
            self._handles.pop(job, None)


def _words(error: BaseException) -> str:
    """Say what went wrong; what concerns the server's folders is for its log."""
    if isinstance(error, (StoreError, ChecksumError, StorageAccessError, StorageFullError)):
        return problem_of(error).message
    return str(error) if isinstance(error, RomflowError) else f"The computation failed: {error}"
