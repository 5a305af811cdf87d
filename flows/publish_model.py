"""The end of a training: figures, card and catalogue entry of the surrogate, and a summary."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from flows.bred_samples import bred_text, scatter_of
from flows.figures.breeding import breeding_figure
from flows.figures.files import save, write_file
from flows.figures.learning import learning_figure
from flows.figures.model_fields import comparison_figure
from flows.model_card import example_patches, model_card
from flows.online_study import OnlineStudy
from infra.errors import storage_errors
from infra.zarr_store import open_store

__all__ = ["ModelSummary", "publish_model", "read_history"]

# Failed simulations that are named; all of them are in the dataset's failure records.
_SHOWN = 5


@final
@dataclass(frozen=True)
class ModelSummary:
    """What a training left behind; plain values, as Prefect shows them.

    Attributes
    ----------
    name, folder, card, picture : of the surrogate (empty: none)
    error, baseline : relative error on the held-out frames, with and without the model
    bred : simulations that were bred where the surrogate learned badly, as words; empty: no such
    steps, items, mean_views : gradient steps, items that came, how often each was seen
    seconds : of the training
    complaint : why it is incomplete; empty if it is complete
    """

    name: str
    folder: str
    card: str
    picture: str
    error: float | None
    baseline: float | None
    bred: str
    steps: int
    items: int
    mean_views: float
    seconds: float
    complaint: str


def publish_model(
    training: OnlineStudy,
    problems: Sequence[str],
    complaints: Sequence[str] = (),
    *,
    trained: bool = True,
) -> ModelSummary:
    """Write card and figures of what was trained, and say what is missing.

    Parameters
    ----------
    training : its folder exists
    problems : what went wrong
    complaints : what else is to be said, about the archive
    trained : whether this run's trainer came to its end: a surrogate in the folder is older else
    """
    paths = training.paths
    card_file = paths.model / "card.json"
    if not (trained and card_file.is_file()):
        lines = problems or ["the trainer left no surrogate, and no reason; see its log"]
        place, text = str(training.folder), "\n".join(lines)
        return ModelSummary(training.name, place, "", "", None, None, "", 0, 0, 0.0, 0.0, text)
    with storage_errors(card_file):
        card: dict[str, Any] = json.loads(card_file.read_text())
        history = read_history(paths.history)
    metrics = card["metrics"]
    bred = bred_text(training)
    pictures = _draw(training, history)
    readme = training.folder / "README.md"
    text = model_card(training, card, tuple(path.name for path in pictures), bred)
    write_file(readme, text.encode())
    return ModelSummary(
        name=training.name,
        folder=str(paths.model),
        card=str(readme),
        picture=str(pictures[-1]) if pictures else "",
        error=metrics.get("validation_error"),
        baseline=metrics.get("baseline_error"),
        bred=bred,
        steps=int(metrics.get("steps", 0)),
        items=int(metrics.get("items", 0)),
        mean_views=metrics.get("visits", 0) / max(metrics.get("items", 0), 1),
        seconds=_last(history, "seconds"),
        complaint="\n".join([*complaints, *_complaint(training, metrics, problems)]),
    )


def read_history(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a history file; what a line lacks is NaN."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return {}
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def _draw(training: OnlineStudy, history: Mapping[str, np.ndarray]) -> list[Path]:
    pictures = []
    if history:
        figure = learning_figure(training.name, history)
        pictures.append(save(figure, training.folder / "learning.png"))
    scatter = scatter_of(training)
    if scatter is not None:
        figure = breeding_figure(training.name, scatter)
        pictures.append(save(figure, training.folder / "sampling.png"))
    examples = example_patches(training.paths)
    if examples is not None:
        title, truth, prediction = examples
        figure = comparison_figure(title, truth, {"prediction": prediction})
        pictures.append(save(figure, training.folder / "example.png"))
    return pictures


def _last(history: Mapping[str, np.ndarray], name: str) -> float:
    values = history.get(name, np.empty(0))
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else 0.0


def _complaint(
    training: OnlineStudy, metrics: Mapping[str, Any], problems: Sequence[str]
) -> list[str]:
    """Return why the surrogate has not seen all that it should have."""
    failures = open_store(training.data.dataset).failures()
    reasons = {int(sample): str(reason) for sample, reason in (metrics.get("holes") or {}).items()}
    reasons |= {index: f"{f.reason}: {f.message}" for index, f in failures.items()}
    if not (problems or reasons):
        return []
    lines = ["The surrogate was trained, but not on all that was asked for:"]
    lines += [f"  {problem}" for problem in problems]
    failed = [f"  simulation {i}: {reason}" for i, reason in sorted(reasons.items())]
    lines += failed[:_SHOWN]
    if len(failed) > _SHOWN:
        lines.append(f"  ... and {len(failed) - _SHOWN} more simulations, see card.json")
    return lines
