"""Enrichment of a structure at given load parameters: single full-order steps where it is wrong.

The state of an enrichment is on disk after each accepted step: one that was interrupted goes on
from there, and ends with the same bits.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.rom_entry import write_entry
from flows.structure_build import judge
from flows.structure_card import structure_readme
from flows.structure_enrich_data import STATES, EnrichmentData, Judges, enrichments_of
from flows.structure_publish import evaluation_of
from flows.structure_states import FullSteps
from flows.structure_study import StructureStudy
from flows.structure_summary import StructureSummary, summary_of
from flows.text_form import validated
from infra.errors import UserError, storage_errors
from infra.files import FileLock
from infra.records import Json
from rom.model_card import ModelCard, utc_now
from rom.registry import Registry
from rom.structures.card import StructureTexts, structure_card
from rom.structures.checkpoint import Checkpoints
from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions, begin
from rom.structures.enrichment import Enricher
from rom.structures.judgement import JudgedRun, quantity_errors
from rom.structures.published import PublishedStructure
from rom.structures.published_parts import StructureParts
from solvers.loads import LoadCase

__all__ = ["enrich_structure"]

# Told lines for people.
type Tell = Callable[[str], None]

# Below the folder of an enrichment: the run, as long as it goes on.
_CHECKPOINTS = "run"


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
    with _alone(root / name):
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
    run = _enriched(model, data, whole, options, place, tell)
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
    shutil.rmtree(place / _CHECKPOINTS, ignore_errors=True)
    return summary_of(registry, name, parts, judged, new=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse to enrich a model that is being enriched: the later version would lose the other."""
    place = folder / "enrichments"
    with storage_errors(place):
        place.mkdir(exist_ok=True)
    lock = FileLock(place / ".lock")
    if not lock.acquire(wait=False):
        raise UserError(
            f"Expected one enrichment of {folder.name} at a time; received a second one. Wait for "
            "the other, and give the same command again: it starts from the new version."
        )
    try:
        yield
    finally:
        lock.release()


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


def _enriched(
    model: PublishedStructure,
    data: EnrichmentData,
    mu: Mapping[str, float],
    options: EnrichmentOptions,
    place: Path,
    tell: Tell,
) -> EnrichedRun:
    parts, study = model.parts, data.runs.study
    loads = parts.case(mu).loads
    states = place / STATES
    solver = FullSteps(
        parts.model.mesh, parts.model.law, loads, model.times.tolist(), study.solver, states
    )
    try:
        checkpoints = Checkpoints(place / _CHECKPOINTS)
        run = _begun(checkpoints, parts, loads, float(model.times[0]), tell)
        judges = Judges(data, place.parent)
        enricher = Enricher(run.model, loads, solver, options, study.model)
        for time in model.times[model.times > run.state.time].tolist():
            run = enricher.step(run, time)
            if run.records[-1].level == "full":
                # The residuals of the model have changed: its errors are asked for anew.
                run = replace(run, indicator=judges.after(loads, states, run.full_steps))
                _tell_step(run, tell)
            checkpoints.save(run)
    finally:
        solver.destroy()
    untrusted = sum(not record.trusted for record in run.records)
    tell(
        f"{run.full_steps} of {len(run.records)} steps by the full-order model; {untrusted} were "
        "kept above the tolerance because none was left"
    )
    return run


def _begun(
    checkpoints: Checkpoints, parts: StructureParts, loads: LoadCase, time: float, tell: Tell
) -> EnrichedRun:
    if not checkpoints.begun:
        # What an end before the first whole step left is of no use.
        shutil.rmtree(checkpoints.folder, ignore_errors=True)
        return begin(parts.model, parts.indicator, loads, time)
    run = checkpoints.load()
    tell(f"an enrichment that was interrupted goes on after t = {run.state.time:g} s")
    return run


def _tell_step(run: EnrichedRun, tell: Tell) -> None:
    last = run.records[-1]
    tell(
        f"t = {last.time:g} s: indicator {last.eta:.3g}, a full-order step; the model has "
        f"{run.model.rank} modes now"
    )


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
