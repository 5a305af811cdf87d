"""From a study to chunks that are ready to run: samples, mesh, dataset and job files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from flows.study import Study
from infra.cluster import find_mpiexec
from infra.errors import StorageAccessError, UserError, storage_errors
from infra.files import locked
from infra.layout import Layout, required_bytes
from infra.records import Sample
from infra.zarr_store import ZarrStore
from solvers.chunk import ChunkJob, load_mesh, make_problem, save_mesh
from solvers.mesh import ReferenceMesh
from solvers.ordering import chunks, order
from solvers.parameters import ParameterSpace
from solvers.problem import Problem
from solvers.sampling import make_sampler
from solvers.snapshots import flow_layout

__all__ = ["Chunk", "Design", "Plan", "design", "prepare", "size_on_disk"]


@final
@dataclass(frozen=True)
class Design:
    """What a study asks for, before anything is written.

    Attributes
    ----------
    problem, space, samples : what is computed
    chunks : sample indices of each chunk, neighbours in parameter space together
    """

    problem: Problem
    space: ParameterSpace
    samples: tuple[Sample, ...]
    chunks: tuple[tuple[int, ...], ...]


@final
@dataclass(frozen=True)
class Chunk:
    """A chunk with work left: its job file and its log."""

    number: int
    job: Path
    log: Path
    samples: tuple[int, ...]


@final
@dataclass(frozen=True)
class Plan:
    """What is left to compute.

    Attributes
    ----------
    root : folder of the dataset
    chunks : chunks with samples that are neither committed nor failed
    n_samples, n_committed, n_failed : the dataset before this run
    n_frames : frames of each trajectory
    """

    root: Path
    chunks: tuple[Chunk, ...]
    n_samples: int
    n_committed: int
    n_failed: int
    n_frames: int


def design(study: Study) -> Design:
    """Choose samples and chunks; check everything that can be checked without computing.

    Raises
    ------
    UserError
        For an unknown problem, setting, parameter or method, bounds outside the problem's, or
        samples whose geometry is impossible.
    """
    problem = make_problem(study.problem.name, study.problem.settings)
    space = _space(problem, study)
    samples = tuple(
        make_sampler(study.sampling.method, space, study.sampling.seed).suggest(
            study.sampling.samples
        )
    )
    _check_samples(problem, samples)
    unit = space.to_unit(space.array([sample.mu for sample in samples]))
    parts = chunks(order(unit), study.run.chunk_size)
    return Design(problem, space, samples, tuple(tuple(map(int, part)) for part in parts))


def prepare(study: Study, *, retry_failed: bool = False) -> Plan:
    """Create or open the dataset and write the job files of what is left to compute.

    Parameters
    ----------
    study : what to compute
    retry_failed : whether samples that failed before are tried again

    Raises
    ------
    UserError
        See `design`; also without an `mpiexec`.
    StoreError
        If the folder holds a dataset of another study.
    StorageFullError, StorageAccessError
        If the dataset cannot be written.
    """
    find_mpiexec()
    made = design(study)
    root = study.dataset
    # The catalogue is written last, perhaps hours later: that it can be is seen to now.
    for folder in (root, root / "jobs", root / "logs", study.catalog.absolute()):
        _make_folder(folder)
    store = ZarrStore(root)
    with locked(root / "prepare.lock"):  # two first runs at once must agree on one mesh
        mesh = reference_mesh(made.problem, root)
        store.create(layout(study, made, mesh))
    if retry_failed:
        store.forgive(store.failures())
    committed, failed = store.committed(), frozenset(store.failures())
    done = committed | failed
    left = [
        _write_job(study, root, number, tuple(i for i in part if i not in done))
        for number, part in enumerate(made.chunks)
        if not done.issuperset(part)
    ]
    return Plan(
        root, tuple(left), len(made.samples), len(committed), len(failed), study.time.frames
    )


def layout(study: Study, made: Design, mesh: ReferenceMesh) -> Layout:
    """Return the layout of the study's dataset."""
    attrs = {"study": study.content(), "description": study.description}
    return flow_layout(
        study.name, made.problem, made.space, made.samples, mesh, study.time.times(), attrs
    )


def reference_mesh(problem: Problem, root: Path) -> ReferenceMesh:
    """Return the dataset's mesh; the first run makes it, all later ones read it.

    Mesh generators may give other meshes on other machines. Without a dataset beside it, a mesh
    was left by a run that ended early, perhaps of a study with another resolution.
    """
    path = root / "mesh.npz"
    if path.exists() and ZarrStore(root).paths.data.exists():
        return load_mesh(path)
    mesh = problem.reference_mesh()
    with storage_errors(path):
        save_mesh(path, mesh)
    return mesh


def size_on_disk(study: Study, made: Design, mesh: ReferenceMesh) -> int:
    """Return an upper bound of the dataset's size in bytes."""
    return required_bytes(layout(study, made, mesh))


def _make_folder(folder: Path) -> None:
    with storage_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise StorageAccessError(
                f"{folder}: expected a folder, received a file. Choose another place, or remove "
                "what is in the way."
            ) from error


def _space(problem: Problem, study: Study) -> ParameterSpace:
    full = problem.space()
    return full.restrict({**problem.defaults, **study.parameters})


def _check_samples(problem: Problem, samples: Sequence[Sample]) -> None:
    impossible = []
    for sample in samples:
        try:
            problem.check(sample.mu)
        except UserError as error:
            impossible.append((sample.index, str(error)))
    if impossible:
        index, text = impossible[0]
        raise UserError(
            f"{len(impossible)} of {len(samples)} samples cannot be computed; the first, "
            f"sample {index}: {text} Narrow the ranges in the study's parameters."
        )


def _write_job(study: Study, root: Path, number: int, samples: tuple[int, ...]) -> Chunk:
    job = ChunkJob(
        number=number,
        dataset=root,
        mesh=root / "mesh.npz",
        code=Path(__file__).resolve().parents[1],
        problem=study.problem.name,
        settings=study.problem.settings,
        samples=samples,
        time=study.time,
        solver=study.solver,
    )
    path, log = root / "jobs" / f"{number:06d}.json", root / "logs" / f"{number:06d}.jsonl"
    with storage_errors(path):
        path.write_text(job.model_dump_json(indent=2))
        log.touch()
    return Chunk(number, path, log, samples)
