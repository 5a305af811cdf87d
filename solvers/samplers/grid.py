"""The sampler that takes every combination of evenly spaced values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import final

import numpy as np

from infra.errors import UserError
from solvers.parameters import ParameterSpace
from solvers.samplers.sampler import Sampler

__all__ = ["GridSampler"]


@final
@dataclass(frozen=True)
class GridSampler(Sampler):
    """Tensor grid with its outermost points on the bounds; the last parameter varies fastest.

    Values are evenly spaced in unit coordinates (geometrically on a log scale); one level means
    the middle. Not extendable.

    Attributes
    ----------
    space : the box
    seed : seed of the samples; the grid itself is not random
    levels : number of values of each free parameter; None: the same number k for all, so that
        n = k^d
    """

    space: ParameterSpace
    seed: int
    levels: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if self.levels is None:
            return
        free = [p.name for p in self.space.free]
        if set(self.levels) != set(free) or min(self.levels.values(), default=1) < 1:
            raise UserError(
                f"expected levels >= 1 for exactly the free parameters {free}, "
                f"received {dict(self.levels)}"
            )

    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        axes = [_axis(count) for count in self._counts(n)]
        points = np.array(list(product(*axes)), dtype=np.float64).reshape(n, len(axes))
        return [self.space.mu(row) for row in self.space.from_unit(points)]

    def _counts(self, n: int) -> list[int]:
        if self.levels is None:
            return _equal_counts(n, self.space.dimension)
        counts = [self.levels[p.name] for p in self.space.free]
        if n != prod(counts):
            raise UserError(
                f"a grid of levels {dict(self.levels)} has {prod(counts)} points: "
                f"expected n = {prod(counts)}, received n = {n}"
            )
        return counts


def _axis(count: int) -> list[float]:
    return [0.5] if count == 1 else [float(u) for u in np.linspace(0, 1, count)]


def _equal_counts(n: int, dimension: int) -> list[int]:
    if dimension == 0:
        if n != 1:
            raise UserError(
                "all parameters are fixed, so that the grid has one point: "
                f"expected n = 1, received n = {n}"
            )
        return []
    # The float root may be off by one; the integers decide.
    near = round(n ** (1 / dimension))
    k = max(c for c in (near - 1, near, near + 1) if c == 0 or (c > 0 and c**dimension <= n))
    if k**dimension != n:
        raise UserError(
            f"a grid over {dimension} free parameters has k^{dimension} points: expected for "
            f"example n = {max(k, 1) ** dimension} or n = {(k + 1) ** dimension}, "
            f"received n = {n}; or choose levels per parameter"
        )
    return [k] * dimension
