r"""Errors of trajectories that were left out, at the cost of small matrices.

All snapshots are written once in a basis of many modes, :math:`u_j = c + \Phi a_j + \rho_j`.
Without the trajectory f, the basis comes from the matrix

.. math:: G_f = \sum_j a_j a_j^T - \sum_{j \in f} a_j a_j^T - k_f\, m_f m_f^T

of as many rows as modes (:math:`m_f` is the mean of the :math:`k_f` others), and the error of the
trajectory is its part in this space plus, at a right angle, the residual :math:`\rho` that was
measured when the snapshot was read: no field is touched again. The regression is fitted again for
each fold, with the hyperparameters of the whole set. Local bases make their own of each fold.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from rom.regression.time_regressor import TimeRegressor
from rom.trust.indicator import Pairs
from rom.trust.statistic import Offset, Statistic, trapezoid

__all__ = ["Coordinates", "leave_one_out"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Coordinates:
    """All snapshots of m trajectories of T frames in a basis of R modes.

    Attributes
    ----------
    values
        Coefficients, (m, T, R).
    residuals
        Norms of what the basis cannot represent, (m, T).
    squares
        Squared norms of the snapshots, (m, T).
    offset
        Of the centre.
    centred
        Whether the mean is taken off.
    """

    values: _Floats
    residuals: _Floats
    squares: _Floats
    offset: Offset
    centred: bool


def leave_one_out(
    data: Coordinates,
    x: _Floats,
    times: _Floats,
    rank: int | None,
    regressor: TimeRegressor,
    rng: np.random.Generator,
) -> Pairs:
    """Return the relative error of each trajectory by a model of all others.

    Parameters
    ----------
    data
        All trajectories.
    x
        Their unit coordinates, (m, d).
    times
        Output times, (T,).
    rank
        Modes of each fold's basis; None for a regressor that makes its own bases in these
        coordinates.
    regressor
        That of the whole set, fitted.
    rng
        For methods that draw numbers.

    Returns
    -------
    Pairs
        Errors relative to the trajectory, in the norm of the basis and L2 in time (relative to
        all trajectories where one is zero), statistics and distances.
    """
    folds = _Folds(data, rank)
    weights, statistic = trapezoid(times), Statistic(times)
    sizes = data.squares @ weights
    sizes = np.where(sizes > 0, sizes, sizes.mean())
    errors, found = np.empty(len(x)), np.zeros(len(x))
    known = True
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        mean, modes = folds.basis(i)
        learnt = regressor.refit(x[others], times, (data.values[others] - mean) @ modes, rng)
        offset = data.offset.moved(mean, modes)
        seen = learnt.watch(statistic.places, statistic.weights, offset.slope)(x[i : i + 1], times)
        predicted = mean + seen.values[0] @ modes.T
        away = data.values[i] - predicted
        squares = np.vecdot(away, away) + data.residuals[i] ** 2
        errors[i] = np.sqrt(squares @ weights / sizes[i])
        known = seen.above is not None
        if seen.above is not None:
            found[i] = statistic.ratio(seen.above, seen.below + offset.square)[0]
    return Pairs(x, errors, _nearest(x), found if known else None)


@final
class _Folds:
    """Bases without one trajectory, by taking its part off the sums of all.

    Without a rank they are the coordinates themselves.
    """

    def __init__(self, data: Coordinates, rank: int | None) -> None:
        self._data, self._rank = data, rank
        flat = data.values.reshape(-1, data.values.shape[2])
        self._gram, self._sum, self._n = flat.T @ flat, flat.sum(axis=0), len(flat)

    def basis(self, i: int) -> tuple[_Floats, _Floats]:
        """Return the mean (R,) and the modes (R, r) of all trajectories but one."""
        if self._rank is None:
            return np.zeros(len(self._gram)), np.eye(len(self._gram))
        own = self._data.values[i]
        k = self._n - len(own)
        gram = self._gram - own.T @ own
        mean = (self._sum - own.sum(axis=0)) / k if self._data.centred else np.zeros(len(gram))
        gram -= k * np.outer(mean, mean)
        size = len(gram)
        rank = min(self._rank, size)
        _, modes = eigh(gram, subset_by_index=(size - rank, size - 1))
        return mean, np.ascontiguousarray(modes[:, ::-1])


def _nearest(x: _Floats) -> _Floats:
    away = x[:, np.newaxis] - x
    squares = np.vecdot(away, away)
    np.fill_diagonal(squares, np.inf)
    return np.asarray(np.sqrt(squares.min(axis=1)))
