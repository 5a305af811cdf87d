r"""Clusters around representatives: k-medoids.

It minimises :math:`\sum_i \min_{m \in \text{medoids}} c_{im}` over k of the points as medoids, for
any cost c, by swaps of one medoid and one other point that lower the sum most, until none does.
The result is a local minimum; the best of several starts is taken.

Ours, in NumPy: the package of the algorithm's authors is under a licence (GPL) that would bind
users of this one.

Source: Schubert and Rousseeuw (2021), doi:10.1016/j.is.2021.101804, for all swaps at the cost of
one matrix; Arthur and Vassilvitskii (2007), "k-means++", for the random starts.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError

__all__ = ["Clustering", "k_medoids"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# A swap that lowers the sum by less than this part of it is rounding.
_LEAST = 1e-12


@final
@dataclass(frozen=True, eq=False)
class Clustering:
    """Medoids, and who belongs to them.

    Attributes
    ----------
    medoids
        Places of the medoids, ascending, shape (k,).
    labels
        Number of the cluster of each point, shape (m,).
    cost
        Sum of the costs to the medoids.
    """

    medoids: _Ints
    labels: _Ints
    cost: float

    @property
    def sizes(self) -> _Ints:
        """Number of points of each cluster, shape (k,)."""
        return np.bincount(self.labels, minlength=len(self.medoids))


def k_medoids(costs: _Floats, k: int, rng: np.random.Generator, *, starts: int = 5) -> Clustering:
    """Return k clusters of m points.

    Parameters
    ----------
    costs
        Cost of representing point i by point j, (m, m), finite, >= 0: for example squared
        dissimilarities.
    k
        Number of clusters, 1 to m.
    rng
        Source of the starts after the first one, which is greedy.
    starts
        How many, >= 1.

    Raises
    ------
    UserError
        If an argument is out of its range.
    """
    costs = np.asarray(costs, np.float64)
    square = costs.ndim == 2 and costs.shape[0] == costs.shape[1]
    if not square or not np.isfinite(costs).all() or (costs < 0).any():
        raise UserError(
            f"Expected finite costs >= 0 of m points, shape (m, m); received shape {costs.shape}."
        )
    if not 1 <= k <= len(costs) or starts < 1:
        raise UserError(
            f"Expected 1 to {len(costs)} clusters, as many as there are points, and at least one "
            f"start; received {k} and {starts}."
        )
    first = _greedy(costs, k)
    seeds = [first, *(_random(costs, k, rng) for _ in range(starts - 1))]
    return min((_improved(costs, seed) for seed in seeds), key=lambda result: result.cost)


def _greedy(costs: _Floats, k: int) -> _Ints:
    """Return medoids added one by one, each where it lowers the sum most."""
    medoids = [int(costs.sum(axis=0).argmin())]
    while len(medoids) < k:
        nearest = costs[:, medoids].min(axis=1)
        sums = np.minimum(costs, nearest[:, None]).sum(axis=0)
        sums[medoids] = np.inf
        medoids.append(int(sums.argmin()))
    return np.array(medoids, np.int64)


def _random(costs: _Floats, k: int, rng: np.random.Generator) -> _Ints:
    """Return distinct medoids, drawn with probabilities proportional to the cost so far."""
    medoids = [int(rng.integers(len(costs)))]
    while len(medoids) < k:
        weights = costs[:, medoids].min(axis=1)
        weights[medoids] = 0.0
        if not weights.sum() > 0:  # all others are copies of medoids
            weights = np.ones(len(costs))
            weights[medoids] = 0.0
        medoids.append(int(rng.choice(len(costs), p=weights / weights.sum())))
    return np.array(medoids, np.int64)


def _improved(costs: _Floats, medoids: _Ints) -> Clustering:
    """Swap until no swap helps; each lowers the sum, hence it ends."""
    medoids = medoids.copy()
    while True:
        change, out, new = _best_swap(costs, medoids)
        total = costs[:, medoids].min(axis=1).sum()
        if not change < -_LEAST * total:
            break
        medoids[out] = new
    medoids = np.sort(medoids)
    labels = costs[:, medoids].argmin(axis=1)
    # Of two equal points only one is a medoid that others belong to, but none is empty.
    labels[medoids] = np.arange(len(medoids))
    return Clustering(medoids, labels, float(costs[np.arange(len(costs)), medoids[labels]].sum()))


def _best_swap(costs: _Floats, medoids: _Ints) -> tuple[float, int, int]:
    """Return the change of the sum, the place in `medoids`, and the point to put there."""
    to_medoids = costs[:, medoids]
    labels = to_medoids.argmin(axis=1)
    points = np.arange(len(costs))
    nearest = to_medoids[points, labels]
    to_medoids[points, labels] = np.inf
    second = to_medoids.min(axis=1)
    # What a new medoid wins if none leaves, and what its leaving costs the members of each.
    wins = np.minimum(costs - nearest[:, None], 0.0)
    losses = np.minimum(costs, second[:, None]) - nearest[:, None] - wins
    members = (labels == np.arange(len(medoids))[:, None]).astype(np.float64)
    changes = wins.sum(axis=0) + members @ losses
    changes[:, medoids] = np.inf
    out, new = np.unravel_index(changes.argmin(), changes.shape)
    return float(changes[out, new]), int(out), int(new)
