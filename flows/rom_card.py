"""The card of a reduced model for people: the README of its entry in the catalogue."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.rom_targets import Target
from rom.reduced_model import ReducedModel

__all__ = ["rom_card"]


def rom_card(
    model: ReducedModel,
    version: int,
    folder: Path,
    report: Path,
    pictures: Sequence[Path],
    found: Sequence[Target],
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    model, version : what is described
    folder : of the model in its registry
    report : its HTML file
    pictures : files beside the card
    found : what it promises
    """
    card = model.card
    asked = " ".join(f"--mu {p.name}={_middle(p):.4g}" for p in model.parameters.space.free)
    lines = [
        f"# {model.name}",
        "",
        card.description or "A reduced model.",
        "",
        *(f"![{path.stem}]({path.name})" for path in pictures),
        "",
        "## Use",
        "",
        "```",
        f"romflow query {model.name} {asked}",
        "```",
        "",
        "```python",
        "from pathlib import Path",
        "from rom.registry import Registry",
        "",
        f'model = Registry(Path("{folder.parents[1].name}")).load("{model.name}", {version})',
        "```",
        "",
        "## What it is",
        "",
        "| | |",
        "|---|---|",
        f"| version | {version}, {card.created} |",
        f"| folder | {folder} |",
        f"| report | {report} |",
        *(f"| {p.name} | {p.low:g} to {p.high:g} {_unit(p.unit)} {p.description} |"
          for p in card.parameters if p.low < p.high),
        *(f"| field {f.name} | {_unit(f.unit)} {f.size} values |" for f in card.fields),
        f"| quantities | {', '.join(q.name for q in card.quantities) or 'none'} |",
        f"| basis | {card.basis.rank} modes |",
        f"| built from | {card.training.trajectories} simulations |",
        f"| dataset | {card.lineage.get('dataset', '')} |",
        *(f"| {t.name} | {t.value:.3g}, asked for: {t.text} |" for t in found),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _middle(parameter: Any) -> float:
    log = parameter.scale == "log"
    low, high = parameter.low, parameter.high
    return float((low * high) ** 0.5 if log else (low + high) / 2)


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit
