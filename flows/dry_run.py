"""What a run would do, without writing anything."""

from dataclasses import dataclass
from typing import final

from flows.design import Design, design, size_on_disk
from flows.existing import is_dataset, require_same_study
from flows.study import Study
from infra.cluster import find_mpiexec
from infra.errors import StoreError, UserError
from infra.zarr_store import open_store
from solvers.mesh import ReferenceMesh

__all__ = ["Preview", "preview"]


@final
@dataclass(frozen=True)
class Preview:
    """What a run would meet.

    Attributes
    ----------
    study, design, mesh : what would be computed
    size : upper bound of the dataset's size, bytes
    present : what is known about a dataset of this name; empty if there is none
    obstacles : why a run would be refused
    """

    study: Study
    design: Design
    mesh: ReferenceMesh
    size: int
    present: str
    obstacles: tuple[str, ...]


def preview(study: Study) -> Preview:
    """Look at everything that a run needs.

    Raises
    ------
    UserError
        See `flows.design.design`.
    """
    made = design(study)
    obstacles = [text for text in (_without_mpi(),) if text]
    mesh, present = None, ""
    if is_dataset(study.dataset):
        try:
            mesh = require_same_study(study, made)
            present = _state(study)
        except StoreError as error:
            obstacles.append(str(error))
            present = "another dataset has this name, see below"
    mesh = mesh or made.problem.reference_mesh()
    size = size_on_disk(study, made, mesh)
    return Preview(study, made, mesh, size, present, tuple(obstacles))


def _without_mpi() -> str:
    try:
        find_mpiexec()
    except UserError as error:
        return str(error)
    return ""


def _state(study: Study) -> str:
    store = open_store(study.dataset)
    committed, failed = len(store.committed()), len(store.failures())
    left = len(store.samples) - committed - failed
    return (
        f"exists: {committed} of {len(store.samples)} samples committed, {failed} failed; "
        f"a run computes {left}"
    )
