"""Models of small studies with analytic solutions, built once."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rom.array_snapshots import ArraySnapshots
from rom.reduced_model import ReducedModel
from tests.rom.spots import make, study, truth

type Floats = NDArray[np.float64]


@pytest.fixture(scope="session")
def model() -> ReducedModel:
    """A steady model."""
    return make(study())


@pytest.fixture(scope="session")
def moving() -> ReducedModel:
    """A model in time."""
    return make(study(16, np.linspace(0.0, 1.0, 9)), tolerance=1e-3)


@pytest.fixture
def studies() -> Callable[..., ArraySnapshots]:
    return study


@pytest.fixture
def makes() -> Callable[..., ReducedModel]:
    return make


@pytest.fixture
def truths() -> Callable[..., Floats]:
    return truth
