"""The end of a build: the model is judged, described, published in its registry and catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from flows.figures.files import write_file
from flows.rom_card import rom_card
from flows.rom_data import RomData
from flows.rom_enrich import Built
from flows.rom_entry import write_entry
from flows.rom_errors import Evaluation, Separation, evaluate, separation
from flows.rom_figures import draw_all
from flows.rom_report import ReportFigure, Table, page
from flows.rom_tables import report_tables
from flows.rom_targets import Target, evaluation_record, targets
from flows.rom_worth import cost_of
from infra.catalog import digest_of
from infra.errors import storage_errors
from infra.provenance import collect, utc_now
from infra.records import Json
from rom.model_card import ModelCard
from rom.reduced_model import ReducedModel
from rom.registry import Registry

__all__ = ["RomSummary", "publish_rom"]

# Parts of the lineage that differ between equal builds.
_TIMED = ("cost", "code", "rom", "enrichment")


@final
@dataclass(frozen=True)
class RomSummary:
    """What a build left behind; plain values, as Prefect shows them.

    Attributes
    ----------
    name, version, folder : of the model in its registry
    new : whether this build gave a new version; else an equal one was there
    report, entry, picture : HTML file, folder in the catalogue, picture for Prefect's page
    simulations, added, held_out : that it was built from, how many of these by enrichment, and
        those that judge it
    modes : of its basis
    median_error, largest_error : of held-out simulations; None without any
    targets : name, value, what was asked for, whether it is met
    ended : why enrichment ended; empty: none
    offline_seconds : cost of all simulations and of building
    complaint : why it is incomplete; empty if it is complete
    """

    name: str
    version: int
    folder: str
    new: bool
    report: str
    entry: str
    picture: str
    simulations: int
    added: int
    held_out: int
    modes: int
    median_error: float | None
    largest_error: float | None
    targets: list[dict[str, Any]]
    ended: str
    offline_seconds: float
    complaint: str


def publish_rom(data: RomData, built: Built, problems: Sequence[str]) -> RomSummary:
    """Judge a model, and write version, report and catalogue entry.

    Parameters
    ----------
    data : its dataset
    built : the model and its enrichment
    problems : what went wrong with simulations

    Raises
    ------
    StorageFullError, StorageAccessError
        If something cannot be written.
    """
    held = data.held_out
    seen = evaluate(built.model, data.snapshots(held)) if held else None
    apart = separation(built.model, np.random.default_rng(data.rom.study.sampling.seed))
    found = targets(built.model, seen, apart)
    model = _described(data, built, evaluation_record(found, seen, apart))
    registry = Registry(data.rom.registry)
    version, new = _published(registry, model)
    folder = data.rom.folder / "reports" / f"v{version:04d}"
    report = folder / "report.html"
    if new or not report.is_file():
        figures = draw_all(data, model, built.enrichment, seen, apart, folder)
        _report(data, model, built, seen, apart, found, figures, report)
    pictures = sorted(folder.glob("*.png"))
    card = rom_card(model, version, registry.folder(model.name), report, pictures, found)
    entry = write_entry(
        data.rom.study.catalog.absolute(), registry, model.name, pictures, card
    )  # fmt: skip
    cost = cost_of(data.store, data.trained, held, built.seconds)
    return RomSummary(
        name=model.name,
        version=version,
        folder=str(registry.folder(model.name, version)),
        new=new,
        report=str(report),
        entry=str(entry),
        picture=str(next((p for p in pictures if p.name == "indicator.png"), "")),
        simulations=len(data.trained),
        added=len(set(data.trained) - set(data.rom.training)),
        held_out=len(held),
        modes=model.rank,
        median_error=None if seen is None else float(np.median(seen.errors)),
        largest_error=None if seen is None else float(seen.errors.max()),
        targets=[{**asdict(t), "text": t.text, "met": t.met} for t in found],
        ended="" if built.enrichment is None else str(built.enrichment.stop),
        offline_seconds=cost.offline,
        complaint="\n".join(_complaint(data, problems)),
    )


def _described(data: RomData, built: Built, evaluation: Mapping[str, Json]) -> ReducedModel:
    """Return the model with its lineage."""
    store = data.store
    cost = cost_of(store, data.trained, data.held_out, built.seconds)
    code = collect({}, 0, 1, utc_now(), ("romflow",), Path(__file__).resolve().parents[1])
    lineage: dict[str, Json] = {
        "dataset": str(data.rom.data.dataset),
        "layout": store.description.digest,
        "checksum": digest_of(store),
        "study": data.rom.data.content(),
        "rom": data.rom.model_dump(mode="json"),
        "samples": list(data.trained),
        "held_out": list(data.held_out),
        "enrichment": _rounds(data, built),
        "evaluation": dict(evaluation),
        "cost": cost.to_json(),
        "code": {"commit": code.git_commit, "changed": code.git_dirty},
    }
    card = built.model.card.model_copy(update={"lineage": lineage})
    return ReducedModel(card, built.model.parts)


def _rounds(data: RomData, built: Built) -> dict[str, Json]:
    enrichment = built.enrichment
    if enrichment is None:
        return {}
    first, drawn = data.first_rounds, [list(part) for part in data.rounds[data.first_rounds :]]
    return {
        "before": [i for part in data.rounds[:first] for i in part],
        "stop": enrichment.stop,
        "tolerance": enrichment.settings.tolerance,
        "rounds": [
            {
                "largest": one.largest,
                "trajectories": one.trajectories,
                "samples": list(drawn[number]) if number < len(drawn) else [],
            }
            for number, one in enumerate(enrichment.rounds)
        ],
    }


def _published(registry: Registry, model: ReducedModel) -> tuple[int, bool]:
    """Return the version of the model, and whether it is new: equal models are published once."""
    if model.name in registry.names():
        newest = registry.versions(model.name)[-1]
        if _same(registry.card(model.name, newest), model.card):
            return newest, False
    return registry.publish(model), True


def _same(one: ModelCard, other: ModelCard) -> bool:
    def kept(card: ModelCard) -> dict[str, Any]:
        return {k: v for k, v in card.lineage.items() if k not in _TIMED}

    parts = ("training", "settings", "mesh", "parameters", "versions", "description")
    same = all(getattr(one, part) == getattr(other, part) for part in parts)
    return same and kept(one) == kept(other)


def _report(
    data: RomData,
    model: ReducedModel,
    built: Built,
    seen: Evaluation | None,
    apart: Separation,
    found: tuple[Target, ...],
    figures: Sequence[ReportFigure],
    path: Path,
) -> None:
    tables = report_tables(data, model, built, seen, apart, found)
    parts: list[Table | ReportFigure] = []
    for heading in dict.fromkeys([*(t.heading for t in tables), *(f.heading for f in figures)]):
        parts += [table for table in tables if table.heading == heading]
        parts += [figure for figure in figures if figure.heading == heading]
    with storage_errors(path):
        text = page(f"Reduced model {model.name}", model.card.description, parts)
    write_file(path, text.encode())


def _complaint(data: RomData, problems: Sequence[str]) -> list[str]:
    """Say which simulations are missing and what to do; nothing if all are there."""
    lost = data.lost
    if not lost:
        return []
    failures = data.store.failures()
    lines = [f"The model is there, but {len(lost)} of its simulations could not be computed:"]
    lines += [
        f"  simulation {i}: {failures[i].reason}: {failures[i].message}"
        for i in lost
        if i in failures
    ]
    lines += [f"  {problem}" for problem in dict.fromkeys(problems)]
    again = " Failed ones are tried again with --retry-failed." if failures else ""
    return [*lines, f"Run the same command again to compute what is missing.{again}"]
