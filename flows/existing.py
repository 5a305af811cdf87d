"""The dataset that a study's folder holds already, if there is one."""

from pathlib import Path

from flows.design import Design, layout
from flows.study import Study
from infra.description import DatasetDescription, difference
from infra.errors import StoreMismatchError
from infra.zarr_store import ZarrStore, open_store
from solvers.chunk import load_mesh
from solvers.mesh import ReferenceMesh

__all__ = ["is_dataset", "require_same_problem", "require_same_study", "stored_sentence"]


def is_dataset(root: Path) -> bool:
    """Tell whether the folder holds a dataset, whatever its state."""
    return ZarrStore(root).paths.data.exists()


def stored_sentence(root: Path) -> str:
    """Return the one sentence that describes the stored dataset; empty without a dataset.

    It decides no number: a study may say something else of the same data, and goes on.
    """
    return str(_description(root).attrs.get("description", "")) if is_dataset(root) else ""


def require_same_problem(study: Study) -> None:
    """Refuse a dataset of another problem: its mesh does not fit the study's.

    Raises
    ------
    StoreMismatchError
        If the folder holds such a dataset.
    """
    if not is_dataset(study.dataset):
        return
    stored = _description(study.dataset).attrs.get("study")
    problem = stored.get("problem") if isinstance(stored, dict) else None
    wanted = study.content()["problem"]
    if problem != wanted:
        raise StoreMismatchError("attrs.study.problem", problem, wanted)


def require_same_study(study: Study, made: Design) -> ReferenceMesh:
    """Return the mesh of the stored dataset, which the study would complete.

    Raises
    ------
    StoreMismatchError
        If the dataset is another study's.
    """
    require_same_problem(study)
    mesh = load_mesh(study.dataset / "mesh.npz")
    wanted = layout(study, made, mesh, stored_sentence(study.dataset)).description
    found = difference(_description(study.dataset), wanted)
    if found is not None:
        raise StoreMismatchError(*found)
    return mesh


def _description(root: Path) -> DatasetDescription:
    return open_store(root).description
