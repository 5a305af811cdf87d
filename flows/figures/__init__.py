"""Pictures of datasets: one sample, an overview of a dataset, an animation of a flow.

Figures are made with matplotlib's `Figure` objects and the Agg canvas: no display, no pyplot and
no global state.
"""

from flows.figures.animation import save_animation
from flows.figures.fields import FieldName, vorticity
from flows.figures.files import save
from flows.figures.overview import overview_figure
from flows.figures.snapshot import snapshot_figure
from flows.figures.steady import steady_figure
from flows.figures.steady_fields import is_transient
from flows.figures.steady_overview import steady_overview_figure
from flows.figures.transient import transient_figure, transient_overview_figure

__all__ = [
    "FieldName",
    "is_transient",
    "overview_figure",
    "save",
    "save_animation",
    "snapshot_figure",
    "steady_figure",
    "steady_overview_figure",
    "transient_figure",
    "transient_overview_figure",
    "vorticity",
]
