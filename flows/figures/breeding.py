"""Where active sampling has drawn samples, as a picture."""

import numpy as np
from matplotlib.figure import Figure

from flows.bred_samples import Scatter

__all__ = ["breeding_figure"]


def breeding_figure(title: str, scatter: Scatter) -> Figure:
    """Return the samples over two parameters, coloured by how badly they are learnt.

    Parameters
    ----------
    title : of the figure
    scatter : the samples
    """
    figure = Figure(figsize=(6.4, 5.0), layout="constrained")
    axes = figure.subplots()
    known = scatter.scores[np.isfinite(scatter.scores)]
    top = float(known.max()) if len(known) and known.max() > 0 else 1.0
    shown = None
    for marker, mask, label in (
        ("o", ~scatter.bred, "filling the space"),
        ("^", scatter.bred, "bred"),
    ):
        if mask.any():
            x, y = scatter.points[mask].T
            colours = np.nan_to_num(scatter.scores[mask])
            text = f"{label} ({int(mask.sum())})"
            shown = axes.scatter(
                x, y, c=colours, marker=marker, s=36, vmin=0.0, vmax=top, cmap="viridis",
                edgecolors="0.3", linewidths=0.5, label=text,
            )  # fmt: skip
    axes.set_xlabel(scatter.labels[0])
    axes.set_ylabel(scatter.labels[1])
    axes.legend(fontsize=8)
    if shown is not None:
        figure.colorbar(shown, ax=axes, label="score: mean excess of the loss, deviations")
    figure.suptitle(f"{title}: samples of the training")
    return figure
