"""From a study to chunks that are ready to run: samples, mesh, dataset and job files."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from flows.chunk_files import Chunk, write_chunks
from flows.design import Design, design, layout
from flows.existing import is_dataset, require_same_problem, stored_sentence
from flows.slurm_profile import STATE
from flows.study import Study
from infra.cluster import find_mpiexec
from infra.cluster.journal import Journal
from infra.cluster.orphans import end_orphans
from infra.errors import StorageAccessError, storage_errors
from infra.files import locked
from infra.zarr_store import ZarrStore
from solvers.chunk import ChunkJob, load_mesh, save_mesh
from solvers.mesh import ReferenceMesh
from solvers.problem import Problem

__all__ = ["Chunk", "Plan", "prepare", "reference_mesh"]


@final
@dataclass(frozen=True)
class Plan:
    """What is left to compute.

    Attributes
    ----------
    root : folder of the dataset
    chunks : chunks with samples that are neither committed nor failed
    n_samples, n_committed, n_failed : the dataset before this run
    n_frames : frames of each trajectory, 0 for a steady problem
    """

    root: Path
    chunks: tuple[Chunk, ...]
    n_samples: int
    n_committed: int
    n_failed: int
    n_frames: int

    @property
    def steady(self) -> bool:
        """Whether a sample is one solution and has no frames."""
        return self.n_frames == 0


def prepare(
    study: Study,
    *,
    retry_failed: bool = False,
    made: Design | None = None,
    stream: Path | None = None,
    archive: bool = True,
    logs: bool = True,
) -> Plan:
    """Create or open the dataset and write the job files of what is left to compute.

    Jobs in Slurm that a killed flow has left are ended first.

    Parameters
    ----------
    study : what to compute
    retry_failed : whether samples that failed before are tried again
    made : the study's design, if it is another than `design` gives
    stream, archive : where frames go, see `ChunkJob`
    logs : whether empty logs are made for whoever follows the chunks

    Raises
    ------
    UserError
        See `design`; also without an `mpiexec`.
    StoreError
        If the folder holds a dataset of another study.
    StorageFullError, StorageAccessError
        If the dataset cannot be written.
    SlurmError
        If jobs of a killed flow cannot be ended.
    """
    find_mpiexec()
    made = made or design(study)
    root = study.dataset
    # The catalogue is written last, perhaps hours later: that it can be is seen to now.
    for folder in (root, root / "jobs", root / "logs", study.catalog.absolute()):
        _make_folder(folder)
    state = root / STATE
    end_orphans(state, Journal(state / "events.jsonl"))
    store = ZarrStore(root)
    with locked(root / "prepare.lock"):  # two first runs at once must agree on one mesh
        require_same_problem(study)
        mesh = reference_mesh(made.problem, root)
        store.create(layout(study, made, mesh, stored_sentence(root)))
    if retry_failed:
        store.forgive(store.failures())
    committed, failed = store.committed(), frozenset(store.failures())
    # A sample of the archive that the trainer has not seen is sent again, not computed.
    done = failed if stream is not None else committed | failed
    left = {
        number: tuple(index for index in part if index not in done)
        for number, part in enumerate(made.chunks)
        if not done.issuperset(part)
    }
    chunks = write_chunks(_job(study, stream, archive), left, logs=logs)
    frames = 0 if study.time is None else study.time.frames
    return Plan(root, chunks, len(made.samples), len(committed), len(failed), frames)


def reference_mesh(problem: Problem, root: Path) -> ReferenceMesh:
    """Return the dataset's mesh; the first run makes it, all later ones read it.

    Mesh generators may give other meshes on other machines. Without a dataset beside it, a mesh
    was left by a run that ended early, perhaps of a study with another resolution.
    """
    path = root / "mesh.npz"
    if path.exists() and is_dataset(root):
        return load_mesh(path)
    mesh = problem.reference_mesh()
    with storage_errors(path):
        save_mesh(path, mesh)
    return mesh


def _make_folder(folder: Path) -> None:
    with storage_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise StorageAccessError(
                f"{folder}: expected a folder, received a file. Choose another place, or remove "
                "what is in the way."
            ) from error


def _job(study: Study, stream: Path | None, archive: bool) -> ChunkJob:
    """Return what all chunks of a study share, without samples."""
    root = study.dataset
    return ChunkJob(
        number=0,
        dataset=root,
        mesh=root / "mesh.npz",
        code=Path(__file__).resolve().parents[1],
        problem=study.problem.name,
        settings=study.problem.settings,
        samples=(),
        horizon=study.run.chunk_size,
        time=study.time,
        solver=study.solver,
        linear=study.linear,
        stream=stream,
        archive=archive,
    )
