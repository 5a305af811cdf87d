"""Chunks as MPI jobs, timed: what `ns_throughput` needs of the store and the cluster."""

import json
import shutil
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from _flow import run_ranks

from infra.cluster import LocalCluster
from infra.records import Sample
from infra.stream import MemorySink
from infra.zarr_store import ZarrStore
from solvers.backend import MPI
from solvers.chunk import ChunkJob, load_mesh, make_problem, save_mesh
from solvers.model import FlowModel
from solvers.settings import SolverSettings, TimeSettings
from solvers.snapshots import flow_layout

__all__ = ["Chunks", "prefect_seconds"]

_PROBLEM = "cylinder"
_ROOT = Path(__file__).resolve().parent.parent


@final
@dataclass(frozen=True)
class Chunks:
    """A dataset of equal samples, cut into chunks that are computed on one rank each.

    Parameters
    ----------
    folder : an empty folder of our own
    settings : settings of the cylinder problem
    times : output times and steps
    samples : number of samples
    """

    folder: Path
    settings: dict[str, Any]
    times: TimeSettings
    samples: int

    def create(self) -> None:
        """Make the dataset anew, empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        problem = make_problem(_PROBLEM, self.settings)
        mesh = problem.reference_mesh()
        save_mesh(self._mesh, mesh)
        samples = [Sample(i, dict(problem.defaults), i) for i in range(self.samples)]
        layout = flow_layout(
            "bench", problem, problem.space(), samples, mesh, self.times.times(), {}
        )
        ZarrStore(self._dataset).create(layout)

    def run(self, *chunks: tuple[int, ...]) -> float:
        """Compute chunks (indices of samples) side by side; return the seconds until all end."""
        threads = [
            threading.Thread(target=self._job, args=(number, chunk))
            for number, chunk in enumerate(chunks)
        ]
        clock = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - clock
        missing = {i for chunk in chunks for i in chunk} - self._store().committed()
        if missing:
            raise RuntimeError(f"samples {missing} were not committed; see {self.folder}/*.err")
        return seconds

    def stepping(self, indices: tuple[int, ...]) -> float:
        """Return the seconds of the same samples without store and start, in their own process."""
        target = self.folder / "seconds.json"
        job = self._job_file(0, indices)
        run_ranks(Path(__file__), 1, str(job), str(target))
        return float(json.loads(target.read_text()))

    def peak_memory(self, index: int) -> float:
        """Return the peak memory of the job that computed a sample, bytes."""
        return float(self._store().record(index).report.values["peak_memory_bytes"])

    def steps(self, index: int) -> int:
        """Return the number of steps of a committed sample."""
        return int(self._store().record(index).report.steps)

    @property
    def _mesh(self) -> Path:
        return self.folder / "mesh.npz"

    @property
    def _dataset(self) -> Path:
        return self.folder / "data"

    def _store(self) -> ZarrStore:
        return ZarrStore(self._dataset)

    def _job_file(self, number: int, indices: tuple[int, ...]) -> Path:
        job = ChunkJob(
            number=number,
            dataset=self._dataset,
            mesh=self._mesh,
            code=_ROOT,
            problem=_PROBLEM,
            settings=self.settings,
            samples=indices,
            time=self.times,
            solver=SolverSettings(),
        )
        path = self.folder / f"chunk{number}.json"
        path.write_text(job.model_dump_json())
        return path

    def _job(self, number: int, indices: tuple[int, ...]) -> None:
        path = self._job_file(number, indices)
        LocalCluster().run(["solvers", str(path)], 1, path.with_suffix(".jsonl"))


def prefect_seconds(chunks: Chunks) -> float | None:  # noqa: ARG001 - for the one who fills it in
    """Return the seconds that Prefect adds to a chunk, or None where no flow exists.

    There is no flow yet that runs a chunk, so nothing is added.
    """
    return None


def _stepping(path: Path, target: Path) -> None:
    """Worker: solve a chunk's samples into memory and write the seconds of the solves."""
    job = ChunkJob.model_validate_json(path.read_text())
    problem, mesh = make_problem(job.problem, job.settings), load_mesh(job.mesh)
    samples = [Sample(i, dict(problem.defaults), i) for i in job.samples]
    layout = flow_layout("bench", problem, problem.space(), samples, mesh, job.time.times(), {})
    model = FlowModel(problem, mesh, MPI.COMM_WORLD, job.time, job.solver, positions=False)
    seconds = 0.0
    for sample in samples:
        with MemorySink(layout.description, sample, {}) as sink:
            seconds += model.solve(sample, sink).wall_seconds
    target.write_text(json.dumps(seconds))


if __name__ == "__main__":
    _stepping(Path(sys.argv[1]), Path(sys.argv[2]))
