"""What every model checks before it answers: units, times, and the trained range."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError
from rom.parameter_map import ParameterMap

__all__ = ["checked_times", "checked_values", "refuse"]

type _Floats = NDArray[np.float64]


def checked_values(
    parameters: ParameterMap, mu: Mapping[str, Any] | ArrayLike, units: Mapping[str, str] | None
) -> _Floats:
    """Return the free parameters (q, d) of queries.

    Parameters
    ----------
    parameters
        Of the model.
    mu
        As for `rom.reduced_model.ReducedModel.query`.
    units
        By name; they must be those of the model.

    Raises
    ------
    UserError
        If a parameter is missing, unknown, not finite or in another unit.
    """
    if units:
        own = {p.name: p.unit for p in parameters.space.parameters}
        wrong = [
            f"{name}: expected {own.get(name, 'no such parameter')}, received {unit}"
            for name, unit in units.items()
            if own.get(name) != unit
        ]
        if wrong:
            raise UserError(
                "Expected parameters in the units of the model; convert them first:\n  - "
                + "\n  - ".join(wrong)
            )
    return parameters.values(mu)


def checked_times(known: _Floats, t: ArrayLike | None) -> _Floats:
    """Return the times (T,) of a query; None: those of the model.

    Raises
    ------
    UserError
        If one is outside those of the model.
    """
    if t is None:
        return known
    times = np.atleast_1d(np.asarray(t, np.float64))
    first, last = known[0], known[-1]
    if times.ndim != 1 or not times.size or not ((times >= first) & (times <= last)).all():
        steady = " (a steady model: leave the time out)" if len(known) == 1 else ""
        raise UserError(
            f"Expected times from {first:g} to {last:g} s{steady}, shape (T,); received "
            f"{np.asarray(t).tolist()}."
        )
    return times


def refuse(name: str, reasons: Sequence[str]) -> None:
    """Refuse queries that are out of range.

    Raises
    ------
    UserError
        If there is a reason.
    """
    if any(reasons):
        found = "; ".join(f"query {i}: {r}" for i, r in enumerate(reasons) if r)
        raise UserError(
            f"Expected queries in the trained range of {name}, which refuses others; "
            f"{found}. Ask within the range, allow flagged answers, or add training samples."
        )
