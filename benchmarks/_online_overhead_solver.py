"""One solver process whose samples go nowhere, into a store, or to one of several trainers."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from _online_pair import await_file, publish_text

from infra.provenance import collect, utc_now
from infra.records import Provenance, SolveReport
from infra.store import SnapshotStore
from infra.stream import TrajectorySink
from infra.streaming.client import FrameStream, connect
from infra.streaming.sinks import StreamSink
from infra.zarr_store import open_store
from solvers.backend import MPI
from solvers.chunk import ChunkJob, load_mesh, make_problem
from solvers.models import make_model
from solvers.snapshots import stores_positions

__all__ = ["NOWHERE", "STORED", "Timing", "paused_race", "race"]

NOWHERE, STORED = "nowhere", "to the store"
# The frame of a sample at which the trainer is stopped.
_MIDDLE = 30


@final
@dataclass(frozen=True)
class Timing:
    """What one sample took, seconds.

    Attributes
    ----------
    total : everything, from opening the stream to the end of the sample
    processor : of the processor, all threads of the solver's process together
    greeting, sending, leaving : how long the stream has kept the solver waiting at the beginning,
        while it computed, and at the end
    """

    total: float
    processor: float
    greeting: float
    sending: float
    leaving: float


@final
class _Nowhere(TrajectorySink):
    """Checks frames as every sink does, and drops them."""

    def _enter(self) -> bool:
        return False

    def _write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        """Drop the frame."""

    def _put(self, name: str, values: np.ndarray) -> None:
        """Drop the array."""

    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:  # noqa: ARG002
        return True

    def _leave(self) -> None:
        """Do nothing."""


@final
class _Solver:
    """The model of a chunk, made as `python -m solvers` makes it, on one rank.

    Parameters
    ----------
    jobs : files of chunks of equal samples, by what becomes of their frames
    """

    def __init__(self, jobs: Mapping[str, Path]) -> None:
        self._jobs = {
            way: ChunkJob.model_validate_json(path.read_bytes()) for way, path in jobs.items()
        }
        self._stores: dict[str, SnapshotStore] = {
            way: open_store(job.dataset) for way, job in self._jobs.items()
        }
        job = self._jobs[NOWHERE]
        problem, mesh = make_problem(job.problem, job.settings), load_mesh(job.mesh)
        positions = stores_positions(self._stores[NOWHERE].description)
        self._model = make_model(job, problem, mesh, MPI.COMM_SELF, positions=positions)
        self._model.expect(self._stores[NOWHERE].samples)
        self._provenance = collect({}, 0, 1, utc_now(), (), Path())

    def compute(self, way: str, index: int, during: Callable[[int], None] | None = None) -> Timing:
        """Compute a sample under the clock; `during` is called with the number of each frame."""
        started, spent = time.perf_counter(), time.process_time()
        sample, stream = self._stores[way].samples[index], self._stream(way, index)
        with self._sink(way, index, stream) as sink:
            greeting = _blocked(stream)
            report = self._model.solve(sample, sink, during)
            sending = _blocked(stream)
            sink.commit(report, self._provenance)
        total, processor = time.perf_counter() - started, time.process_time() - spent
        leaving = _blocked(stream)
        return Timing(total, processor, greeting, sending - greeting, leaving - sending)

    def _stream(self, way: str, index: int) -> FrameStream | None:
        rendezvous, store = self._jobs[way].stream, self._stores[way]
        if rendezvous is None:
            return None
        sample, study = store.samples[index], store.description.digest
        return connect(rendezvous, index, mu=sample.mu, seed=sample.seed, study=study)

    def _sink(self, way: str, index: int, stream: FrameStream | None) -> TrajectorySink:
        store = self._stores[way]
        if way == STORED:
            return store.sink(store.samples[index])
        if stream is None:
            return _Nowhere(store.description, store.samples[index])
        return StreamSink(store.description, store.samples[index], lambda: stream)


def race(
    jobs: Mapping[str, Path],
    trainers: Mapping[str, int],
    first: tuple[int, ...],
    samples: tuple[int, ...],
    ready: Path,
) -> dict[str, list[Timing]]:
    """Compute samples in all ways, in turn, and return what each took.

    Parameters
    ----------
    jobs : chunk files by way
    trainers : processes of the ways that have a trainer; all but one stand still at any time
    first : samples that are computed in all ways before, not counted
    samples : computed in all ways
    ready : file that says that the trainers are at work; ``prepared`` beside it asks for it
    """
    solver = _Solver(jobs)
    for index in first:
        for way in jobs:
            solver.compute(way, index)
    publish_text(ready.with_name("prepared"), "")
    await_file(ready, 120.0)
    ways = [*jobs]
    found: dict[str, list[Timing]] = {way: [] for way in ways}
    for turn, index in enumerate(samples):
        for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
            _wake(trainers, way)
            found[way].append(solver.compute(way, index))
    _wake(trainers, "")
    return found


def paused_race(
    jobs: Mapping[str, Path], way: str, trainer: int, samples: tuple[int, ...]
) -> dict[str, list[Timing]]:
    """Stop a trainer in the middle of a sample, stream on, and let it go on at the end.

    Each sample is also computed without a stream, right before; the first one, with the trainer
    at work, is not counted.
    """
    solver = _Solver(jobs)
    for each in (NOWHERE, way):
        solver.compute(each, samples[0])

    def stop(frame: int) -> None:
        if frame == _MIDDLE:
            os.kill(trainer, signal.SIGSTOP)

    found: dict[str, list[Timing]] = {NOWHERE: [], way: []}
    try:
        for index in samples[1:]:
            found[NOWHERE].append(solver.compute(NOWHERE, index))
            found[way].append(solver.compute(way, index, stop))
    finally:
        os.kill(trainer, signal.SIGCONT)
    return found


def _wake(trainers: Mapping[str, int], way: str) -> None:
    """Let one trainer run, if this way has one, and stop the others."""
    for name, process in trainers.items():
        os.kill(process, signal.SIGCONT if name == way else signal.SIGSTOP)


def _blocked(stream: FrameStream | None) -> float:
    return 0.0 if stream is None else stream.blocked_seconds
