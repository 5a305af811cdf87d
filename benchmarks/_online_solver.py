"""Compute a chunk into something else than a store or our stream, with the same solver.

``mpiexec -n 1 python _online_solver.py chunk.json npy frames.npy`` writes the frames straight into
a memory-mapped .npy file (samples, frames, values); ``... push address.txt`` sends them to a
trainer of the published kind whose address is, or will be, in that file.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

import numpy as np
from _online_pair import await_file
from _published_loop import PublishedClient
from _stored_feeds import FIELD

from infra.description import DatasetDescription
from infra.lifeline import die_with_parent, end_with_standard_input
from infra.records import Provenance, Sample, SolveReport
from infra.stream import TrajectorySink
from infra.zarr_store import open_store
from solvers.backend import MPI
from solvers.chunk import ChunkJob, load_mesh, make_problem
from solvers.models import make_model


@final
class FrameSink(TrajectorySink):
    """Hands every frame to a function; nothing is committed."""

    def __init__(
        self,
        description: DatasetDescription,
        sample: Sample,
        send: Callable[[int, np.ndarray], None],
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(description, sample)
        self._send, self._finish = send, leave

    def _enter(self) -> bool:
        return False

    def _write(self, frame: int, values: Mapping[str, np.ndarray]) -> None:
        self._send(frame, values[FIELD].reshape(-1))

    def _put(self, name: str, values: np.ndarray) -> None:
        pass

    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:
        raise NotImplementedError

    def _leave(self) -> None:
        self._finish()


def main(job_file: str, kind: str, target: str) -> None:
    job = ChunkJob.model_validate_json(Path(job_file).read_bytes())
    store = open_store(job.dataset)
    problem, mesh = make_problem(job.problem, job.settings), load_mesh(job.mesh)
    model = make_model(job, problem, mesh, MPI.COMM_WORLD, positions=False)
    samples = [store.samples[index] for index in job.samples]
    model.expect(samples)
    sinks = {"npy": _npy, "push": _push}[kind](store.description, Path(target))
    for sample in samples:
        with sinks(sample) as sink:
            model.solve(sample, sink)


def _npy(description: DatasetDescription, path: Path) -> Callable[[Sample], TrajectorySink]:
    size = int(np.prod(description.frame_shape(description.specs[FIELD])))
    shape = (len(description.samples), len(description.times), size)
    # Made beforehand where several jobs share it.
    mode = "r+" if path.exists() else "w+"
    array = np.lib.format.open_memmap(path, mode, None if mode == "r+" else np.float32, shape)

    def sink(sample: Sample) -> TrajectorySink:
        return FrameSink(description, sample, array[sample.index].__setitem__)

    return sink


def _push(description: DatasetDescription, path: Path) -> Callable[[Sample], TrajectorySink]:
    address = await_file(path)

    def sink(sample: Sample) -> TrajectorySink:
        client = PublishedClient(address, sample.index)
        return FrameSink(description, sample, client.send, client.finish)

    return sink


if __name__ == "__main__":
    die_with_parent()
    end_with_standard_input()
    main(*sys.argv[1:4])
