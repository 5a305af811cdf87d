"""The data of a reduced model's pictures: cases side by side, quantities of interest."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flows.figures.model_fields import Patch
from flows.figures.rom_fields import side_by_side_figure
from flows.figures.rom_quantities import QuantityPair, parity_figure, series_figure
from flows.rom_errors import predicted_frames
from infra.field_space import FieldSpace
from rom.reduced_model import ReducedModel
from rom.served_model import ServedModel
from rom.snapshots import Snapshots

__all__ = ["case_figure", "drawable", "mu_text", "patches", "quantity_figures"]

type _Floats = NDArray[np.float64]

# More would not fit a page.
_FIELDS, _QUANTITIES = 4, 6


def drawable(space: FieldSpace) -> bool:
    """Tell whether the fields can be drawn: values on the points of triangles in the plane."""
    known = all(place in space.points and place in space.cells for place in space.locations)
    return known and space.gdim == 2


def patches(space: FieldSpace, frame: _Floats, names: Sequence[str] = ()) -> list[Patch]:
    """Return the fields of a frame (n,) for pictures; without names the first few."""
    chosen = [f for f in space.fields if not names or f.name in names][:_FIELDS]
    return [
        Patch(
            info.name.replace("_", " "),
            info.units,
            space.points_of(info.location),
            space.cells_of(info.location),
            frame[space.slices[info.name]],
        )
        for info in chosen
    ]


def case_figure(
    model: ReducedModel, snapshots: Snapshots, index: int, mu: _Floats, error: float
) -> Figure | None:
    """Return a simulation beside its prediction, at the output time where they differ most.

    Parameters
    ----------
    model, snapshots : they fit each other
    index : the simulation
    mu : (d,) its free parameters
    error : its relative error, for the title

    Returns
    -------
    Figure or None
        None if the fields cannot be drawn.
    """
    space = model.parts.space
    if not drawable(space):
        return None
    true, guess = snapshots.trajectory(index).values, predicted_frames(model, mu)
    worst = int(model.basis.product.norms((guess - true).T).argmax())
    when = "" if model.steady else f", t = {model.times[worst]:.4g} s"
    title = f"simulation {index}: {mu_text(model, mu)}{when}; relative error {error:.3%}"
    return side_by_side_figure(title, patches(space, true[worst]), patches(space, guess[worst]))


def mu_text(model: ServedModel, mu: _Floats) -> str:
    """Return parameters in words, with their units."""
    texts = []
    for parameter, value in zip(model.parameters.space.free, mu.tolist(), strict=True):
        unit = "" if parameter.unit == "1" else f" {parameter.unit}"
        texts.append(f"{parameter.name} = {value:.4g}{unit}")
    return ", ".join(texts)


def quantity_figures(
    model: ReducedModel, snapshots: Snapshots, mus: _Floats, cases: Mapping[str, int]
) -> dict[str, Figure]:
    """Return pictures of the quantities of interest, by a title.

    Parameters
    ----------
    model, snapshots : they fit each other
    mus : (m, d) free parameters of all samples of the snapshots
    cases : places of the samples whose curves over time are shown, by name
    """
    names = model.parts.quantities.names
    if not names:
        return {}
    units = model.parts.quantities.units
    guesses = model.query(mus, select="quantities", policy="flag").values
    rows = [snapshots.quantities(index) for index in snapshots.indices]
    figures = {}
    curves = [n for n in names if guesses[n].shape[1] > 1][:_QUANTITIES]
    numbers = [n for n in names if guesses[n].shape[1] == 1][:_QUANTITIES]
    if curves:
        shown = {
            case: [QuantityPair(n, units[n], rows[i][n], guesses[n][i]) for n in curves]
            for case, i in cases.items()
        }
        figures["Quantities of interest over time"] = series_figure(model.times, shown)
    if numbers:
        pairs = [
            QuantityPair(n, units[n], np.array([row[n][0] for row in rows]), guesses[n][:, 0])
            for n in numbers
        ]
        figures["Quantities of interest of all held-out simulations"] = parity_figure(pairs)
    return figures
