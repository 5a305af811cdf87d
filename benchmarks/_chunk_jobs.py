"""Chunks as MPI jobs, timed: what `ns_throughput` needs of the store and the cluster."""

import json
import os
import resource
import shutil
import subprocess
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

__all__ = ["Chunks", "Cost", "Prefect", "prefect_seconds"]

_PROBLEM = "cylinder"
_PORT = 4399
_ROOT = Path(__file__).resolve().parent.parent


@final
@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and seconds of processor time, which other users disturb less."""

    wall: float
    cpu: float


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

    def run(self, *chunks: tuple[int, ...]) -> Cost:
        """Compute chunks (indices of samples) side by side; return what they cost until all end."""
        threads = [
            threading.Thread(target=self._job, args=(number, chunk))
            for number, chunk in enumerate(chunks)
        ]
        clock, cpu = time.perf_counter(), _children()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cost = Cost(time.perf_counter() - clock, _children() - cpu)
        missing = {i for chunk in chunks for i in chunk} - self._store().committed()
        if missing:
            raise RuntimeError(f"samples {missing} were not committed; see {self.folder}/*.err")
        return cost

    def in_memory(self, indices: tuple[int, ...]) -> tuple[Cost, Cost]:
        """Compute the same samples into memory, in a process of their own.

        Returns
        -------
        cost of the solves, and of the set-up of mesh and model before them
        """
        target = self.folder / "seconds.json"
        job = self._job_file(0, indices)
        run_ranks(Path(__file__), 1, str(job), str(target))
        solves, setup = json.loads(target.read_text())
        return Cost(*solves), Cost(*setup)

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


@final
@dataclass(frozen=True)
class Prefect:
    """Seconds that Prefect and the command add.

    Attributes
    ----------
    chunk : to each chunk beyond its bare job, inside a run
    served, alone : to a whole run of one chunk, once: with the server of `romflow up`, and with
        a server of its own (imports, server, flow run, design, mesh, statistics, figure, card)
    """

    chunk: float
    served: float
    alone: float


def prefect_seconds(chunks: Chunks) -> Prefect:
    """Run `romflow run` on studies of 1 and 5 chunks of two steps each, and compare.

    The server's database exists, as it does from the second run on.
    """
    folder = chunks.folder.with_name("prefect")
    folder.mkdir()
    times = TimeSettings(end=0.002, frames=2, step=0.001)
    data = Chunks(folder / "bare", chunks.settings, times, 1)
    data.create()
    bare = data.run((0,)).wall
    _romflow(folder, "up", "--port", str(_PORT))
    try:
        _command_seconds(folder, "warm", 1, data)
        one, five = (_command_seconds(folder, f"served{n}", n, data) for n in (1, 5))
    finally:
        _romflow(folder, "down")
    alone = _command_seconds(folder, "alone", 1, data)
    each = (five - one) / 4 - bare
    return Prefect(each, one - bare - each, alone - bare - each)


def _command_seconds(folder: Path, name: str, count: int, data: Chunks) -> float:
    study = {
        "name": name,
        "problem": {"name": _PROBLEM, "settings": data.settings},
        "parameters": {"reynolds": {"low": 90.0, "high": 110.0}},
        "sampling": {"samples": count},
        "time": data.times.model_dump(exclude_none=True),
        "run": {"ranks": 1, "chunk_size": 1},
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(study))  # JSON is YAML
    clock = time.perf_counter()
    _romflow(folder, "run", "generate-ns-data", "--study", str(path))
    return time.perf_counter() - clock


def _romflow(folder: Path, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    command = [sys.executable, "-m", "flows.cli", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def _children() -> float:
    """Return the processor seconds of all processes that ended under this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _in_memory(path: Path, target: Path) -> None:
    """Worker of `Chunks.in_memory`."""
    clock, cpu = time.perf_counter(), time.process_time()
    job = ChunkJob.model_validate_json(path.read_text())
    problem, mesh = make_problem(job.problem, job.settings), load_mesh(job.mesh)
    samples = [Sample(i, dict(problem.defaults), i) for i in job.samples]
    layout = flow_layout("bench", problem, problem.space(), samples, mesh, job.time.times(), {})
    model = FlowModel(problem, mesh, MPI.COMM_WORLD, job.time, job.solver, positions=False)
    setup = time.perf_counter() - clock, time.process_time() - cpu
    reports = []
    for sample in samples:
        with MemorySink(layout.description, sample, {}) as sink:
            reports.append(model.solve(sample, sink))
    solves = sum(r.wall_seconds for r in reports), sum(r.cpu_seconds for r in reports)
    target.write_text(json.dumps([solves, setup]))


if __name__ == "__main__":
    _in_memory(Path(sys.argv[1]), Path(sys.argv[2]))
