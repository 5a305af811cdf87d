"""What every classifier does: one table of laws for all kinds."""

import json
from typing import Any

import numpy as np
import pytest

from infra.errors import StoreError, UserError
from rom.local.classifier import Classifier
from rom.local.classifiers import CLASSIFIERS, classifier_from_state, make_classifier


def _data(k: int, seed: int = 0, m: int = 80) -> tuple[Any, Any, Any]:
    """Return points in k strips, their labels, and a point near the middle of each as medoid."""
    rng = np.random.default_rng(seed)
    x = rng.random((m, 2))
    labels = np.minimum((k * x[:, 0]).astype(np.int64), k - 1)
    centres = np.column_stack([(np.arange(k) + 0.5) / k, np.full(k, 0.5)])
    away = ((x[:, None] - centres) ** 2).sum(axis=2)
    return x, labels, np.where(labels[:, None] == np.arange(k), away, np.inf).argmin(axis=0)


@pytest.fixture(params=sorted(CLASSIFIERS))
def name(request: Any) -> str:
    return str(request.param)


def _fitted(name: str, k: int) -> Classifier:
    return make_classifier(name).fit(*_data(k), np.random.default_rng(0))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_clusters_that_are_strips_are_found(name: str, k: int) -> None:
    x, labels, _ = _data(k, seed=7)
    found = _fitted(name, k)
    assert (found.predict(x) == labels).mean() > 0.75
    assert found.scores(x).shape == (80, k)


@pytest.mark.parametrize("k", [2, 4])
def test_scores_are_continuous(name: str, k: int) -> None:
    line = np.linspace([-0.2, 0.0], [1.2, 1.0], 4001)
    scores = _fitted(name, k).scores(line)
    # Twice as fine has half the jumps.
    coarse = np.abs(np.diff(scores[::2], axis=0)).max()
    assert np.abs(np.diff(scores, axis=0)).max() < 0.6 * coarse


def test_the_order_of_points_changes_nothing(name: str) -> None:
    x, labels, medoids = _data(3)
    order = np.random.default_rng(1).permutation(len(x))
    places = np.argsort(order)[medoids]
    one, other = (
        make_classifier(name).fit(*data, np.random.default_rng(0))
        for data in ((x, labels, medoids), (x[order], labels[order], places))
    )
    q = np.random.default_rng(2).random((30, 2))
    np.testing.assert_allclose(other.scores(q), one.scores(q), rtol=1e-3, atol=1e-3)


def test_batches_are_the_single_points(name: str) -> None:
    found, q = _fitted(name, 3), np.random.default_rng(2).random((600, 2))
    together = found.scores(q)
    for i in (0, 255, 256, 599):
        np.testing.assert_allclose(found.scores(q[i : i + 1])[0], together[i], rtol=1e-12)
    assert found.scores(q[:0]).shape == (0, 3)


@pytest.mark.parametrize("k", [1, 3])
def test_a_classifier_from_its_state_has_the_same_bits(name: str, k: int) -> None:
    found, q = _fitted(name, k), np.random.default_rng(2).random((30, 2))
    arrays, text = found.state()
    other = classifier_from_state(arrays, json.loads(json.dumps(text)))
    np.testing.assert_array_equal(other.scores(q), found.scores(q))


def test_a_damaged_state_is_refused(name: str) -> None:
    arrays, text = _fitted(name, 3).state()
    with pytest.raises(StoreError, match="damaged"):
        classifier_from_state({"shape": arrays["shape"]}, text)
    with pytest.raises(StoreError, match="damaged"):
        classifier_from_state(arrays, {"kind": "oracle"})


def test_points_that_do_not_fit_are_refused(name: str) -> None:
    x, labels, medoids = _data(3)
    with pytest.raises(UserError, match="fitted classifier"):
        make_classifier(name).scores(x)
    with pytest.raises(UserError, match="coordinates"):
        _fitted(name, 3).scores(x[:, :1])
    with pytest.raises(UserError, match="at least once"):
        make_classifier(name).fit(x, np.zeros_like(labels), medoids, np.random.default_rng(0))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match="Expected a classifier out of"):
        make_classifier("oracle")
