"""Regret of a sequence of choices, for figures and benchmarks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import UserError

__all__ = ["RegretCurves", "Run", "regret_curves"]


@final
@dataclass(frozen=True)
class Run:
    """One run of one arm; a system has several when some were aborted.

    Attributes
    ----------
    t : number of the system, 0, 1, ...
    arm : index of the configuration
    cost : what it has cost, aborted or not
    """

    t: int
    arm: int
    cost: float


@final
@dataclass(frozen=True)
class RegretCurves:
    """Curves over the systems 0..T-1, each of shape (T,), in units of cost.

    Attributes
    ----------
    total : cumulated cost, aborted runs included
    regret : `total` minus the cumulated cost of the arm that is best over all T systems
    share : `regret` relative to that arm's cumulated cost
    default : `total` relative to the default's cumulated cost; at most 1.1 is the promise
    best : index of the arm that is best over all systems
    """

    total: NDArray[np.float64]
    regret: NDArray[np.float64]
    share: NDArray[np.float64]
    default: NDArray[np.float64]
    best: int


def regret_curves(runs: Iterable[Run], fixed: ArrayLike, default: int = 0) -> RegretCurves:
    """Compare a log with each arm played alone on the same systems.

    Parameters
    ----------
    runs : the log, in any order
    fixed : cost of each arm on each system, measured apart, shape (T, K); infinite where it fails
    default : index of the default arm

    Raises
    ------
    UserError
        If the table has another shape or costs that are not positive, no arm solves all systems,
        or the log leaves a system out or names one outside the table.
    """
    table = np.asarray(fixed, dtype=np.float64)
    if table.ndim != 2 or not table.size or not (table > 0).all():
        raise UserError(
            f"expected positive costs of shape (systems, arms), received shape {table.shape}"
        )
    best = int(table.sum(axis=0).argmin())
    if not np.isfinite(table[:, [best, default]]).all():
        raise UserError("expected a default arm that solves all systems; measure them again")
    log = list(runs)
    spent = np.zeros(len(table))
    seen = np.array([run.t for run in log], dtype=np.int64)
    if set(seen.tolist()) != set(range(len(table))):
        raise UserError(
            f"expected runs for each of the systems 0..{len(table) - 1}, received "
            f"{len(set(seen.tolist()))} different ones; log every run, aborted ones too"
        )
    np.add.at(spent, seen, np.array([run.cost for run in log]))
    total, reference = spent.cumsum(), table[:, best].cumsum()
    return RegretCurves(
        total,
        total - reference,
        (total - reference) / reference,
        total / table[:, default].cumsum(),
        best,
    )
