"""Small samples of smooth functions, and regressors that are small enough for tests."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

from infra.records import Json

type Floats = NDArray[np.float64]
type Sample = Callable[..., tuple[Floats, Floats]]

# Enough to show every law; what is not named here is tested with its defaults.
SMALL: Mapping[str, Mapping[str, Json]] = MappingProxyType(
    {
        "gp": {"restarts": 0, "sharing": "shared"},
        "neural": {"hidden": [8], "members": 2, "iterations": 100},
        "estimator": {
            "path": "sklearn.kernel_ridge.KernelRidge",
            "options": {"kernel": "rbf", "gamma": 1.0, "alpha": 1e-6},
        },
        "time-modes": {"options": {"sharing": "shared", "restarts": 0}},
        "local-modes": {"tolerance": 1e-5, "options": {"sharing": "shared", "restarts": 0}},
        "operator-inference": {
            "weights": [1e-6, 1e-3],
            "ratios": [1.0],
            "folds": 2,
            "options": {"sharing": "shared", "restarts": 0},
        },
    }
)


def smooth(x: Floats, n_outputs: int) -> Floats:
    """Return smooth functions (m, r) of inputs (m, d), of very different sizes."""
    i = np.arange(1, n_outputs + 1)
    phase = x @ np.sin(np.outer(np.arange(1, x.shape[1] + 1), i) * 1.3)
    return np.sin(2.0 * phase + i) * 10.0 ** (-i.astype(float)) + 3.0 * i


@pytest.fixture(scope="session")
def small() -> Mapping[str, Mapping[str, Json]]:
    return SMALL


@pytest.fixture(scope="session")
def sample() -> Sample:
    """Return a function that makes inputs (m, d) and outputs (m, r)."""

    def make(m: int = 20, d: int = 2, r: int = 3, seed: int = 0) -> tuple[Floats, Floats]:
        x = qmc.Sobol(d, rng=np.random.default_rng(seed)).random(32)[:m]
        return x, smooth(x, r)

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
