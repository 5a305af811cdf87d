"""The model of a chunk: which class computes which kind of problem, and on which mesh."""

from typing import Any

from infra.description import DatasetDescription
from infra.errors import UserError
from solvers.chunk import ChunkJob
from solvers.full_order_model import FullOrderModel
from solvers.mesh import ReferenceMesh
from solvers.model import FlowModel
from solvers.problem import Problem
from solvers.snapshots import is_mesh_of
from solvers.steady import SteadyModel
from solvers.steady_snapshots import is_steady_mesh_of
from solvers.transient import TransientModel

__all__ = ["is_mesh_of_problem", "make_model"]


def make_model(
    job: ChunkJob, problem: Problem, mesh: ReferenceMesh, comm: Any, *, positions: bool
) -> FullOrderModel:
    """Return the full-order model of a chunk; collective.

    Parameters
    ----------
    job : the chunk, which brings the settings
    problem, mesh : what is computed, and its reference mesh on all ranks
    comm : MPI communicator
    positions : whether the dataset of a flow keeps the node positions of each sample

    Raises
    ------
    UserError
        If a problem in time has no output times or no suitable steps, or a steady one has some.
    """
    if (job.time is None) != (problem.kind == "steady"):
        wanted = "no output times" if problem.kind == "steady" else "output times"
        raise UserError(
            f"chunk {job.number}: expected {wanted} for {problem.name}, received time = "
            f"{job.time}. Correct `time` in the study."
        )
    if job.time is None:
        return SteadyModel(problem, mesh, comm, job.linear, seed=job.number, horizon=job.horizon)
    if problem.kind == "transient":
        return TransientModel(
            problem, mesh, comm, job.time, job.linear, seed=job.number, horizon=job.horizon
        )
    return FlowModel(problem, mesh, comm, job.time, job.solver, positions=positions)


def is_mesh_of_problem(
    problem: Problem, description: DatasetDescription, mesh: ReferenceMesh
) -> bool:
    """Tell whether the dataset of a problem was made for this mesh."""
    fits = is_mesh_of if problem.kind == "flow" else is_steady_mesh_of
    return fits(description, mesh)
