"""The full-order answer for one set of load parameters: computed once and kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from flows.slurm_profile import cluster_of, load_profile, ranks_of
from flows.structure_store import RunJob, RunStore
from flows.study_parts import RunSettings
from flows.text_form import validated
from infra.cluster import Cluster
from infra.errors import RomflowError, UserError
from rom.answer import Answer
from rom.selection import Select
from rom.served_model import ServedModel
from rom.structures.full_response import full_response
from rom.structures.published import PublishedStructure
from rom.structures.response import StructureResponse
from rom.structures.trajectory import Trajectory
from solvers.laws.description import to_dict

__all__ = ["FullAnswer", "ask_full", "compute_full", "full_job"]

_WORKER = "flows.structure_worker"


@final
@dataclass(frozen=True, eq=False)
class FullAnswer:
    """A full-order run beside a model.

    Attributes
    ----------
    trajectory : its displacements
    response : fields and quantities
    seconds : of its computation, when that was
    fresh : whether it was computed now
    """

    trajectory: Trajectory
    response: StructureResponse
    seconds: float
    fresh: bool


def full_job(model: PublishedStructure, mu: Mapping[str, Any]) -> RunJob:
    """Return the full-order run of a query, with the mesh, law and loads of a model.

    Raises
    ------
    UserError
        If a parameter is missing, unknown, not finite or outside of the problem's bounds.
    """
    row = model.parameters.values(mu)[0]
    whole = model.parameters.space.mu(row)
    model.parts.case(whole)  # what the problem refuses is said at once
    stored: Any = model.card.lineage.get("structure", {})
    return RunJob.model_validate(
        {
            "problem": model.parts.problem,
            "settings": dict(model.parts.settings),
            # As the study says it: equal runs have equal keys. None is the law of the problem.
            "law": stored["law"] if "law" in stored else to_dict(model.parts.model.law),
            "mu": whole,
            "solver": stored.get("solver", {}),
        }
    )


def compute_full(model: PublishedStructure, mu: Mapping[str, Any], place: Path) -> FullAnswer:
    """Compute a full-order run, or take the one that is there.

    Parameters
    ----------
    model : to compare with
    mu : its free parameters; fixed ones may be there
    place : folder that keeps full-order runs

    Raises
    ------
    UserError
        If the parameters are wrong, or the run is not possible with them.
    RomflowError
        If it could not be computed.
    """
    job, store = full_job(model, mu), RunStore(place)
    fresh = not store.committed(job)
    if fresh:
        store.forgive(job)
        cluster, ranks = _where(model, place)
        done = cluster.run([_WORKER, str(store.prepare(job))], ranks, store.log(job))
        if done.code:
            kind = UserError if done.code == 2 else RomflowError
            raise kind(f"The full-order run could not be computed: {done.errors.strip()}")
        failed = store.failure(job)
        if failed is not None:
            raise UserError(
                "Expected parameters for which the full-order run can be computed; received "
                f"{dict(job.mu)}: {failed}"
            )
    run = store.load(job)
    trajectory = Trajectory(run.times, run.displacement, model.parts.case(job.mu).loads)
    return FullAnswer(trajectory, full_response(model.parts, trajectory), run.seconds, fresh)


def ask_full(
    model: ServedModel, mu: Mapping[str, float], times: Sequence[float], select: Select, place: Path
) -> Answer:
    """Answer one query by the full-order model.

    Parameters
    ----------
    model : a structure; its mesh, law and loads are taken
    mu, times, select : as for `flows.rom_query.ask`
    place : folder that keeps full-order runs

    Raises
    ------
    UserError
        If the model is no structure; else see `compute_full`.
    """
    if not isinstance(model, PublishedStructure):
        raise UserError(
            f"--full: expected a structure, received {model.name}, a model of fields. Compare it "
            "with a simulation: romflow compare"
        )
    if select.kind == "coefficients":
        raise UserError(
            "--full: expected quantities or fields, received coefficients, which the full-order "
            "model does not have"
        )
    # The question is checked by an empty run: a wrong one shall not cost a real one.
    model.at_full_order(mu, _empty(model), list(times) or None, select)
    full = compute_full(model, mu, place)
    return model.at_full_order(mu, full.response, list(times) or None, select)


def _where(model: PublishedStructure, place: Path) -> tuple[Cluster, int]:
    """Return where the study of a model computes its runs, and by how many processes."""
    stored: Any = model.card.lineage.get("structure", {})
    run = validated(RunSettings, stored.get("run", {"ranks": 1}), f"lineage of {model.name}")
    profile = load_profile(run.profile)
    return cluster_of(profile, place), ranks_of(profile, run)


def _empty(model: PublishedStructure) -> StructureResponse:
    """Return the response of a run in which nothing happens; it takes no memory."""
    size = sum(field.size for field in model.space.fields)
    count = len(model.times)
    nothing = np.broadcast_to(0.0, count)
    return StructureResponse(
        model.times,
        np.broadcast_to(0.0, (size, count)),
        dict.fromkeys(model.maker.units, nothing),
    )
