"""Colour limits: round numbers between which nearly all of the domain lies."""

import math
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from flows.figures.fields import QUANTITIES, FieldName, FlowReader, Quantity, node_areas
from solvers.mesh import FloatArray

__all__ = ["Limits", "area_quantile", "field_limits", "round_up", "rounded"]

_ROUND = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)


@final
@dataclass(frozen=True)
class Limits:
    """Ends of a colour scale.

    Attributes
    ----------
    low, high : the ends, in the field's units
    extend : on which ends values lie outside, in matplotlib's words
    """

    low: float
    high: float
    extend: Literal["neither", "min", "max", "both"]


def field_limits(reader: FlowReader, field: FieldName, frames: list[int]) -> Limits:
    """Return limits that suit all of these frames, reading one at a time.

    Parameters
    ----------
    reader, field : what is drawn
    frames : indices of frames, at least one
    """
    weights = node_areas(reader.triangles(field), reader.points(field))
    quantity = QUANTITIES[field]
    ranges = [_range(reader.values(field, frame), weights, quantity) for frame in frames]
    low, high, least, most = np.array(ranges).T
    return rounded(
        quantity, float(low.min()), float(high.max()), float(least.min()), float(most.max())
    )


def area_quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    """Return the value below which `values` lie on this share of the total weight."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    place = int(np.searchsorted(total, share * total[-1]))
    return float(values[order[min(place, len(order) - 1)]])


def round_up(value: float) -> float:
    """Return the next round number, of one or two digits, that is not below `value` > 0."""
    power = 10.0 ** math.floor(math.log10(value))
    # The slack keeps 0.3 = 3.0000000000000004 * 0.1 at 0.3.
    step = next(r for r in _ROUND if r * power * (1 + 1e-9) >= value)
    return float(f"{step * power:.6g}")


def _range(
    values: FloatArray, weights: FloatArray, quantity: Quantity
) -> tuple[float, float, float, float]:
    """Return the ends of the scale before rounding, and the least and the largest value."""
    least, most = float(values.min()), float(values.max())
    if quantity.scale == "free":
        low, high = (
            area_quantile(values, weights, share)
            for share in (1 - quantity.quantile, quantity.quantile)
        )
        return low, high, least, most
    sizes = np.abs(values)
    # At the start of a flow all but a few nodes on a wall may be exactly zero.
    high = area_quantile(sizes, weights, quantity.quantile) or float(sizes.max())
    return (-high if quantity.scale == "symmetric" else 0.0), high, least, most


def rounded(quantity: Quantity, low: float, high: float, least: float, most: float) -> Limits:
    """Return limits on round numbers; a field that is constant gets a scale all the same.

    Parameters
    ----------
    quantity : what is drawn
    low, high : ends of the scale before rounding
    least, most : the least and the largest value
    """
    if quantity.scale == "free":
        size = max(abs(low), abs(high)) or 1.0
        unit = round_up(high - low if high - low > 1e-9 * size else size) / 20
        low, high = (math.floor(low / unit) - 1) * unit, (math.ceil(high / unit) + 1) * unit
    else:
        high = round_up(high) if high > 0 else 1.0
        low = -high if quantity.scale == "symmetric" else 0.0
    slack = 1e-9 * (high - low)
    below, above = least < low - slack, most > high + slack
    extend: Literal["neither", "min", "max", "both"] = "neither"
    if below or above:
        extend = "both" if below and above else ("min" if below else "max")
    return Limits(low, high, extend)
