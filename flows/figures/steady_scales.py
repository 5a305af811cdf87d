"""Colour scales of steady fields: found from their values, for their meaning is the problem's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from flows.figures.fields import Quantity
from flows.figures.limits import Limits, rounded
from flows.figures.steady_fields import SteadyField
from solvers.mesh import FloatArray

__all__ = ["Scale", "one_scale_suits", "scale_of"]

# Positive coefficients that span more than this are shown by decades.
_WIDE = 30.0
# A field whose smaller side has at least this share of the larger one is shown about zero.
_BOTH_SIDES = 0.1
# On one scale, samples that are this many times smaller than others would look empty.
_FAINT = 4.0
# Share of the values that must lie inside the limits.
_QUANTILE = 0.998


@final
@dataclass(frozen=True)
class Scale:
    """How a field is coloured.

    Attributes
    ----------
    quantity, limits : label, unit, colours, and ends of the scale
    """

    quantity: Quantity
    limits: Limits

    @property
    def norm(self) -> Normalize:
        """Return matplotlib's map from values to colours."""
        kind = LogNorm if self.quantity.scale == "log" else Normalize
        return kind(self.limits.low, self.limits.high)


def scale_of(field: SteadyField, values: Sequence[FloatArray]) -> Scale:
    """Return one scale for the values of all samples that are drawn.

    Parameters
    ----------
    field : what is drawn
    values : one array of each sample, none of them empty
    """
    ends = np.array([np.quantile(one, (1 - _QUANTILE, _QUANTILE)) for one in values])
    least = min(float(one.min()) for one in values)
    most = max(float(one.max()) for one in values)
    label = field.name.replace("_", " ")
    scalar = len(field.arrays) == 1  # a vector's length is small somewhere, which means little
    if field.coefficient and scalar and least > 0 and most > _WIDE * least:
        quantity = Quantity(label, field.units, "cividis", "log", _QUANTILE)
        return Scale(quantity, Limits(least, most, "neither"))
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    small, large = sorted((abs(low), abs(high)))
    if low < 0 < high and small > _BOTH_SIDES * large:
        quantity = Quantity(label, field.units, "RdBu_r", "symmetric", _QUANTILE)
        return Scale(quantity, rounded(quantity, -large, large, least, most))
    colours = "cividis" if field.coefficient else "viridis"
    near_zero = least >= 0 and low < 0.5 * high
    quantity = Quantity(
        label, field.units, colours, "from zero" if near_zero else "free", _QUANTILE
    )
    return Scale(quantity, rounded(quantity, low, high, least, most))


def one_scale_suits(field: SteadyField, values: Sequence[FloatArray]) -> bool:
    """Tell whether all samples can be seen on the scale that suits them together."""
    if scale_of(field, values).quantity.scale == "log":
        return True
    widths = [float(np.ptp(np.quantile(one, (1 - _QUANTILE, _QUANTILE)))) for one in values]
    return max(widths) <= _FAINT * min(widths)
