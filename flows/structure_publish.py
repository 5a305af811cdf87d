"""The end of a build: the structure is described, published in its registry and catalogue."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.rom_entry import write_entry
from flows.structure_build import BuiltStructure
from flows.structure_card import structure_readme
from flows.structure_data import StructureData
from flows.structure_summary import StructureSummary, covered, errors_by_field, summary_of
from infra.provenance import collect, utc_now
from infra.records import Json
from rom.model_card import ModelCard, TrainingCard
from rom.registry import Registry
from rom.structures.card import StructureTexts, structure_card, training_digest
from rom.structures.judgement import JudgedRun, quantity_errors
from rom.structures.published import PublishedStructure

__all__ = ["evaluation_of", "publish_structure", "published_once"]

# Parts of the lineage that differ between equal builds, and of the study in it.
_TIMED = ("cost", "code", "dataset")
_PLACES = ("run", "output", "catalog")


def publish_structure(
    data: StructureData, built: BuiltStructure, problems: list[str]
) -> StructureSummary:
    """Describe a model, and write version and catalogue entry.

    Parameters
    ----------
    data : its runs
    built : the model
    problems : what went wrong with jobs

    Raises
    ------
    StorageFullError, StorageAccessError
        If something cannot be written.
    """
    study, parts = data.study, built.parts
    evaluation = evaluation_of(built.judged)
    computed = data.seconds(built.training) + data.seconds(data.held_out)
    model = PublishedStructure(
        structure_card(
            parts,
            StructureTexts(
                name=study.name,
                description=study.description,
                space=data.made.space,
                settings=study.model,
                tolerance=study.tolerance,
                training=TrainingCard(
                    trajectories=len(built.training),
                    snapshots=sum(len(one.times) for one in built.trajectories),
                    digest=training_digest(built.trajectories),
                ),
                errors=quantity_errors(built.judged),
                lineage=_lineage(data, built, evaluation, computed),
            ),
        ),
        parts,
    )
    registry = Registry(study.registry)
    version, new = published_once(registry, model)
    text = structure_readme(registry, study.name)
    write_entry(study.catalog.absolute(), registry, study.name, (), text)
    complaint = data.complaint(problems)
    return summary_of(
        registry, study.name, parts, built.judged, new=new, version=version, complaint=complaint
    )


def evaluation_of(judged: Sequence[JudgedRun]) -> dict[str, Json]:
    """Return what held-out runs say of a model; nothing without any."""
    if not judged:
        return {}
    errors = errors_by_field(judged)
    # The last one is the hardest: the plasticity where there is any.
    headline = errors[list(errors)[-1]]
    found: dict[str, Json] = {
        "median_error": headline[0],
        "coverage": covered(judged),
        "stopped": sum(one.found is None for one in judged),
    }
    for name, (median, largest) in errors.items():
        found[name] = {"median": median, "largest": largest}
    return found


def published_once(registry: Registry, model: PublishedStructure) -> tuple[int, bool]:
    """Return the version of the model, and whether it is new: equal models are published once.

    How and where the runs were computed does not make another model. All versions are looked at:
    one that was enriched since is not published again in its old state.
    """
    if model.name in registry.names():
        for version in reversed(registry.versions(model.name)):
            if _same(registry.card(model.name, version), model.card):
                return version, False
    return registry.publish(model), True


def _lineage(
    data: StructureData, built: BuiltStructure, evaluation: Mapping[str, Json], computed: float
) -> dict[str, Json]:
    study = data.study
    code = collect({}, 0, 1, utc_now(), ("romflow",), Path(__file__).resolve().parents[1])
    return {
        "dataset": str(study.runs),
        "study": {"problem": {"name": study.problem, "settings": dict(data.made.settings)}},
        "structure": {
            **study.model_dump(mode="json"),
            # The model may be enriched from another folder.
            "output": str(study.registry),
            "catalog": str(study.catalog.absolute()),
        },
        "samples": [{"index": s.index, "mu": dict(s.mu)} for s in built.training],
        "held_out": [{"index": s.index, "mu": dict(s.mu)} for s in data.held_out],
        "evaluation": dict(evaluation),
        "cost": {"runs_seconds": computed, "build_seconds": built.seconds},
        "code": {"commit": code.git_commit, "changed": code.git_dirty},
    }


def _same(one: ModelCard, other: ModelCard) -> bool:
    def kept(card: ModelCard) -> dict[str, Any]:
        found: dict[str, Any] = {k: v for k, v in card.lineage.items() if k not in _TIMED}
        study = found.pop("structure", {})
        return {**found, "structure": {k: v for k, v in study.items() if k not in _PLACES}}

    parts = ("training", "settings", "mesh", "parameters", "versions", "description", "basis")
    same = all(getattr(one, part) == getattr(other, part) for part in parts)
    return same and kept(one) == kept(other)
