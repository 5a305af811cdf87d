"""One ordered chunk of samples on the ranks of a communicator."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, final

import numpy as np

from infra.errors import NotFiniteError, StoreError, UserError
from infra.provenance import collect, utc_now
from infra.records import FailureRecord, Provenance, Sample, SolveReport
from infra.store import SnapshotStore
from infra.stream import TrajectorySink
from infra.streaming.sinks import StreamSink, TeeSink
from infra.zarr_store import open_store
from solvers.chunk import ChunkJob, load_mesh, make_problem
from solvers.errors import SampleError
from solvers.full_order_model import FullOrderModel
from solvers.learned import read_learned, write_learned
from solvers.mesh import ReferenceMesh
from solvers.models import is_mesh_of_problem, make_model
from solvers.problem import Problem
from solvers.ranks import on_rank_zero
from solvers.snapshots import stores_positions

__all__ = ["Events", "run_chunk", "write_line"]

# Packages whose versions decide the numbers.
_PACKAGES = (
    *("romflow", "fenics-dolfinx", "dolfinx-solver-real", "petsc4py", "mpi4py", "mpich"),
    *("numpy", "zarr", "numcodecs"),
)
# Frames are reported at most this often, seconds: the log stays small.
_INTERVAL = 0.2
# Why a sample fails whose values are finite for the solver, but not for a trainer in float32.
_NOT_FINITE = "not-finite"


@final
class Events:
    """JSON lines that tell how the chunk goes on; only rank 0 writes.

    Parameters
    ----------
    write : receives one line without its newline
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last = 0.0

    def send(self, event: str, **values: Any) -> None:
        """Write one line: the event's name, the time and its values."""
        self._write(json.dumps({"event": event, "time": time.time(), **values}))

    def frame(self, sample: int, frame: int) -> None:
        """Report a frame, unless another was reported a moment ago."""
        now = time.monotonic()
        if now - self._last >= _INTERVAL:
            self._last = now
            self.send("frame", sample=sample, frame=frame)


def run_chunk(job: ChunkJob, comm: Any, events: Events) -> None:
    """Compute, store and report every sample of a chunk that is not committed yet; collective.

    A sample that cannot be computed is recorded with its reason, and the others go on.

    Raises
    ------
    RomflowError
        If the dataset cannot be used (full disk, other layout): the chunk ends.
    """
    run = _ChunkRun(job, comm, events)
    for index in job.samples:
        run.sample(index)


