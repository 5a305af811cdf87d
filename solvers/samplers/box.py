"""Samplers that spread points over the box of a parameter space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from solvers.parameters import ParameterSpace
from solvers.samplers.sampler import Sampler

__all__ = ["LatinHypercubeSampler", "SobolSampler", "UniformSampler"]


@final
@dataclass(frozen=True)
class SobolSampler(Sampler):
    """Scrambled Sobol points: low discrepancy, extendable, best balanced when n is 2^m.

    Source: Sobol (1967), 10.1016/0041-5553(67)90144-9; scrambling by Matousek (1998),
    10.1006/jcom.1998.0489, as in SciPy.

    Attributes
    ----------
    space : the box
    seed : seed of the scrambling and of the samples
    """

    space: ParameterSpace
    seed: int

    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        if self.space.dimension == 0:
            return _mus(self.space, np.empty((n, 0)))
        engine = qmc.Sobol(self.space.dimension, rng=_generator(self.seed))
        # A whole power of two, cut afterwards: SciPy warns of every other number.
        points = engine.random_base2(max(n - 1, 0).bit_length())
        return _mus(self.space, points[:n])


@final
@dataclass(frozen=True)
class LatinHypercubeSampler(Sampler):
    """One point in each of the n strata of each parameter; not extendable.

    Source: McKay, Beckman, Conover (1979), 10.1080/00401706.1979.10489755.

    Attributes
    ----------
    space : the box
    seed : seed of the design and of the samples
    """

    space: ParameterSpace
    seed: int

    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        if self.space.dimension == 0:
            return _mus(self.space, np.empty((n, 0)))
        engine = qmc.LatinHypercube(self.space.dimension, rng=_generator(self.seed))
        return _mus(self.space, engine.random(n))


@final
@dataclass(frozen=True)
class UniformSampler(Sampler):
    """Independent points, uniform in unit coordinates; extendable.

    Attributes
    ----------
    space : the box
    seed : seed of the points and of the samples
    """

    space: ParameterSpace
    seed: int

    def _mus(self, n: int) -> Sequence[Mapping[str, float]]:
        return _mus(self.space, _generator(self.seed).random((n, self.space.dimension)))


def _generator(seed: int) -> np.random.Generator:
    # The root sequence: its stream is independent of those spawned for the samples.
    return np.random.default_rng(np.random.SeedSequence(seed))


def _mus(space: ParameterSpace, points: NDArray[np.float64]) -> list[dict[str, float]]:
    """Return the mu of unit points, shape (n, d)."""
    return [space.mu(row) for row in space.from_unit(points)]
