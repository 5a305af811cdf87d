"""The truth for one parameter vector: a full-order simulation, computed once and kept."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from flows.plan import prepare
from flows.study import Study
from flows.text_form import validated
from infra.cluster import LocalCluster
from infra.errors import RomflowError, UserError
from infra.records import Json
from infra.zarr_store import open_store
from rom.reduced_model import ReducedModel
from rom.snapshots import Snapshots
from rom.store_snapshots import StoreSnapshots

__all__ = ["Truth", "compute_truth", "full_mu", "truth_study"]


@final
@dataclass(frozen=True, eq=False)
class Truth:
    """A simulation beside a model.

    Attributes
    ----------
    name : of its dataset
    mu : all parameters
    snapshots : the one trajectory, with the fields of the model
    seconds : of its computation, when that was
    fresh : whether it was computed now
    """

    name: str
    mu: Mapping[str, float]
    snapshots: Snapshots
    seconds: float
    fresh: bool


def full_mu(model: ReducedModel, mu: Mapping[str, float]) -> dict[str, float]:
    """Return all parameters, those that are fixed in the model included.

    Raises
    ------
    UserError
        If one is missing, unknown or not finite.
    """
    row = model.parameters.values(mu)[0]
    return model.parameters.space.mu(row)


def truth_study(model: ReducedModel, mu: Mapping[str, float], place: Path) -> Study:
    """Return the study of one simulation, with everything else as for the model.

    Parameters
    ----------
    model : built by `romflow run build-rom`
    mu : all parameters
    place : folder that receives the simulation

    Raises
    ------
    UserError
        If the model does not know its study.
    """
    content: Any = model.card.lineage.get("study")
    if not isinstance(content, dict):
        raise UserError(
            f"Expected a model that knows its study; {model.name} does not. Build it with "
            "`romflow run build-rom`."
        )
    own: dict[str, Json] = {
        "parameters": dict(mu),
        "sampling": {"samples": 1, "seed": content["sampling"]["seed"]},
        "run": {"ranks": 1, "chunk_size": 1},
        "output": str(place),
        "catalog": str(place),
    }
    # Whatever changes the solution changes the name; where it is kept does not.
    kept = {k: v for k, v in content.items() if k not in ("name", "description", *own)}
    key = json.dumps([kept, dict(mu)], sort_keys=True)
    own["name"] = f"truth-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    return validated(Study, {**content, **own}, f"truth of {model.name}")


def compute_truth(model: ReducedModel, mu: Mapping[str, float], place: Path) -> Truth:
    """Compute a simulation, or take the one that is there.

    Parameters
    ----------
    model : to compare with
    mu : its free parameters; fixed ones may be there
    place : folder that keeps simulations

    Raises
    ------
    UserError
        If the parameters are wrong, or no simulation is possible with them.
    RomflowError
        If it could not be computed.
    """
    whole = full_mu(model, mu)
    study = truth_study(model, whole, place)
    begun, plan = time.perf_counter(), prepare(study, retry_failed=True)
    for chunk in plan.chunks:
        done = LocalCluster().run(["solvers", str(chunk.job)], study.run.ranks, chunk.log)
        if done.code:
            kind = UserError if done.code == 2 else RomflowError
            raise kind(f"The simulation could not be computed: {done.errors.strip()}")
    store = open_store(study.dataset)
    failed = store.failures().get(0)
    if failed is not None:
        raise UserError(
            f"Expected parameters for which a simulation can be computed; received {whole}: "
            f"{failed.reason}: {failed.message}"
        )
    fields = [field.name for field in model.card.fields]
    seconds = time.perf_counter() - begun if plan.chunks else store.record(0).report.wall_seconds
    snapshots = StoreSnapshots(store, [0], fields)
    return Truth(study.name, whole, snapshots, seconds, bool(plan.chunks))
