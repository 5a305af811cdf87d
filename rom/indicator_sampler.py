"""The sampler that asks for solutions where a reduced model is worst."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from infra.errors import UserError
from rom.conditioning import Indicator
from solvers.parameters import ParameterSpace
from solvers.samplers.sampler import Sampler

__all__ = ["IndicatorSampler"]

type _Floats = NDArray[np.float64]

# Points of the pool nearer than this to a known one are that point.
_SAME = 1e-9


@final
class IndicatorSampler(Sampler):
    """The largest indicator of a Sobol' pool comes first; extendable.

    Points of the pool next to a face of the box are put on it, and the nearest one to each corner
    into the corner: there are no samples beyond, hence models are worst at the borders, and a
    Sobol' sequence never reaches them.

    A point is chosen when it is asked for, with the indicator that is known by then, and never
    changes afterwards; each knows of those before it, and no point comes twice.

    Parameters
    ----------
    space
        The box.
    seed
        Seed of the pool and of the samples.
    indicator
        Of the present model, in unit coordinates.
    pool
        Number of points, a power of 2.
    """

    def __init__(
        self, space: ParameterSpace, seed: int, indicator: Indicator, pool: int = 512
    ) -> None:
        if pool < 2 or pool & (pool - 1):
            raise UserError(f"Expected a pool of 2, 4, 8, ... points; received {pool}.")
        self.space, self.seed = space, seed
        self._indicator = indicator
        sequence = qmc.Sobol(space.dimension, rng=np.random.default_rng(seed))
        self._pool = _with_borders(sequence.random(pool))
        self._free = np.ones(len(self._pool), dtype=bool)
        self._chosen: list[_Floats] = []
        self._leave_out(indicator.points)

    @property
    def largest(self) -> float:
        """The largest indicator on the pool, for the present model."""
        return float(self._indicator.eta(self._pool).max())

    def update(self, indicator: Indicator) -> None:
        """Go on with the indicator of a new model."""
        self._indicator = indicator
        self._leave_out(indicator.points)

    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        while len(self._chosen) < n:
            self._choose()
        rows = self.space.from_unit(np.array(self._chosen[:n]).reshape(n, self.space.dimension))
        return [self.space.mu(row) for row in rows]

    def _choose(self) -> None:
        if not self._free.any():
            raise UserError(
                f"Expected at most as many samples as the pool has new points; all "
                f"{len(self._pool)} are used. Give the sampler a larger pool."
            )
        eta = np.where(self._free, self._indicator.eta(self._pool), -np.inf)
        place = int(eta.argmax())
        point = self._pool[place]
        self._chosen.append(point)
        self._free[place] = False
        self._indicator = self._indicator.given(point[np.newaxis])

    def _leave_out(self, points: _Floats) -> None:
        away = np.abs(self._pool[:, np.newaxis] - points).max(axis=2)
        self._free &= (away > _SAME).all(axis=1)


def _with_borders(points: _Floats) -> _Floats:
    """Return points (k, d) of which those next to a face are on it, and some in the corners."""
    k, d = points.shape
    near = 0.5 * k ** (-1.0 / d)
    points = np.where(points < near, 0.0, np.where(points > 1.0 - near, 1.0, points))
    if 2**d <= k // 8:
        corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * d), axis=-1).reshape(-1, d)
        for corner in corners:
            points[np.abs(points - corner).sum(axis=1).argmin()] = corner
    return _distinct(points)


def _distinct(points: _Floats) -> _Floats:
    """Return the points without those that came to lie on others."""
    _, first = np.unique(points, axis=0, return_index=True)
    return points[np.sort(first)]
