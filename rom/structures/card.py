"""The card of a published structure: the same form as that of other reduced models."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from infra.records import Json
from rom.model_card import (
    BasisCard,
    FieldCard,
    ModelCard,
    ParameterCard,
    QuantityCard,
    TimesCard,
    TrainingCard,
    TrustCard,
    mesh_digest,
    package_versions,
    utc_now,
)
from rom.structures.indicator import StructureIndicator
from rom.structures.published_parts import StructureParts
from rom.structures.response import structure_space
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.laws.description import to_dict
from solvers.parameters import ParameterSpace

__all__ = ["StructureTexts", "structure_card", "training_digest"]

# Of the trained range, as for other reduced models.
_RANGE_FACTOR = 2.0


@final
@dataclass(frozen=True, eq=False)
class StructureTexts:
    """What a card says that the numbers of a model do not.

    Attributes
    ----------
    name, description
        Of the model.
    space
        The parameters.
    settings
        Of the building.
    tolerance
        Of the indicator: answers above it are not trusted, and enrichment goes down to it.
    training
        Number of runs, number of their steps, SHA-256 of all of it.
    errors
        Of the quantities, see `QuantityCard`; of one that is not there nothing is known.
    lineage
        Where it comes from.
    """

    name: str
    description: str
    space: ParameterSpace
    settings: StructureSettings
    tolerance: float
    training: TrainingCard
    errors: Mapping[str, float]
    lineage: Mapping[str, Json]


def structure_card(parts: StructureParts, texts: StructureTexts) -> ModelCard:
    """Return the card of a structure."""
    mesh, times = parts.model.mesh, parts.times
    space = structure_space(mesh, flows=parts.flows)
    quantities = parts.maker().units
    return ModelCard(
        kind="structure",
        name=texts.name,
        description=texts.description,
        created=utc_now(),
        parameters=tuple(
            ParameterCard(
                name=p.name,
                unit=p.unit,
                low=p.low,
                high=p.high,
                scale=p.scale,
                description=p.description,
            )
            for p in texts.space.parameters
        ),
        fields=tuple(
            FieldCard(name=f.name, unit=f.units, location=f.location, size=f.size)
            for f in space.fields
        ),
        quantities=tuple(
            QuantityCard(name=name, unit=unit, per_time=True, error=texts.errors.get(name))
            for name, unit in quantities.items()
        ),
        times=TimesCard(first=times[0], last=times[-1], count=len(times)),
        regions=tuple(mesh.nodes),
        mesh=mesh_digest(space),
        basis=_basis(parts, texts.settings),
        regression=_regression(parts),
        trust=_trust(parts.indicator),
        training=texts.training,
        versions=package_versions(),
        settings={
            "model": texts.settings.model_dump(mode="json"),
            "tolerance": texts.tolerance,
            "life": None if parts.life is None else parts.life.model_dump(mode="json"),
        },
        lineage=dict(texts.lineage),
        notes=_notes(parts),
    )


def training_digest(trajectories: Sequence[Trajectory]) -> str:
    """Return the SHA-256 (hex) of times and displacements."""
    digest = hashlib.sha256()
    for one in trajectories:
        for array in (one.times, one.displacement):
            digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()


def _basis(parts: StructureParts, settings: StructureSettings) -> BasisCard:
    model = parts.model
    squares = np.square(model.singular_values)
    return BasisCard(
        rank=model.rank,
        tolerance=settings.displacement_tolerance,
        discarded=float(np.sqrt(squares[model.rank :].sum() / squares.sum())),
        product={"kind": "l2"},
        centred=False,
        method="pod of displacements",
        precision="float64",
    )


def _regression(parts: StructureParts) -> dict[str, Json]:
    """Say what takes the place of a regression: a run of few points."""
    model = parts.model
    return {
        "kind": "hyper-reduced equilibrium",
        "law": to_dict(model.law),
        "cubature_points": model.integration_points,
        "points": len(model.places),
        "material_points": model.mesh.n_material_points,
        "fields": {name: dual.field.rank for name, dual in model.duals.items()},
        "enriched_steps": parts.enriched,
    }


def _trust(indicator: StructureIndicator) -> TrustCard:
    pairs = indicator.pairs
    known = pairs.of(pairs.trajectories >= 0)
    eta = np.array([indicator(float(residual)) for residual in known.residuals])
    return TrustCard(
        kind=f"gappy residual of the {indicator.name.replace('_', ' ')} at each time",
        level=indicator.level,
        coverage=indicator.reached,
        measured_coverage=indicator.covered,
        sharpness=float(np.median(eta / np.maximum(known.errors, 1e-15))),
        pairs=len(np.unique(known.trajectories)),
        median_error=float(np.median(known.errors)),
        largest_error=float(known.errors.max()),
        range_factor=_RANGE_FACTOR,
        policy="flag",
    )


def _notes(parts: StructureParts) -> tuple[str, ...]:
    notes = ["fields at nodes are means over the material points around them; largest values are "
             "those of the material points"]  # fmt: skip
    if parts.flows:
        notes.append(
            "life indicator: plastic strain range of the last cycle, half of the growth of the "
            "accumulated plasticity; with coefficients of Manson and Coffin also cycles to failure"
        )
    return tuple(notes)
