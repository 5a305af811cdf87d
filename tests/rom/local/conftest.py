"""Families of solutions with and without clusters."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rom.local.samples import LocalSamples

type Floats = NDArray[np.float64]


@pytest.fixture
def two_regimes() -> Callable[..., LocalSamples]:
    """Give a function that makes fields whose patterns are others left and right of x = 0.4."""

    def make(m: int = 60, seed: int = 0) -> LocalSamples:
        rng = np.random.default_rng(seed)
        place = np.linspace(0.0, 1.0, 80)
        x = rng.random((m, 2))
        low = np.exp(-((place - 0.15 - 0.2 * x[:, 1:]) ** 2) / 0.01) * (x[:, :1] < 0.4)
        high = np.exp(-((place - 0.65 - 0.2 * x[:, 1:]) ** 2) / 0.01) * (x[:, :1] >= 0.4)
        return LocalSamples((1 + x[:, :1]) * (low + high), x, np.arange(m))

    return make


@pytest.fixture
def noise() -> Callable[..., LocalSamples]:
    """Give a function that makes fields that have nothing to do with their coordinates."""

    def make(m: int = 60, seed: int = 0) -> LocalSamples:
        rng = np.random.default_rng(seed)
        waves = rng.standard_normal((m, 20)) / (1 + np.arange(20))
        return LocalSamples(waves @ rng.standard_normal((20, 80)), rng.random((m, 2)), np.arange(m))

    return make
