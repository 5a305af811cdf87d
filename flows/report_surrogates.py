"""Tables of surrogates for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.breeding import rounds_of
from flows.columns import range_text
from flows.online_plan import online_design
from flows.online_study import OnlineStudy
from flows.predict import Prediction
from flows.publish_model import ModelSummary
from flows.report import print_facts

__all__ = ["print_model_summary", "print_prediction", "print_training"]


def print_training(console: Console, training: OnlineStudy) -> None:
    """Show what a training would do."""
    study, made = training.study, online_design(training)
    count, held = study.sampling.samples, training.validation
    frames = 1 if study.time is None else study.time.frames
    settings, reservoir = training.training, training.reservoir
    items = count * frames
    budget = f"{settings.planned_steps(items)} steps of {settings.batch} items"
    facts = {
        "simulations": f"{count} of {made.problem.title.lower()} to train on, {held} held out",
        "varied": "\n".join(range_text(made.space.free)) or "nothing",
        **_rounds(training),
        "chunks": f"{len(made.chunks)} of up to {study.run.chunk_size} simulations, "
        f"{study.run.workers} side by side, {study.run.ranks} MPI ranks each",
        "frames": f"{items} to train on",
        "model": f"{training.model.name}, {training.model.mode}",
        "reservoir": f"{reservoir.kind}, up to {reservoir.capacity} items",
        "budget": f"{budget}: each item {settings.planned_views(items):.3g} times in the mean",
        "trainer": f"{settings.processes} processes on {settings.device}",
        "archive": str(training.data.dataset) if training.archive else "none",
        "surrogate": str(training.folder),
    }
    print_facts(console, f"{training.name}: {training.description}", facts)


def _rounds(training: OnlineStudy) -> dict[str, str]:
    """Say how samples are drawn, if that is not fixed beforehand."""
    breed = training.study.sampling.breed
    if breed is None:
        return {}
    shares = f"{breed.start:.0%} to {breed.end:.0%} of them bred"
    return {"sampling": f"breed: {len(rounds_of(training))} rounds of {breed.size}, {shares}"}


def print_model_summary(console: Console, summary: ModelSummary) -> None:
    """Show what a training left behind."""
    facts = {
        "error": f"{summary.error:.3%} of the held-out frames' norm"
        if summary.error is not None
        else "not measured: no held-out simulation",
        "without model": "" if summary.baseline is None else f"{summary.baseline:.3%}",
        "active sampling": summary.bred,
        "training": f"{summary.steps} steps, {summary.items} items, each "
        f"{summary.mean_views:.3g} times in the mean",
        "time": f"{summary.seconds:.1f} s",
        "surrogate": summary.folder,
        "card": summary.card,
        "picture": summary.picture,
    }
    print_facts(console, summary.name, {key: text for key, text in facts.items() if text})


def print_prediction(console: Console, found: Prediction, files: Sequence[Path]) -> None:
    """Show a prediction: numbers of each field at each time."""
    table = Table(title=f"Prediction in {found.seconds * 1e3:.1f} ms", title_justify="left")
    for head in ("field", "time [s]", "unit", "mean", "min", "max"):
        table.add_column(head, justify="left" if head in ("field", "unit") else "right")
    for name, frames in found.frames.items():
        for t, values in zip(found.times, frames, strict=True):
            numbers = (values.mean(), values.min(), values.max())
            table.add_row(name, f"{t:.6g}", found.units[name], *(f"{v:.6g}" for v in numbers))
    console.print(table)
    for name, (low, high) in found.outside.items():
        console.print(
            f"Beware: {name} lies outside the range [{low:g}, {high:g}] that the surrogate was "
            "trained on.",
            markup=False,
            highlight=False,
        )
    for path in files:
        console.print(f"Written: {path}", markup=False, highlight=False)
