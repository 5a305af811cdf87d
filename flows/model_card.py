"""The card of a trained surrogate for people, and the pictures' data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flows.columns import range_text
from flows.figures.model_fields import Patch
from flows.online_plan import online_design
from flows.online_study import OnlineStudy
from surrogates.job import TrainingPaths

__all__ = ["example_patches", "model_card"]

_SHOWN = 3


def model_card(
    training: OnlineStudy, card: Mapping[str, Any], pictures: Sequence[str], bred: str = ""
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    training : what was trained
    card : the trainer's ``card.json``
    pictures : files beside the card
    bred : how many simulations were bred, as words; empty: none
    """
    made, metrics, lineage = online_design(training), card["metrics"], card["lineage"]
    kind = f"{card['architecture']}, {card['mode']}, {card['n_parameters']} numbers"
    lines = [
        f"# {training.name}",
        "",
        training.description or f"A surrogate of: {made.problem.title.lower()}.",
        "",
        f"{made.problem.equations}",
        "",
        *(f"![{name.removesuffix('.png')}]({name})" for name in pictures),
        "",
        "## Use",
        "",
        "```",
        f"romflow predict {training.folder} "
        + " ".join(f"--mu {name}=..." for name in card["inputs"]["names"][:-1])
        + (" --start first.npz" if card["mode"] == "autoregressive" else ""),
        "```",
        "",
        "## What it is",
        "",
        "| | |",
        "|---|---|",
        f"| architecture | {kind} |",
        f"| inputs | {'; '.join(_inputs(card))} |",
        f"| varied | {'; '.join(range_text(made.space.free))} |",
        *([f"| active sampling | {bred} |"] if bred else []),
        *_rows(metrics),
        f"| dataset | digest {str(lineage.get('study', ''))[:12]}, {training.study.name} |",
        f"| code | commit {lineage.get('provenance', {}).get('git_commit', 'unknown')} |",
    ]
    return "\n".join(lines) + "\n"


def example_patches(
    paths: TrainingPaths,
) -> tuple[str, list[Patch], list[Patch]] | None:
    """Return title, truth and prediction of a held-out simulation; None if there is none."""
    if not paths.examples.is_file():
        return None
    from surrogates.saving import load_model

    space = load_model(paths.model).space
    if any(place not in space.cells for place in space.locations) or space.gdim != 2:
        return None
    with np.load(paths.examples, allow_pickle=False) as arrays:
        sample, times = int(arrays["sample"]), arrays["times"]
        truth, prediction = arrays["truth"], arrays["prediction"]
    info = space.fields[0]
    part = space.slices[info.name]
    chosen = np.unique(np.linspace(0, len(times) - 1, _SHOWN + 1).astype(int)[1:])

    def patches(frames: np.ndarray) -> list[Patch]:
        return [
            Patch(
                f"{info.name}, t = {times[k]:.4g} s",
                info.units,
                space.points_of(info.location),
                space.cells[info.location],
                frames[k, part].astype(np.float64),
            )
            for k in chosen
        ]

    return f"held-out simulation {sample}", patches(truth), patches(prediction)


def _inputs(card: Mapping[str, Any]) -> list[str]:
    inputs = card["inputs"]
    ranges = zip(inputs["names"], inputs["low"], inputs["high"], strict=True)
    return [f"{name} {low:g} to {high:g}" for name, low, high in ranges]


def _rows(metrics: Mapping[str, Any]) -> list[str]:
    texts = {
        "validation_error": "error on held-out frames, relative",
        "baseline_error": "the same without a model",
        "rollout_error": "error of whole rollouts, relative",
        "steps": "gradient steps",
        "items": "items that came",
        "visits": "items drawn, with repetition",
        "decile_ratio": "most over least views by arrival decile",
    }
    return [
        f"| {text} | {metrics[name]:.4g} |" for name, text in texts.items() if metrics.get(name)
    ]
