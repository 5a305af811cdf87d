"""The text form of a chunk: what one MPI job computes. No PETSc here."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import StoreError, UserError
from infra.files import replace_durably
from solvers.mesh import ReferenceMesh
from solvers.problem import Problem
from solvers.problems import problem_class
from solvers.settings import LinearSettings, SolverSettings, TimeSettings

__all__ = ["ChunkJob", "load_mesh", "make_problem", "save_mesh", "validation_message"]


@final
class ChunkJob(BaseModel):
    """An ordered chunk of samples of one dataset; paths are absolute.

    Attributes
    ----------
    number : place of the chunk in its study
    dataset : folder of the dataset, which exists
    mesh : file of the reference mesh
    code : folder whose git commit goes into the provenance
    problem, settings : the problem's name and its settings
    samples : indices in the order in which they are computed
    horizon : samples of a whole chunk, those included that are done; costs of set-ups are shared
        by so many solves
    time, solver, linear : as in the study; a steady problem has no times, and a flow ignores
        `linear`
    stream : file of the rendezvous with a trainer that takes the frames; None without one
    archive : whether frames that are streamed go into the dataset as well
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=0)
    dataset: Path
    mesh: Path
    code: Path
    problem: str
    settings: dict[str, Any] = Field(default_factory=dict)
    samples: tuple[int, ...]
    horizon: int = Field(200, ge=1)
    time: TimeSettings | None = None
    solver: SolverSettings = SolverSettings()
    linear: LinearSettings = LinearSettings()
    stream: Path | None = None
    archive: bool = True


def make_problem(name: str, settings: Mapping[str, Any]) -> Problem:
    """Return the problem called `name`.

    Raises
    ------
    UserError
        If the name or a setting is unknown or out of range.
    """
    kind = problem_class(name)
    try:
        values = kind.Settings.model_validate(dict(settings))
    except ValidationError as error:
        known = ", ".join(kind.Settings.model_fields)
        raise UserError(
            f"problem.settings of {name}: {validation_message(error)} (known settings: {known})"
        ) from error
    return kind(values)


def validation_message(error: ValidationError) -> str:
    """Say in one line what pydantic refused: where, what was expected, what was received."""
    parts = []
    for entry in error.errors():
        own = entry["type"] == "value_error"
        where = ".".join(str(key) for key in entry["loc"])
        text = entry["msg"].removeprefix("Value error, ")
        if entry["type"] == "extra_forbidden":
            text = "unknown key"
        elif not own and entry["type"] != "missing":
            text = f"{text}, received {entry['input']!r}"
        if not where and not own:  # a check of several keys names them itself
            where = "input"
        parts.append(f"{where}: {text}" if where else text)
    return "; ".join(parts)


def save_mesh(path: Path, mesh: ReferenceMesh) -> None:
    """Write a reference mesh, whole or not at all."""
    memory = BytesIO()
    np.savez(memory, allow_pickle=False, **mesh.arrays())
    replace_durably(path, memory.getvalue())


def load_mesh(path: Path) -> ReferenceMesh:
    """Read what `save_mesh` wrote.

    Raises
    ------
    StoreError
        If the file is missing or is no reference mesh.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return ReferenceMesh.from_arrays(arrays)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise StoreError(
            f"{path}: expected the study's reference mesh, received: {error}. "
            "Start the study again; it makes the mesh anew."
        ) from error
