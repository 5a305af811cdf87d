"""What a reduced model answers: values, and how far they can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answer", "Gradient"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to q queries at T times.

    Attributes
    ----------
    values
        By name of field or quantity (``coefficients`` for these): (q, T, n) for fields, regions,
        probes and coefficients; (q, T) for a quantity of each time, (q, 1) for one per sample.
    units
        By the same names; ``"1"`` for coefficients.
    times
        The times of the answer, shape (T,), s; 0 for a steady problem.
    eta
        Indicator: the relative error of the fields, in the norm of the model and L2 in time, is
        below it with the probability `coverage`; shape (q,).
    in_range
        Whether the query is inside the trained range and near enough to what was trained, (q,).
    score
        The distance from what was trained in units of what is allowed: up to 1 in range, (q,).
    distance
        To the nearest training point in unit coordinates, (q,).
    reasons
        In words, why a query is out of range; empty text where it is in range.
    coverage
        The level that the indicator was calibrated for, in (0, 1); of a structure the part of the
        errors of left-out runs that is below it, in [0, 1].
    level_used
        Which model has answered: ``rom``.
    model, version
        Name and version of the model; version 0 if it is not published.
    """

    values: Mapping[str, _Floats]
    units: Mapping[str, str]
    times: _Floats
    eta: _Floats
    in_range: NDArray[np.bool_]
    score: _Floats
    distance: _Floats
    reasons: tuple[str, ...]
    coverage: float
    level_used: str
    model: str
    version: int


@final
@dataclass(frozen=True, eq=False)
class Gradient:
    """The derivatives of an answer's values by the parameters.

    Attributes
    ----------
    values
        By name as in `Answer`, with one more axis at the end: the free parameters, in order.
        Per unit of the parameter.
    parameters
        Names of the free parameters.
    times
        As in `Answer`.
    """

    values: Mapping[str, _Floats]
    parameters: tuple[str, ...]
    times: _Floats
