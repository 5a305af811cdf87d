"""The run of an enrichment: reduced steps, and full-order ones where the indicator asks for them.

Its state is on disk after each accepted step: a run that was interrupted goes on from there, and
ends with the same bits.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from flows.structure_enrich_data import STATES, EnrichmentData, Judges
from flows.structure_states import FullSteps
from rom.structures.checkpoint import Checkpoints
from rom.structures.enriched_run import EnrichedRun, EnrichmentOptions, begin
from rom.structures.enrichment import Enricher
from rom.structures.published import PublishedStructure
from rom.structures.published_parts import StructureParts
from solvers.loads import LoadCase

__all__ = ["CHECKPOINTS", "enriched_run"]

# Told lines for people.
type Tell = Callable[[str], None]

# Below the folder of an enrichment: the run, as long as it goes on.
CHECKPOINTS = "run"


def enriched_run(
    model: PublishedStructure,
    data: EnrichmentData,
    mu: Mapping[str, float],
    options: EnrichmentOptions,
    place: Path,
    tell: Tell,
) -> EnrichedRun:
    """Run a structure at load parameters to its end, or go on with such a run.

    Parameters
    ----------
    model : to begin with
    data : what its indicator is calibrated by
    mu : all parameters
    options : tolerance, and full-order steps at most
    place : folder of this enrichment, which keeps the run and its high-fidelity states
    tell : told what is done

    Raises
    ------
    ReducedStepError
        If a reduced step fails and no high-fidelity step is left.
    LoadStepError
        If the full-order model fails.
    """
    parts, study = model.parts, data.runs.study
    loads = parts.case(mu).loads
    states = place / STATES
    solver = FullSteps(
        parts.model.mesh, parts.model.law, loads, model.times.tolist(), study.solver, states
    )
    try:
        checkpoints = Checkpoints(place / CHECKPOINTS)
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
