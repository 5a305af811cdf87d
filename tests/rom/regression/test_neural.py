"""Committees of networks: those of scikit-learn, evaluated otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from rom.regression.neural import Neural, NeuralSettings

type Floats = NDArray[np.float64]
type Sample = Callable[..., tuple[Floats, Floats]]

QUERIES = np.random.default_rng(1).random((9, 2))


def test_a_member_is_the_network_of_scikit_learn(sample: Sample) -> None:
    x, y = sample(12, 2, 2)
    settings = NeuralSettings(hidden=(6, 5), members=1, iterations=50)
    fitted = Neural(settings).fit(x, y, np.random.default_rng(3))
    seed = int(np.random.default_rng(3).integers(2**31, size=1)[0])
    network = MLPRegressor(
        hidden_layer_sizes=(6, 5), activation="tanh", solver="lbfgs", alpha=1e-4,
        max_iter=50, max_fun=500, tol=1e-6,
        random_state=seed,
    )  # fmt: skip
    order = np.lexsort(np.c_[x, y].T[::-1])
    with pytest.warns(ConvergenceWarning):
        network.fit(2 * x[order] - 1, (y[order] - y[order].mean(0)) / y[order].std(0))
    expected = network.predict(2 * QUERIES - 1) * y.std(axis=0) + y.mean(axis=0)
    np.testing.assert_allclose(fitted.predict(QUERIES), expected, rtol=1e-9)


def test_a_single_member_gives_no_deviation(sample: Sample, rng: np.random.Generator) -> None:
    fitted = Neural(NeuralSettings(hidden=(4,), members=1, iterations=20)).fit(*sample(), rng)
    assert fitted.deviation(QUERIES) is None


def test_members_disagree_more_where_there_are_no_samples(
    sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample()
    fitted = Neural(NeuralSettings(hidden=(16,), members=3, iterations=200)).fit(x, y, rng)
    near, far = fitted.deviation(x), fitted.deviation(x + 3.0)
    assert near is not None
    assert far is not None
    assert np.median(far) > 5 * np.median(near)
