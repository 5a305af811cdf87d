"""The tables of a reduced model's report."""

from typing import Any

import numpy as np

from flows.columns import range_text
from flows.rom_data import RomData
from flows.rom_enrich import Built
from flows.rom_errors import Evaluation, Separation
from flows.rom_report import Table
from flows.rom_targets import Target
from flows.rom_worth import Worth, cost_of, worth_of
from rom.model_card import QuantityCard
from rom.reduced_model import ReducedModel

__all__ = ["ENDS", "report_tables", "worth_rows"]

# Why an enrichment has ended, in words.
ENDS = {
    "tolerance": "the largest indicator is at most the tolerance",
    "budget": "the budget of simulations is spent",
    "stagnation": "further simulations have hardly lowered the largest indicator",
}


def report_tables(
    data: RomData,
    model: ReducedModel,
    built: Built,
    seen: Evaluation | None,
    apart: Separation,
    found: tuple[Target, ...],
) -> list[Table]:
    """Return the tables in the order of the report; their headings are the report's sections."""
    tables = [_targets(found), _model(data, model), *_errors(model, seen)]
    tables.append(_separation(apart))
    if built.enrichment is not None:
        tables.append(_enrichment(built))
    return [*tables, _worth(data, model, built)]


def worth_rows(worth: Worth) -> tuple[tuple[str, ...], ...]:
    """Return what each kind of query costs and when the model has paid, as texts."""
    return tuple(
        (
            name,
            f"{seconds * 1e3:.3g} ms",
            f"{worth.cost.each / seconds:,.0f}",
            "never" if worth.pays_after[name] is None else f"{worth.pays_after[name]:,} queries",
        )
        for name, seconds in worth.queries.items()
    )


def _targets(found: tuple[Target, ...]) -> Table:
    return Table(
        "What it promises",
        ("", "measured", "asked for", ""),
        tuple((t.name, f"{t.value:.3g}", t.text, "met" if t.met else "missed") for t in found),
    )


def _model(data: RomData, model: ReducedModel) -> Table:
    card, study = model.card, data.rom.study
    basis: Any = card.basis
    added = len(set(data.trained) - set(data.rom.training))
    times = "one steady solution" if model.steady else (
        f"{card.times.count} output times, {card.times.first:g} to {card.times.last:g} s"
    )  # fmt: skip
    rows = [
        ("problem", f"{data.made.problem.title}; study {study.name}"),
        ("parameters", "; ".join(range_text(data.made.space.free))),
        ("fields", "; ".join(f"{f.name} [{f.unit}], {f.size} values" for f in card.fields)),
        ("times", times),
        ("simulations", f"{card.training.trajectories} to build from, {added} of them added by "
         f"enrichment; {len(data.held_out)} held out"),
        ("basis", f"{basis.rank} modes in the product {basis.product['kind']}; projection error "
         f"of the training {basis.discarded:.2g}"),
        ("regression", f"{card.regression['kind']}"),
        ("indicator", f"{card.trust.kind}; {card.trust.pairs} pairs, for the level "
         f"{card.trust.coverage:.3g}"),
        ("dataset", str(data.rom.data.dataset)),
    ]  # fmt: skip
    if card.local is not None:
        ranks = ", ".join(map(str, card.local.ranks))
        rows.append(
            ("local bases", f"{card.local.clusters} of {ranks} modes, criterion "
             f"{card.local.gain:.2g}, {card.local.misclassified:.1%} misclassified")
        )  # fmt: skip
    rows += [("note", note) for note in card.notes]
    return Table("The model", (), tuple(rows))


def _errors(model: ReducedModel, seen: Evaluation | None) -> list[Table]:
    trust = model.card.trust
    rows = [("simulations left out once", f"{trust.median_error:.3%}", "",
             f"{trust.largest_error:.3%}", f"{trust.measured_coverage:.1%}",
             f"{trust.sharpness:.3g}")]  # fmt: skip
    if seen is not None:
        rows.insert(0, (
            f"{len(seen.samples)} held out", f"{np.median(seen.errors):.3%}",
            f"{np.quantile(seen.errors, 0.9):.3%}", f"{seen.errors.max():.3%}",
            f"{seen.covered:.1%}", f"{seen.sharpness:.3g}",
        ))  # fmt: skip
    note = (
        "Relative errors of whole trajectories, in the norm of the model and L2 in time. "
        "Held-out simulations have never been used to build or calibrate it."
    )
    heads = ("", "median", "90 %", "largest", "below the indicator", "indicator / error, median")
    tables = [Table("Errors", heads, tuple(rows), note)]
    if model.card.quantities:
        held = {} if seen is None else seen.quantities
        tables.append(
            Table(
                "Quantities of interest",
                ("", "unit", "held out", "left out once"),
                tuple(_quantity(q, held.get(q.name)) for q in model.card.quantities),
                "Root mean square error over the standard deviation of the quantity.",
            )
        )
    return tables


def _separation(apart: Separation) -> Table:
    return Table(
        "In and out of range",
        ("told by", "area under the ROC curve"),
        (
            ("the range test", f"{apart.by_score:.4f}"),
            ("the error indicator alone", f"{apart.by_indicator:.4f}"),
        ),
        f"{len(apart.inside)} random queries inside the trained box, and {len(apart.outside)} "
        "from the box stretched by half its width to each side, without the box.",
    )


def _enrichment(built: Built) -> Table:
    enrichment = built.enrichment
    assert enrichment is not None, "asked for with an enrichment only"
    rows = [
        (str(number), str(one.trajectories), f"{one.largest:.3%}", str(len(one.samples)))
        for number, one in enumerate(enrichment.rounds, 1)
    ]
    stop = enrichment.stop or ""
    return Table(
        "Enrichment",
        ("round", "simulations before it", "largest indicator", "added"),
        tuple(rows),
        f"Simulations were added where the indicator was largest, until {ENDS.get(stop, stop)} "
        f"(tolerance {enrichment.settings.tolerance:g}).",
    )


def _worth(data: RomData, model: ReducedModel, built: Built) -> Table:
    cost = cost_of(data.store, data.trained, data.held_out, built.seconds)
    return Table(
        "Is it worth it?",
        ("query for", "one query", "times faster than a simulation", "has paid after"),
        worth_rows(worth_of(model)),
        f"Before the first query: {cost.offline:.1f} s, of which {cost.seconds:.1f} s for "
        f"{cost.simulations} simulations, {cost.held_out_seconds:.1f} s for {cost.held_out} "
        f"held-out ones, {cost.build_seconds:.1f} s of building. One simulation: {cost.each:.3g} s "
        "of wall time.",
    )


def _quantity(card: QuantityCard, held: float | None) -> tuple[str, ...]:
    errors = (held, card.error)
    return (card.name, card.unit, *("" if one is None else f"{one:.3%}" for one in errors))
