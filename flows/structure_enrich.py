"""Enrichment of a structure at given load parameters: run, judge, publish a new version."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.rom_entry import write_entry
from flows.structure_alone import alone
from flows.structure_build import judge
from flows.structure_card import structure_readme
from flows.structure_enrich_data import EnrichmentData, enrichments_of
from flows.structure_enrich_run import CHECKPOINTS, enriched_run
from flows.structure_publish import evaluation_of
from flows.structure_study import StructureStudy
from flows.structure_summary import StructureSummary, summary_of
from flows.text_form import validated
from infra.errors import UserError
from infra.records import Json
from rom.model_card import ModelCard, utc_now
from rom.registry import Registry
from rom.structures.card import StructureTexts, structure_card
from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions
from rom.structures.judgement import JudgedRun, quantity_errors
from rom.structures.published import PublishedStructure
from rom.structures.published_parts import StructureParts

__all__ = ["enrich_structure"]

# Told lines for people.
type Tell = Callable[[str], None]


def enrich_structure(
    name: str,
    registry: Registry,
    root: Path,
    mu: Mapping[str, float],
    choose: Callable[[EnrichmentOptions], EnrichmentOptions],
    tell: Tell,
) -> StructureSummary:
    """Run a structure at load parameters, enrich it where it is wrong, publish a new version.

    Parameters
    ----------
    name : of the model in its registry
    registry, root : the registry and its folder
    mu : load parameters; they may be outside of the trained range
    choose : gets the usual options, the model's tolerance and a tenth of the steps, and gives
        those that hold
    tell : told what is done

    Raises
    ------
    UserError
        If the model is no structure, a parameter is wrong, a run that it was built from is
        missing, or another enrichment of it goes on.
    ReducedStepError
        If a reduced step fails and no high-fidelity step is left.
    LoadStepError
        If the full-order model fails.
    """
    registry.card(name)  # that there is such a model is checked before anything is written
    # Else the later version would lose what the other one learned.
    work, after = f"enrichment of {name}", "it starts from the new version"
    with alone(root / name / "enrichments", work, after):
        return _enrich(name, registry, root, mu, choose, tell)


def _enrich(
    name: str,
    registry: Registry,
    root: Path,
    mu: Mapping[str, float],
    choose: Callable[[EnrichmentOptions], EnrichmentOptions],
    tell: Tell,
) -> StructureSummary:
    model = _structure(registry, name)
    study = _study(model, root)
    options = choose(_usual(model))
    whole = model.parameters.space.mu(model.parameters.values(mu)[0])
    key = _key(model, whole, options)
    place = root / name / "enrichments" / key
    data = EnrichmentData(model, study, whole)
    run = enriched_run(model, data, whole, options, place, tell)
    if not run.full_steps:
        tell(
            f"the indicator is at most {options.tolerance:g} at all {len(run.records)} steps: "
            "nothing is added, and there is no new version"
        )
        shutil.rmtree(place, ignore_errors=True)
        return _unchanged(model, summary_of(registry, name, model.parts, (), new=False))
    # Where the training was stays as it was: one run does not make a neighbourhood known.
    known = model.parts.enriched + run.full_steps
    parts = replace(model.parts, model=run.model, indicator=run.indicator, enriched=known)
    unseen = data.unseen(tell)
    judged = judge(parts, [data.runs.trajectory(sample) for sample in unseen], tell)
    lineage = {**model.card.lineage, "evaluation": evaluation_of(judged)}
    lineage["held_out"] = [{"index": s.index, "mu": dict(s.mu)} for s in unseen]
    lineage["enrichments"] = [*enrichments_of(model), _record(run, whole, options, key)]
    new = PublishedStructure(_card(model, study, parts, judged, lineage), parts)
    registry.publish(new)
    write_entry(study.catalog.absolute(), registry, name, (), structure_readme(registry, name))
    shutil.rmtree(place / CHECKPOINTS, ignore_errors=True)
    return summary_of(registry, name, parts, judged, new=True)


def _unchanged(model: PublishedStructure, summary: StructureSummary) -> StructureSummary:
    """Return the summary of a version to which nothing was added: its card knows its errors."""
    lineage: Any = model.card.lineage
    known = lineage.get("evaluation", {})
    return replace(
        summary,
        held_out=len(lineage.get("held_out", [])),
        coverage=known.get("coverage"),
        errors={
            name: [row["median"], row["largest"]]
            for name, row in known.items()
            if isinstance(row, dict)
        },
    )


def _structure(registry: Registry, name: str) -> PublishedStructure:
    model = registry.load_any(name)
    if isinstance(model, PublishedStructure):
        return model
    raise UserError(
        f"Expected a structure; received {name}, a model of fields, which is enriched when it is "
        "built: romflow run build-rom, with the group `enrichment` in its file."
    )


def _study(model: PublishedStructure, root: Path) -> StructureStudy:
    stored = model.card.lineage.get("structure")
    if not isinstance(stored, dict):
        raise UserError(
            f"Expected a structure that knows how it was built; {model.name} does not. Build it "
            "with `romflow run build-rom`."
        )
    study = validated(StructureStudy, stored, f"lineage of {model.name}")
    return study.model_copy(update={"output": root})


def _usual(model: PublishedStructure) -> EnrichmentOptions:
    settings: Any = model.card.settings
    steps = len(model.times) - 1
    return EnrichmentOptions(tolerance=settings["tolerance"], budget=max(1, steps // 10))


def _card(
    model: PublishedStructure,
    study: StructureStudy,
    parts: StructureParts,
    judged: tuple[JudgedRun, ...],
    lineage: Mapping[str, Json],
) -> ModelCard:
    settings: Any = model.card.settings
    texts = StructureTexts(
        name=model.name,
        description=model.card.description,
        space=model.parameters.space,
        settings=study.model,
        tolerance=settings["tolerance"],
        training=model.card.training,
        errors=quantity_errors(judged),
        lineage=lineage,
    )
    return structure_card(parts, texts)


def _record(
    run: EnrichedRun, mu: Mapping[str, float], options: EnrichmentOptions, key: str
) -> Json:
    full = [record for record in run.records if record.level == "full"]
    return {
        "created": utc_now(),
        "key": key,
        "mu": dict(mu),
        "tolerance": options.tolerance,
        "budget": options.budget,
        "steps": len(run.records),
        "times": [record.time for record in full],
        "indicator": [_finite(record.eta) for record in full],
        "true_error": [_finite(record.error) for record in full],
        "untrusted": sum(not record.trusted for record in run.records),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _key(model: PublishedStructure, mu: Mapping[str, float], options: EnrichmentOptions) -> str:
    text = json.dumps([model.version, dict(mu), options.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
