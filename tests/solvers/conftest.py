"""Fixtures of the solver tests: crooked meshes, UFL as the judge, tiny studies, real MPI jobs."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import spsolve

from infra.cluster import find_mpiexec
from infra.layout import Layout
from infra.records import CommitRecord, Provenance, Sample
from infra.stream import MemorySink, Trajectory
from infra.zarr_store import ZarrStore, open_store
from solvers.backend import MPI, dolfinx
from solvers.chunk import ChunkJob, make_problem, save_mesh
from solvers.grids import graded, rectangle
from solvers.linear_space import distribute_linear
from solvers.matrix_system import MatrixSystem
from solvers.mesh import FloatArray, ReferenceMesh, reorder_for_locality
from solvers.model import FlowModel
from solvers.problem import Problem
from solvers.settings import LinearSettings, SolverSettings, TimeSettings
from solvers.snapshots import flow_layout, geometry_varies
from solvers.steady_case import MatrixEquation, SteadyCase
from solvers.steady_snapshots import steady_layout
from solvers.steady_system import SteadySystem
from solvers.transient_snapshots import transient_layout
from solvers.transport_system import TransportSystem

# Long enough for a loaded machine, short enough to notice a job that hangs.
DEADLINE = 120


def _cube() -> ReferenceMesh:
    """Return Kuhn's tetrahedra of 2 x 2 x 2 cubes, the faces at x = 0 and x = 1 tagged."""
    axis = np.linspace(0.0, 1.0, 3)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    strides = np.array([9, 3, 1])
    corners = np.array([9 * i + 3 * j + k for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    paths = [np.cumsum([0, *strides[list(p)]]) for p in permutations(range(3))]
    cells = (corners[:, None, None] + np.array(paths)[None]).reshape(-1, 4)
    faces = np.concatenate([np.delete(cells, i, axis=1) for i in range(4)])
    faces, counts = np.unique(np.sort(faces, axis=1), axis=0, return_counts=True)
    outer = faces[counts == 1]
    left, right = ((points[outer, 0] == x).all(axis=1) for x in (0.0, 1.0))
    tags = np.where(left, 1, np.where(right, 2, 3))
    return reorder_for_locality(
        ReferenceMesh(points, cells, outer, tags, {"left": 1, "right": 2, "rest": 3})
    )


@pytest.fixture(scope="session")
def crooked() -> Callable[[int, int], ReferenceMesh]:
    """Give a function (dimension, seed) that returns a randomly deformed mesh."""

    def make(gdim: int, seed: int) -> ReferenceMesh:
        rng = np.random.default_rng(seed)
        mesh = rectangle(graded(4, 1.0), graded(3, 0.0)) if gdim == 2 else _cube()
        moved = mesh.points + rng.uniform(-0.05, 0.05, mesh.points.shape)
        matrix = np.eye(gdim) + rng.uniform(-0.3, 0.3, (gdim, gdim))
        return replace(mesh, points=moved @ matrix + rng.uniform(-1, 1, gdim))

    return make


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """Give a function that compiles a UFL form with FFCx."""
    # A cache of this session only: no test depends on what an earlier one left behind.
    options = {
        "cache_dir": str(tmp_path_factory.mktemp("ffcx")),
        "cffi_extra_compile_args": ["-O0"],
    }
    return lambda form: dolfinx.fem.form(form, jit_options=options)


@pytest.fixture(scope="session")
def assembled(compiled: Callable[[Any], Any]) -> Callable[[Any], FloatArray]:
    """Give a function that assembles a bilinear UFL form into a dense matrix."""

    def assemble(form: Any) -> FloatArray:
        return np.asarray(dolfinx.fem.assemble_matrix(compiled(form)).to_dense())

    return assemble


@pytest.fixture(scope="session")
def integral(compiled: Callable[[Any], Any]) -> Callable[[Any], float]:
    """Give a function that integrates a UFL functional."""
    return lambda form: float(np.real(dolfinx.fem.assemble_scalar(compiled(form))))


@pytest.fixture(scope="session")
def dense() -> Callable[[Any], FloatArray]:
    """Give a function that returns a PETSc matrix of one rank as a dense array."""

    def convert(matrix: Any) -> FloatArray:
        rows, columns = matrix.getSize()
        return np.asarray(matrix.getValues(range(rows), range(columns)))

    return convert


@final
@dataclass(frozen=True)
class Study:
    """A tiny study with its dataset on disk, whose chunks can be computed by real MPI jobs."""

    root: Path
    job: ChunkJob

    @property
    def store(self) -> ZarrStore:
        return open_store(self.job.dataset)

    def records(self) -> dict[int, CommitRecord]:
        return {i: self.store.record(i) for i in sorted(self.store.committed())}

    def checksums(self) -> dict[int, Mapping[str, str]]:
        return {i: record.checksums for i, record in self.records().items()}

    def chunk(self, samples: Sequence[int] | None = None) -> Path:
        """Write a chunk file and return its path."""
        chosen = self.job.samples if samples is None else tuple(samples)
        path = self.root / f"chunk-{'-'.join(map(str, chosen))}.json"
        path.write_text(self.job.model_copy(update={"samples": chosen}).model_dump_json())
        return path


@final
@dataclass(frozen=True)
class Laboratory:
    """Makes studies in a folder and runs their chunks."""

    folder: Path
    made: list[Path] = field(default_factory=list)

    def study(
        self,
        problem: str,
        settings: Mapping[str, Any],
        mus: Sequence[Mapping[str, float]],
        time: TimeSettings,
        **solver: Any,
    ) -> Study:
        """Create a study whose samples are the problem's defaults changed by `mus`."""
        made = make_problem(problem, settings)
        mesh, samples = made.reference_mesh(), _samples(made, mus)
        layout = flow_layout("tiny", made, made.space(), samples, mesh, time.times(), {})
        given = {"time": time, "solver": SolverSettings(**solver)}
        return self._written(layout, mesh, problem=problem, settings=dict(settings), **given)

    def steady(
        self,
        problem: str,
        settings: Mapping[str, Any],
        mus: Sequence[Mapping[str, float]],
        **linear: Any,
    ) -> Study:
        """Create a study of a steady problem whose samples are its defaults changed by `mus`."""
        made = make_problem(problem, settings)
        mesh, samples = made.reference_mesh(), _samples(made, mus)
        layout = steady_layout("tiny", made, made.space(), samples, mesh, {})
        given = {"linear": LinearSettings(**linear)}
        return self._written(layout, mesh, problem=problem, settings=dict(settings), **given)

    def transient(
        self,
        problem: str,
        settings: Mapping[str, Any],
        mus: Sequence[Mapping[str, float]],
        time: TimeSettings,
        **linear: Any,
    ) -> Study:
        """Create a study of a linear problem in time, its samples as in `steady`."""
        made = make_problem(problem, settings)
        mesh, samples = made.reference_mesh(), _samples(made, mus)
        layout = transient_layout("tiny", made, made.space(), samples, mesh, time.times(), {})
        given = {"time": time, "linear": LinearSettings(**linear)}
        return self._written(layout, mesh, problem=problem, settings=dict(settings), **given)

    def _written(self, layout: Layout, mesh: ReferenceMesh, **job: Any) -> Study:
        root = self.folder / f"study-{len(self.made)}"
        root.mkdir()
        self.made.append(root)
        save_mesh(root / "mesh.npz", mesh)
        ZarrStore(root / "dataset").create(layout)
        places = {"dataset": root / "dataset", "mesh": root / "mesh.npz", "code": root}
        samples = tuple(range(len(layout.samples)))
        return Study(root, ChunkJob(number=0, samples=samples, **places, **job))

    def start(self, ranks: int, *arguments: object) -> subprocess.Popen[str]:
        """Start ``mpiexec -n ranks python -m solvers ...`` with warnings as errors."""
        python = [sys.executable, "-W", "error", "-m", "solvers", *map(str, arguments)]
        return subprocess.Popen(
            [str(find_mpiexec()), "-n", str(ranks), *python],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def run(self, ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a job to its end, whatever its exit code."""
        with self.start(ranks, *arguments) as job:
            try:
                output, errors = job.communicate(timeout=DEADLINE)
            finally:
                job.kill()
        return subprocess.CompletedProcess(job.args, job.returncode, output, errors)

    def compute(self, study: Study, ranks: int, samples: Sequence[int] | None = None) -> Study:
        """Compute samples of a study (default all) with an MPI job that has to succeed."""
        done = self.run(ranks, study.chunk(samples))
        assert done.returncode == 0, done.stderr
        return study


def _samples(problem: Problem, mus: Sequence[Mapping[str, float]]) -> list[Sample]:
    return [Sample(i, {**problem.defaults, **mu}, i) for i, mu in enumerate(mus)]


@pytest.fixture(scope="session")
def system_of() -> Callable[[ReferenceMesh, SteadyCase], SteadySystem]:
    """Give a function that makes the linear systems of a case on this process alone."""

    def make(mesh: ReferenceMesh, case: SteadyCase) -> SteadySystem:
        if isinstance(case.equation, MatrixEquation):
            return MatrixSystem(case, MPI.COMM_SELF)
        return TransportSystem(distribute_linear(mesh, MPI.COMM_SELF), case)

    return make


@pytest.fixture(scope="session")
def solution(
    system_of: Callable[[ReferenceMesh, SteadyCase], SteadySystem],
) -> Callable[[ReferenceMesh, SteadyCase], FloatArray]:
    """Give a function that solves a case with SciPy, (n_vertices, n_unknowns)."""

    def solve(mesh: ReferenceMesh, case: SteadyCase) -> FloatArray:
        system = system_of(mesh, case)
        system.refill(case)
        pointers, columns, values = system.matrix.getValuesCSR()
        matrix = csr_array((values, columns, pointers)).tocsc()
        return system.gather(spsolve(matrix, system.right(case)))

    return solve


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def solve() -> Callable[..., dict[int, Trajectory]]:
    """Give a function that computes samples in this process and keeps their trajectories."""

    def compute(
        problem: Problem,
        mus: Sequence[Mapping[str, float]],
        time: TimeSettings,
        mesh: ReferenceMesh | None = None,
        **solver: Any,
    ) -> dict[int, Trajectory]:
        mesh = problem.reference_mesh() if mesh is None else mesh
        samples = _samples(problem, mus)
        layout = flow_layout("memory", problem, problem.space(), samples, mesh, time.times(), {})
        model = FlowModel(
            problem,
            mesh,
            MPI.COMM_WORLD,
            time,
            SolverSettings(**solver),
            positions=geometry_varies(problem, mesh, samples),
        )
        shelf: dict[int, Trajectory] = {}
        origin = Provenance("unknown", False, {}, {}, 0, "here", 1, "", "")
        for sample in samples:
            with MemorySink(layout.description, sample, shelf) as sink:
                sink.commit(model.solve(sample, sink), origin)
        return shelf

    return compute
