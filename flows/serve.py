"""Jobs of the query service: simulations beside a model, and enrichment, as runs of Prefect flows.

The service's own process starts them, one after the other, so that they end with it; Prefect
records them and shows them on its pages.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from flows.build_rom import Check, build_and_publish
from flows.rom_errors import evaluate, predicted_frames
from flows.rom_study import RomStudy
from flows.rom_truth import Truth, compute_truth
from flows.structure_jobs import compare_structure
from flows.text_form import validated
from infra.cluster import kill_jobs
from infra.errors import RomflowError, UserError
from infra.records import Json
from infra.zarr_store import open_store
from rom.enrichment import EnrichmentSettings
from rom.model_card import ModelCard
from rom.reduced_model import ReducedModel
from rom.registry import Registry
from rom.service.local_jobs import JobHandle, LocalJobs
from rom.structures.published import PublishedStructure

__all__ = ["at_home", "enriched_rom", "prefect_jobs"]

type _Outcome = tuple[dict[str, Json], dict[str, NDArray[np.floating]]]


@flow(name="compare-rom", validate_parameters=False, persist_result=False)
def _compute_truth(model: ReducedModel, mu: Mapping[str, float], place: Path) -> Truth:
    """Compute the simulation that a model is compared with."""
    get_run_logger().info("%s: simulation for %s", model.name, dict(mu))
    return compute_truth(model, mu, place)


@flow(name="enrich-rom", validate_parameters=False, persist_result=False)
def _enrich(rom: RomStudy, check: Check) -> State[dict[str, Any]]:
    """Add simulations to a model, and publish it."""
    return build_and_publish(rom, anew=True, check=check)


def prefect_jobs(registry: Path) -> LocalJobs:
    """Return what runs the jobs of a service.

    Parameters
    ----------
    registry : folder of the models; each keeps its simulations there
    """
    jobs = _Jobs(registry)
    # One job runs at a time: all simulations of this process are its own.
    return LocalJobs(jobs.compare, jobs.enrich, kill_jobs)


def enriched_rom(card: ModelCard, settings: EnrichmentSettings) -> RomStudy:
    """Return what builds a model anew with further samples.

    Parameters
    ----------
    card : of a model that was built by `romflow run build-rom`
    settings : of the enrichment

    Raises
    ------
    UserError
        If the model does not know how it was built, or its dataset has no room.
    """
    stored: Any = card.lineage.get("rom")
    if not isinstance(stored, dict):
        raise UserError(
            f"Expected a model that knows how it was built; {card.name} does not. Build it with "
            "`romflow run build-rom`."
        )
    rom = validated(RomStudy, stored, f"lineage of {card.name}")
    known: Any = card.lineage.get("samples", [])
    added = len(set(known) - set(rom.training))
    free = rom.later - added
    if settings.budget > free:
        raise UserError(
            f"Expected a budget of at most {free} simulations, for which the dataset of "
            f"{card.name} has room; received {settings.budget}. Build a model with a larger "
            "`room` under another name for more."
        )
    return rom.model_copy(update={"enrichment": settings, "room": rom.later})


def at_home(rom: RomStudy, card: ModelCard, registry: Path) -> RomStudy:
    """Return the study with its dataset and its registry where they are, wherever a service runs.

    Parameters
    ----------
    rom : of a model, with folders as they were given when it was built
    card : of the model; it knows where the dataset is
    registry : folder that the service serves

    Raises
    ------
    UserError
        If the dataset is gone: all of it would be computed again.
    """
    place = card.lineage.get("dataset")
    if not isinstance(place, str) or not Path(place).is_dir():
        raise UserError(
            f"Expected the dataset of {card.name} at {place}, to which samples can be added; it is "
            "gone. Put it back, or build the model again with `romflow run build-rom`."
        )
    study = rom.study.model_copy(update={"output": Path(place).parent})
    return rom.model_copy(update={"output": registry.absolute(), "study": study})


@final
class _Jobs:
    def __init__(self, registry: Path) -> None:
        self._folder, self._registry = registry, Registry(registry)

    def compare(
        self, model: str, version: int, mu: Mapping[str, float], handle: JobHandle
    ) -> _Outcome:
        """Compute the truth beside a model's answer."""
        found = self._registry.load_any(model, version)
        if isinstance(found, PublishedStructure):
            return compare_structure(found, mu, self._folder / model / "runs", handle)
        handle.progress(0.1, "the simulation runs")
        truth = _compute_truth(found, mu, self._folder / model / "truths")
        handle.progress(0.9, "the errors are computed")
        return _compared(found, truth)

    def enrich(
        self, model: str, version: int, settings: EnrichmentSettings, handle: JobHandle
    ) -> _Outcome:
        """Add samples, and publish a new version."""
        card = self._registry.card(model, version)
        if card.kind == "structure":
            raise UserError(
                f"Expected a model of fields; received {model}, a structure, which is enriched at "
                f"load parameters: romflow run enrich-rom {model} --mu NAME=VALUE"
            )
        rom = at_home(enriched_rom(card, settings), card, self._folder)
        handle.progress(0.1, "simulations are added")
        _require_room(rom, settings)
        state: State[Any] = _enrich(rom, handle.check, return_state=True)
        data: Any = state.result(raise_on_failure=False)
        if not isinstance(data, dict):
            handle.check()
            raise RomflowError(state.message or "the enrichment has failed")
        kept = ("version", "simulations", "added", "modes", "median_error", "ended", "complaint")
        return {name: data[name] for name in kept}, {}


def _require_room(rom: RomStudy, settings: EnrichmentSettings) -> None:
    # Rounds of an enrichment that was cancelled take room that no model knows of.
    free = len(open_store(rom.data.dataset).description.undrawn)
    if settings.budget > free:
        raise UserError(
            f"Expected a budget of at most {free} simulations, for which the dataset of {rom.name} "
            f"has room; received {settings.budget}. Build a model with a larger `room` under "
            "another name for more."
        )


def _compared(model: ReducedModel, truth: Truth) -> _Outcome:
    snapshots = truth.snapshots
    seen = evaluate(model, snapshots)
    (index,) = snapshots.indices
    true, guess = snapshots.trajectory(index).values, predicted_frames(model, seen.mus[0])
    places = model.parts.space.slices
    errors: dict[str, Json] = {
        name: float(np.linalg.norm(guess[:, part] - true[:, part]) / _size(true[:, part]))
        for name, part in places.items()
    }
    quantities: dict[str, Json] = {
        name: values.tolist() if np.isfinite(values).all() else None
        for name, values in snapshots.quantities(index).items()
    }
    result: dict[str, Json] = {
        "error": float(seen.errors[0]),
        "indicator": float(seen.eta[0]),
        "errors": errors,
        "quantities": quantities,
        "seconds": truth.seconds,
    }
    return result, {name: np.ascontiguousarray(true[:, part]) for name, part in places.items()}


def _size(values: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(values)) or 1.0
