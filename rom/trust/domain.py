r"""Whether a query is in the trained range.

In unit coordinates, with the training points :math:`x_j`, a query is in range if it is inside the
box and its nearest training point is not farther than the set's own spacing h times a factor f,
where h is the largest of the distances from a training point to its nearest neighbour. The score

.. math::
   s = \max\big(d(u) / (f h), \; [e > 0]\,(1 + e / h)\big), \qquad d = \min_j |u - x_j|,

with the excess e over the box, is at most 1 in range, and sorts queries by how far out they are.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.parameter_map import ParameterMap

__all__ = ["Place", "TrainedRange"]

type _Floats = NDArray[np.float64]

# A bound is met up to rounding.
_ROUNDING = 1e-9


@final
@dataclass(frozen=True, eq=False)
class Place:
    """Where queries are, seen from the training set.

    Attributes
    ----------
    squares
        Squared distances to all training points, (q, m), in unit coordinates.
    distance
        To the nearest one, (q,).
    score
        See the module, (q,).
    """

    squares: _Floats
    distance: _Floats
    score: _Floats

    @property
    def in_range(self) -> NDArray[np.bool_]:
        """Whether each query is in range, (q,)."""
        return self.score <= 1.0


@final
class TrainedRange:
    """See the module.

    Parameters
    ----------
    points
        Training points in unit coordinates, (m, d).
    factor
        f, positive.
    """

    def __init__(self, points: _Floats, factor: float = 2.0) -> None:
        self.points = np.ascontiguousarray(points)
        self.factor = factor
        self.spacing = _spacing(self.points)
        self._limit = factor * self.spacing

    def place(self, u: _Floats) -> Place:
        """Return where queries u (q, d) are."""
        away = u[:, np.newaxis] - self.points
        squares = np.vecdot(away, away)
        distance = np.sqrt(squares.min(axis=1))
        score, excess = distance / self._limit, np.abs(u - 0.5).max(axis=1) - 0.5
        if (excess > _ROUNDING).any():
            outside = np.where(excess > _ROUNDING, 1.0 + excess / self.spacing, 0.0)
            score = np.maximum(score, outside)
        return Place(squares, distance, score)

    def reasons(self, parameters: ParameterMap, values: _Floats, place: Place) -> tuple[str, ...]:
        """Say in words why queries are out of range; an empty text for those that are in range.

        Parameters
        ----------
        parameters
            Names, bounds and units.
        values
            Of the free parameters, (q, d), in units.
        place
            Where they are.
        """
        if (place.score <= 1.0).all():
            return ("",) * len(values)
        return tuple(
            _reason(parameters, row, score, distance, self._limit)
            for row, score, distance in zip(values, place.score, place.distance, strict=True)
        )


def _reason(
    parameters: ParameterMap, row: _Floats, score: float, distance: float, limit: float
) -> str:
    if score <= 1.0:
        return ""
    texts = []
    for p, value in zip(parameters.space.free, row.tolist(), strict=True):
        slack = _ROUNDING * (p.high - p.low)
        if not p.low - slack <= value <= p.high + slack:
            side = "above" if value > p.high else "below"
            unit = "" if p.unit == "1" else f" {p.unit}"
            texts.append(
                f"{p.name} {value:g} is {side} the trained range {p.low:g} to {p.high:g}{unit}"
            )
    return "; ".join(texts) or (
        f"the nearest training point is {distance:.3g} away in unit coordinates, more than the "
        f"{limit:.3g} that the spacing of the training set allows"
    )


def _spacing(points: _Floats) -> float:
    away = points[:, np.newaxis] - points
    squares = np.vecdot(away, away)
    np.fill_diagonal(squares, np.inf)
    squares[squares == 0.0] = np.inf  # equal points say nothing about spacing
    nearest = np.sqrt(squares.min(axis=1))
    finite = nearest[np.isfinite(nearest)]
    return float(finite.max()) if finite.size else 1.0
