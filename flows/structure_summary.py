"""What a version of a structure is, in plain values for people and for Prefect."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from rom.registry import Registry
from rom.structures.judgement import JudgedRun
from rom.structures.published_parts import StructureParts

__all__ = ["StructureSummary", "covered", "errors_by_field", "summary_of"]


@final
@dataclass(frozen=True)
class StructureSummary:
    """What a build or an enrichment left behind.

    Attributes
    ----------
    name, version, folder : of the model in its registry
    new : whether there is a new version; else an equal one was there
    level : which model answers: reduced or enriched
    runs, held_out : full-order runs that it was built from, and that judge it
    modes, points, material_points : its size, and that of the full-order model
    enriched : high-fidelity steps that it was enriched with
    errors : of held-out runs by field, median and largest
    coverage, level_asked : part of the held-out steps whose error is below the indicator, and what
        was asked for
    complaint : why it is incomplete; empty if it is complete
    """

    name: str
    version: int
    folder: str
    new: bool
    level: str
    runs: int
    held_out: int
    modes: int
    points: int
    material_points: int
    enriched: int
    errors: dict[str, list[float]]
    coverage: float | None
    level_asked: float
    complaint: str = ""


def summary_of(
    registry: Registry,
    name: str,
    parts: StructureParts,
    judged: Sequence[JudgedRun],
    *,
    new: bool,
    version: int | None = None,
    complaint: str = "",
) -> StructureSummary:
    """Return the summary of a version that is published.

    Parameters
    ----------
    registry, name : where it is
    parts : its numbers
    judged : one entry for each held-out run
    new : whether it is new
    version : its number; None: the newest
    complaint : why it is incomplete
    """
    folder, card = registry.folder(name, version), registry.card(name, version)
    model = parts.model
    return StructureSummary(
        name=name,
        version=int(folder.name[1:]),
        folder=str(folder),
        new=new,
        level="enriched" if parts.enriched else "reduced",
        runs=card.training.trajectories,
        held_out=len(judged),
        modes=model.rank,
        points=len(model.places),
        material_points=model.mesh.n_material_points,
        enriched=parts.enriched,
        errors=errors_by_field(judged),
        coverage=covered(judged),
        level_asked=parts.indicator.level,
        complaint=complaint,
    )


def errors_by_field(judged: Sequence[JudgedRun]) -> dict[str, list[float]]:
    """Return median and largest error of held-out runs by field."""
    names = judged[0].errors if judged else ()
    rows = {name: [one.errors[name] for one in judged] for name in names}
    return {name: [float(np.median(row)), float(max(row))] for name, row in rows.items()}


def covered(judged: Sequence[JudgedRun]) -> float | None:
    """Return the part of the held-out steps whose error is below the indicator.

    Of a run that stopped, no step is: there is no answer whose error could be.
    """
    steps = [(one.own <= one.eta) & (one.found is not None) for one in judged]
    below = np.concatenate(steps) if steps else np.empty(0)
    return float(below.mean()) if len(below) else None
