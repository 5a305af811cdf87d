"""The figures of a reduced model's report, drawn into its folder."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from flows.figures.files import save
from flows.figures.rom import (
    enrichment_figure,
    indicator_figure,
    modes_figure,
    separation_figure,
    singular_values_figure,
)
from flows.rom_data import RomData
from flows.rom_errors import Evaluation, Separation
from flows.rom_pictures import case_figure, quantity_figures
from flows.rom_report import ReportFigure
from rom.enrichment import Enrichment
from rom.reduced_model import ReducedModel

__all__ = ["draw_all"]

type _Drawn = tuple[str, Figure, str, str]

# Worst cases that are shown.
_WORST = 2


def draw_all(
    data: RomData,
    model: ReducedModel,
    enrichment: Enrichment | None,
    seen: Evaluation | None,
    apart: Separation,
    folder: Path,
) -> list[ReportFigure]:
    """Draw what there is to draw, and return it in the order of the report.

    Raises
    ------
    StorageFullError, StorageAccessError
        If a picture cannot be written.
    """
    drawn = [*_errors(model, seen), *_cases(data, model, seen), *_range(apart)]
    if enrichment is not None and len(enrichment.rounds) > 1:
        rounds = enrichment.rounds
        figure = enrichment_figure(
            [one.trajectories for one in rounds],
            [one.largest for one in rounds],
            enrichment.settings.tolerance,
        )
        drawn.append(("enrichment", figure, "Enrichment", "The largest indicator by round."))
    return [
        ReportFigure(save(figure, folder / f"{name}.png"), heading, caption)
        for name, figure, heading, caption in drawn
    ]


def _errors(model: ReducedModel, seen: Evaluation | None) -> Iterator[_Drawn]:
    values = model.parts.singular_values
    yield (
        "singular-values",
        singular_values_figure(values, model.rank),
        "The model",
        "Decay of the singular values of the training.",
    )
    if seen is None:
        return
    yield (
        "indicator",
        indicator_figure(seen.errors, seen.eta, model.card.trust.coverage),
        "Errors",
        "Indicator against true error, a point for each held-out simulation: points above the line "
        "are covered.",
    )
    yield (
        "modes",
        modes_figure(seen.projection, seen.truncated),
        "Errors",
        "Error of held-out simulations over the number of modes: of their best approximation by "
        "the basis, and of the model.",
    )


def _cases(data: RomData, model: ReducedModel, seen: Evaluation | None) -> Iterator[_Drawn]:
    if seen is None:
        return
    snapshots, order = data.snapshots(seen.samples), seen.worst
    places = {"worst": int(order[0]), "median": int(order[len(order) // 2])}
    pictures = quantity_figures(model, snapshots, seen.mus, places)
    for number, (caption, figure) in enumerate(pictures.items(), 1):
        name = "quantities" if number == 1 else f"quantities-{number}"
        yield name, figure, "Quantities of interest", f"{caption}: truth and model."
    for number, place in enumerate(order[:_WORST].tolist(), 1):
        shown = case_figure(
            model, snapshots, seen.samples[place], seen.mus[place], float(seen.errors[place])
        )
        if shown is not None:
            caption = f"Held-out simulation with the largest error but {number - 1}"
            text = "Held-out simulation with the largest error" if number == 1 else caption
            yield f"worst-{number}", shown, "Worst cases", f"{text}: truth, model, difference."


def _range(apart: Separation) -> Iterator[_Drawn]:
    yield (
        "separation",
        separation_figure(apart.inside, apart.outside),
        "In and out of range",
        "Scores of the range test for queries inside and outside of the trained box.",
    )