@final
class _ChunkRun:
    """The state of a chunk: the store on rank 0, and the model once it is needed."""

    def __init__(self, job: ChunkJob, comm: Any, events: Events) -> None:
        self._job = job
        self._comm = comm
        self._events = events
        self._store: SnapshotStore | None = None
        self._sink: TrajectorySink | None = None
        self._model: FullOrderModel | None = None
        self._provenance: Provenance | None = None
        on_rank_zero(comm, self._open)

    def sample(self, index: int) -> None:
        """Compute one sample, unless it is committed or failed already."""
        found = on_rank_zero(self._comm, lambda: self._enter(index))
        if found is None:
            return
        try:
            self._solve(found)
        finally:
            if self._sink is not None:
                self._sink.discard()
                self._sink = None

    def _open(self) -> None:
        store = open_store(self._job.dataset)
        unknown = [i for i in self._job.samples if not 0 <= i < len(store.samples)]
        if unknown:
            raise UserError(
                f"chunk {self._job.number}: expected samples 0 to {len(store.samples) - 1}, "
                f"received {unknown}; make the chunk anew from its study"
            )
        self._store = store

    def _enter(self, index: int) -> Sample | None:
        """Take a sample on rank 0; None if there is nothing to do."""
        assert self._store is not None, "rank 0 opened it"
        sample = self._store.sample(index)
        started = utc_now()
        try:
            sink = self._sink_of(self._store, sample).__enter__()
        except NotFiniteError as error:  # an archived sample that cannot be handed on
            self._fail(sample, error, started)
            return None
        if sink.already_committed or self._store.is_failed(index):
            sink.discard()
            self._events.send("skipped", sample=index)
            return None
        self._sink = sink
        self._events.send("started", sample=index)
        return sample

    def _sink_of(self, store: SnapshotStore, sample: Sample) -> TrajectorySink:
        """Return where the frames go: the store, a trainer, or both."""
        if self._job.stream is None:
            return store.sink(sample)
        stream = StreamSink(store.description, sample, self._job.stream)
        return TeeSink(store, stream) if self._job.archive else stream

    def _solve(self, sample: Sample) -> None:
        started = utc_now()
        try:
            with np.errstate(all="ignore"):  # divergence is looked for by name
                report = self._ready_model().solve(sample, self._sink, self._progress(sample))
            # A steady solution is streamed only here.
            on_rank_zero(self._comm, lambda: self._commit(sample, report, started))
        except (SampleError, NotFiniteError) as error:
            failure = error
            on_rank_zero(self._comm, lambda: self._fail(sample, failure, started))
        else:
            on_rank_zero(self._comm, self._keep_learned)

    def _ready_model(self) -> FullOrderModel:
        if self._model is None:
            job, comm = self._job, self._comm
            problem = make_problem(job.problem, job.settings)
            mesh, positions = on_rank_zero(comm, lambda: self._load(problem))
            self._model = make_model(job, problem, mesh, comm, positions=positions)
            self._model.expect(on_rank_zero(comm, self._remaining))
            learned = on_rank_zero(comm, self._learned)
            if learned is not None:
                self._model.restore(learned)
        return self._model

    def _learned(self) -> dict[str, Any] | None:
        """Return what an earlier run of this chunk, or another chunk, has learned."""
        job = self._job
        return read_learned(job.dataset / "jobs", job.number, others=job.linear.cost == "seconds")

    def _remaining(self) -> list[Sample]:
        """Return the samples that are still to be computed, in the order of the chunk."""
        assert self._store is not None, "rank 0 opened it"
        store, samples = self._store, self._job.samples
        left = [i for i in samples if not store.is_committed(i) and not store.is_failed(i)]
        return [store.sample(i) for i in left]

    def _load(self, problem: Problem) -> tuple[ReferenceMesh, bool]:
        """Return the reference mesh, and whether node positions are stored."""
        assert self._store is not None, "rank 0 opened it"
        mesh, description = load_mesh(self._job.mesh), self._store.description
        if not is_mesh_of_problem(problem, description, mesh):
            raise StoreError(
                f"{self._job.mesh}: expected the mesh that {self._job.dataset} was made for, "
                "received another one: its node numbers would be wrong. Restore the file."
            )
        return mesh, stores_positions(description)

    def _progress(self, sample: Sample) -> Callable[[int], None]:
        return lambda frame: self._events.frame(sample.index, frame)

    def _commit(self, sample: Sample, report: SolveReport, started: str) -> None:
        assert self._sink is not None, "rank 0 entered it"
        committed = self._sink.commit(report, self._provenance_of(sample, started))
        self._events.send(
            "committed" if committed else "skipped",
            sample=sample.index,
            seconds=report.wall_seconds,
            steps=report.steps,
        )

    def _keep_learned(self) -> None:
        state = None if self._model is None else self._model.state()
        if state is not None:
            with suppress(OSError):  # a hint for later runs, no result
                write_learned(self._job.dataset / "jobs", self._job.number, state)

    def _fail(self, sample: Sample, error: SampleError | NotFiniteError, started: str) -> None:
        assert self._store is not None, "rank 0 opened it"
        reason = error.reason if isinstance(error, SampleError) else _NOT_FINITE
        provenance = self._provenance_of(sample, started)
        self._store.fail(FailureRecord(sample, reason, str(error), provenance))
        if isinstance(self._sink, StreamSink | TeeSink):
            self._sink.fail(reason)  # a trainer shall not wait for it
        self._events.send("failed", sample=sample.index, reason=reason, message=str(error))

    def _provenance_of(self, sample: Sample, started: str) -> Provenance:
        if self._provenance is None:
            options = {} if self._model is None else self._model.options
            code, ranks = self._job.code, self._comm.size
            self._provenance = collect(options, sample.seed, ranks, started, _PACKAGES, code)
        return replace(self._provenance, seed=sample.seed, started=started, finished=utc_now())


def write_line(line: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
