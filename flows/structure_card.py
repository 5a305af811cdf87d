"""The card of a structure for people: the README of its entry in the catalogue."""

from typing import Any

from rom.model_card import ModelCard, ParameterCard
from rom.registry import Registry

__all__ = ["structure_readme"]


def structure_readme(registry: Registry, name: str) -> str:
    """Return the card of the newest version as Markdown."""
    version = registry.versions(name)[-1]
    card = registry.card(name, version)
    free = [p for p in card.parameters if p.low < p.high]
    asked = " ".join(f"--mu {p.name}={0.5 * (p.low + p.high):.4g}" for p in free)
    numbers: Any = card.regression
    lines = [
        f"# {name}",
        "",
        card.description or "A reduced structure.",
        "",
        "```",
        f"romflow query {name} {asked}",
        "```",
        "",
        "| | |",
        "|---|---|",
        f"| version | {version}, {card.created} |",
        *(_parameter_row(p) for p in free),
        *(f"| field {f.name} | {_unit(f.unit)} {f.size} values |" for f in card.fields),
        *(f"| quantity {q.name} | {_unit(q.unit)} over time |" for q in card.quantities),
        f"| law | {numbers['law']['kind']} |",
        f"| modes | {card.basis.rank} |",
        f"| points | the law at {numbers['points']} of {numbers['material_points']} points, "
        f"{numbers['cubature_points']} of them of the cubature |",
        f"| built from | {card.training.trajectories} full-order runs |",
        f"| enriched by | {numbers['enriched_steps']} high-fidelity steps |",
        f"| indicator | {card.trust.kind}: {card.trust.measured_coverage:.1%} of the errors of "
        f"runs that were left out are below it, {card.trust.level:.1%} asked for |",
        *_errors(card),
        "",
        *(f"- {note}" for note in card.notes),
    ]
    return "\n".join(lines) + "\n"


def _errors(card: ModelCard) -> list[str]:
    measured: Any = card.lineage.get("evaluation", {})
    rows = [
        f"| error of {name} in held-out runs | {entry['median']:.2%} in the median, "
        f"{entry['largest']:.2%} at most |"
        for name, entry in measured.items()
        if isinstance(entry, dict)
    ]
    if measured.get("coverage") is not None:
        rows.append(f"| held-out steps below the indicator | {measured['coverage']:.1%} |")
    return rows


def _parameter_row(p: ParameterCard) -> str:
    return f"| {p.name} | {p.low:g} to {p.high:g} {_unit(p.unit)} {p.description} |"


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit
