"""`romflow compare`: a reduced model beside full-order simulations, held-out or fresh ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from flows.figures.files import save
from flows.rom_errors import Evaluation, evaluate
from flows.rom_models import dataset_of, held_out_of
from flows.rom_pictures import case_figure
from flows.rom_truth import Truth, compute_truth
from infra.records import Json
from rom.reduced_model import ReducedModel
from rom.snapshots import Snapshots
from rom.store_snapshots import StoreSnapshots

__all__ = ["Comparison", "compare_fresh", "compare_held_out", "comparison_json"]

# Pictures of held-out simulations: those with the largest errors.
_PICTURES = 2


@final
@dataclass(frozen=True, eq=False)
class Comparison:
    """See the module.

    Attributes
    ----------
    model, seen : what is compared, and the errors
    pictures : files, side by side
    truth : the simulation, if it is a fresh one
    """

    model: ReducedModel
    seen: Evaluation
    pictures: tuple[Path, ...]
    truth: Truth | None = None


def compare_held_out(model: ReducedModel, folder: Path) -> Comparison:
    """Compare with the held-out simulations of the model's dataset; draw the worst.

    Parameters
    ----------
    model : built by `romflow run build-rom`
    folder : receives the pictures

    Raises
    ------
    UserError
        If the dataset is gone, or it has none.
    """
    store = dataset_of(model)
    fields = [field.name for field in model.card.fields]
    snapshots = StoreSnapshots(store, held_out_of(model, store), fields)
    seen = evaluate(model, snapshots)
    return Comparison(model, seen, _drawn(model, snapshots, seen, folder, "simulation"))


def compare_fresh(
    model: ReducedModel, mu: Mapping[str, float], folder: Path, truths: Path
) -> Comparison:
    """Compare with one simulation, which is computed unless it is there.

    Parameters
    ----------
    model : built by `romflow run build-rom`
    mu : its parameters
    folder : receives the picture
    truths : folder that keeps simulations

    Raises
    ------
    UserError
        If the parameters are wrong.
    RomflowError
        If the simulation could not be computed.
    """
    truth = compute_truth(model, mu, truths)
    seen = evaluate(model, truth.snapshots)
    pictures = _drawn(model, truth.snapshots, seen, folder, truth.name)
    return Comparison(model, seen, pictures, truth)


def comparison_json(compared: Comparison) -> dict[str, Json]:
    """Return a comparison as JSON."""
    seen, names = compared.seen, compared.model.parameters.names
    return {
        "model": compared.model.name,
        "version": compared.model.version,
        "simulations": [
            {
                "sample": sample,
                "mu": dict(zip(names, mu, strict=True)),
                "error": error,
                "indicator": eta,
                "in_range": inside,
            }
            for sample, mu, error, eta, inside in zip(
                seen.samples, seen.mus.tolist(), seen.errors.tolist(), seen.eta.tolist(),
                seen.in_range.tolist(), strict=True,
            )
        ],
        "coverage": seen.covered,
        "median_indicator_over_error": seen.sharpness,
        "quantities": {k: None if np.isnan(v) else float(v) for k, v in seen.quantities.items()},
        "pictures": [str(path) for path in compared.pictures],
    }  # fmt: skip


def _drawn(
    model: ReducedModel, snapshots: Snapshots, seen: Evaluation, folder: Path, prefix: str
) -> tuple[Path, ...]:
    chosen: NDArray[np.intp] = seen.worst[:_PICTURES]
    found = []
    for place in chosen.tolist():
        index = seen.samples[place]
        figure = case_figure(model, snapshots, index, seen.mus[place], float(seen.errors[place]))
        if figure is not None:
            found.append(save(figure, folder / f"{prefix}-{index:06d}.png"))
    return tuple(found)
