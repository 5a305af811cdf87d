"""The non-negative orthogonal matching pursuit as it was published, for comparison.

Written from its description: a point is added where the residual is best explained, together with
random ones; bounded least squares are solved from scratch; points without a weight are dropped.
Neither the volume is a row, nor are functions compressed, nor is the inner loop bounded. After
Hernández, Caicedo, Ferrer (2017), doi:10.1016/j.cma.2016.10.022.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

__all__ = ["Rule", "matching_pursuit"]

type _Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Rule:
    """A sparse rule, and how often least squares were solved."""

    points: NDArray[np.int64]
    weights: _Floats
    solves: int


def matching_pursuit(
    G: _Floats,
    omega: _Floats,
    tolerance: float,
    *,
    drawn: int = 0,
    solver: str = "bvls",
    rng: np.random.Generator,
) -> Rule:
    """Return the rule for functions G (m, N) and weights omega (N,).

    Parameters
    ----------
    G, omega
        Functions and full weights.
    tolerance
        Relative residual.
    drawn
        Random points that are added beside the best one in each step.
    solver
        ``bvls`` of SciPy, or its ``nnls``.
    rng
        For the random points.
    """
    b = G @ omega
    norm = float(np.linalg.norm(b))
    chosen, residual = np.empty(0, np.int64), b
    error, solves = 1.0, 0
    weights = np.empty(0)
    while error > tolerance:
        before = error
        while error >= before:
            correlation = G.T @ residual
            correlation[chosen] = -np.inf
            free = np.setdiff1d(np.arange(len(omega)), chosen)
            new = np.r_[rng.choice(free, drawn, replace=False), correlation.argmax()]
            chosen = np.unique(np.r_[chosen, new])
            weights = _solve(G[:, chosen], b, solver)
            solves += 1
            kept = weights > 0
            chosen, weights = chosen[kept], weights[kept]
            residual = b - G[:, chosen] @ weights
            error = float(np.linalg.norm(residual)) / norm
    return Rule(chosen, weights, solves)


def _solve(A: _Floats, b: _Floats, solver: str) -> _Floats:
    if solver == "nnls":
        return np.asarray(nnls(A, b)[0])
    return np.asarray(lsq_linear(A, b, (0.0, np.inf), method="bvls").x)
