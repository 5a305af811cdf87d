"""Tables of reduced models for the terminal."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from flows.columns import range_text
from flows.report import print_facts
from flows.rom_compare import Comparison
from flows.rom_design import rom_design
from flows.rom_models import models_text
from flows.rom_pictures import mu_text
from flows.rom_publish import RomSummary
from flows.rom_study import RomStudy
from flows.rom_tables import ENDS, worth_rows
from flows.rom_worth import Worth
from flows.structure_trust import structure_tolerance, trust_text
from rom.answer import Answer
from rom.reduced_model import ReducedModel
from rom.served_model import ServedModel

__all__ = [
    "print_answer",
    "print_comparison",
    "print_models",
    "print_rom",
    "print_rom_summary",
    "print_worth",
]

# More rows would scroll away; all of them are in the file that --output names, or in --json.
_ROWS = 12


def print_rom(console: Console, rom: RomStudy) -> None:
    """Show what a build would do."""
    study, made, enrichment = rom.study, rom_design(rom), rom.enrichment
    facts = {
        "simulations": f"{study.sampling.samples} of {made.problem.title.lower()} to build from, "
        f"{rom.validation} held out, room for {rom.later} more",
        "varied": "\n".join(range_text(made.space.free)) or "nothing",
        "chunks": f"{len(made.chunks)} of up to {study.run.chunk_size} simulations, "
        f"{study.run.workers} side by side, {study.run.ranks} MPI ranks each",
        "fields": ", ".join(rom.fields) or "all",
        "model": f"{rom.model.method} basis for the tolerance {rom.model.tolerance:g}, "
        f"regression {rom.model.regressor}, level {rom.model.level:g}",
        "enrichment": "none"
        if enrichment is None
        else f"up to {enrichment.budget} simulations, {enrichment.batch} at a time, until the "
        f"largest indicator is {enrichment.tolerance:g}",
        "dataset": str(rom.data.dataset),
        "model folder": str(rom.folder),
    }
    print_facts(console, f"{rom.name}: {rom.description}", facts)


def print_rom_summary(console: Console, summary: RomSummary) -> None:
    """Show what a build left behind."""
    errors = ""
    if summary.median_error is not None and summary.largest_error is not None:
        errors = (
            f"{summary.median_error:.3%} in the median of {summary.held_out} held-out simulations, "
            f"{summary.largest_error:.3%} at most"
        )
    added = f", {summary.added} of them added: {ENDS[summary.ended]}" if summary.ended else ""
    facts = {
        "version": f"{summary.version}" + ("" if summary.new else ", which was there already"),
        "simulations": f"{summary.simulations}{added}",
        "modes": str(summary.modes),
        "error": errors,
        "cost": f"{summary.offline_seconds:.1f} s of simulations and building",
        "model": summary.folder,
        "report": summary.report,
        "catalogue": summary.entry,
    }
    print_facts(console, summary.name, {k: v for k, v in facts.items() if v})
    table = Table(title="What it promises", title_justify="left")
    for head in ("", "measured", "asked for", ""):
        table.add_column(head, overflow="fold")
    for one in summary.targets:
        mark = "[green]met[/]" if one["met"] else "[red]missed[/]"
        table.add_row(one["name"], f"{one['value']:.3g}", one["text"], mark)
    console.print(table)


def print_answer(
    console: Console, model: ServedModel, answer: Answer, files: Sequence[Path]
) -> None:
    """Show the answer to one query, and how far it can be trusted."""
    title = f"{model.name}, version {model.version}" if model.version else model.name
    table = Table(title=title, title_justify="left")
    heads = ("", *(() if model.steady else ("time [s]",)), "unit", "value")
    rows = [row for name in answer.values for row in _answer_rows(model, answer, name)]
    wide = any(len(row) > len(heads) for row in rows)
    for head in (*heads[:-1], "mean", "min", "max") if wide else heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    _print_trust(console, model, answer)
    _print_files(console, files)


def print_comparison(console: Console, compared: Comparison) -> None:
    """Show the errors of a comparison."""
    seen, truth = compared.seen, compared.truth
    table = Table(title=f"{compared.model.name} beside the truth", title_justify="left")
    for head in ("simulation", "parameters", "error", "indicator", "error / indicator", ""):
        table.add_column(head, overflow="fold")
    for place in seen.worst[:_ROWS].tolist():
        error, eta = float(seen.errors[place]), float(seen.eta[place])
        table.add_row(
            "fresh" if truth else str(seen.samples[place]),
            mu_text(compared.model, seen.mus[place]),
            f"{error:.3%}",
            f"{eta:.3%}",
            f"{error / eta:.2f}",
            "" if seen.in_range[place] else "out of range",
        )
    if len(seen.errors) > _ROWS:
        table.add_row(f"... {len(seen.errors) - _ROWS} more, with smaller errors")
    console.print(table)
    facts = {f"error of {name}": f"{value:.3%}" for name, value in seen.quantities.items()}
    if truth is None:
        facts = {
            "error": f"{np.median(seen.errors):.3%} in the median, {seen.errors.max():.3%} at most",
            "below indicator": f"{seen.covered:.1%} of {len(seen.errors)} simulations, promised "
            f"{compared.model.card.trust.coverage:.1%}",
        } | facts
    else:
        when = "computed now" if truth.fresh else "computed before"
        facts |= {"simulation": f"{truth.seconds:.1f} s, {when}"}
    print_facts(console, "Summary", facts)
    _print_files(console, compared.pictures)


def print_worth(console: Console, model: ReducedModel, worth: Worth) -> None:
    """Show what a model costs and when it has paid."""
    cost = worth.cost
    facts = {
        "simulations": f"{cost.seconds:.1f} s of wall time for {cost.simulations}, "
        f"{cost.held_out_seconds:.1f} s for {cost.held_out} held-out ones "
        f"({cost.cpu_seconds:.1f} s CPU)",
        "building": f"{cost.build_seconds:.1f} s",
        "before the first query": f"{cost.offline:.1f} s",
        "one simulation": f"{cost.each:.3g} s",
    }
    print_facts(console, f"{model.name}: what it costs", facts)
    table = Table(title="Queries on this machine", title_justify="left")
    for head in ("query for", "one query", "times faster", "has paid after"):
        table.add_column(head)
    for row in worth_rows(worth):
        table.add_row(*row)
    console.print(table)


def print_models(console: Console, registry: Path) -> None:
    """Show the reduced models of a registry."""
    rows = models_text(registry)
    if not rows:
        console.print(
            f"No reduced model in {registry}. Build one: romflow run build-rom",
            markup=False,
            soft_wrap=True,
        )
        return
    table = Table(title="Reduced models (romflow query NAME)", title_justify="left")
    for head in ("model", "version", "parameters", "error", "description"):
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _answer_rows(model: ServedModel, answer: Answer, name: str) -> list[list[str]]:
    """Return the rows of one name: each time, or the first and the last few."""
    values, unit = answer.values[name][0], answer.units[name]
    per_time = len(values) == len(answer.times)
    chosen = range(len(values))
    if len(values) > _ROWS:
        chosen = np.unique(np.linspace(0, len(values) - 1, _ROWS).round().astype(int)).tolist()
    rows = []
    for k in chosen:
        when = "" if not per_time else f"{answer.times[k]:.6g}"
        head = [name, *([] if model.steady else [when]), unit]
        rows.append([*head, *_numbers(values[k])])
    return rows


def _numbers(value: np.ndarray | float) -> list[str]:
    """Return one number, or mean, least and largest of many."""
    flat = np.atleast_1d(value)
    if flat.size == 1:
        return [f"{flat[0]:.6g}"]
    return [f"{v:.6g}" for v in (flat.mean(), flat.min(), flat.max())]


def _print_trust(console: Console, model: ServedModel, answer: Answer) -> None:
    tolerance = structure_tolerance(model.card)
    if tolerance is not None:
        text = trust_text(model.card, answer, tolerance)
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    eta, coverage = float(answer.eta[0]), answer.coverage
    text = f"Relative error of the fields below {eta:.2%} with a probability of {coverage:.1%}."
    if not answer.in_range[0]:
        text = (
            f"Beware, out of range: {answer.reasons[0]}. Nothing is promised there; the indicator "
            f"says {eta:.2%}."
        )
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_files(console: Console, files: Sequence[Path]) -> None:
    for path in files:
        console.print(f"Written: {path}", markup=False, highlight=False, soft_wrap=True)
