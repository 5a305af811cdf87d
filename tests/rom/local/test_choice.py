"""When local bases are taken, and when not."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from rom.basis import Basis, pod
from rom.local import partition
from rom.local.choice import choose_bases
from rom.local.criterion import Efficiency
from rom.local.local_bases import LocalBases
from rom.local.samples import LocalSamples
from rom.local.settings import LocalSettings
from rom.products import Euclidean

SMALL = LocalSettings(candidates=(2, 3), starts=2)


def _choose(samples: Any, n_modes: int = 3, settings: LocalSettings = SMALL) -> Any:
    product = Euclidean(samples.rows.shape[1])
    return choose_bases(samples, product, n_modes, np.random.default_rng(0), settings)


def test_two_regimes_get_local_bases_that_gain_on_new_parameters(two_regimes: Any) -> None:
    samples, test = two_regimes(), two_regimes(100, seed=9)
    bases, choice = _choose(samples)
    assert isinstance(bases, LocalBases)
    assert choice.chosen == max((c for c in choice.candidates if c.pays), key=lambda c: c.gain)
    basis = pod(samples.rows, rank=3)
    ours = bases.switched().projection_error(test.rows, test.x)
    gain = basis.projection_error(test.rows).mean() / ours.mean()
    # The criterion has seen none of these, and speaks of the classifier's errors too.
    assert gain > 1.2
    assert 0.4 < gain / choice.chosen.gain < 2.5
    assert [b.rank for b in bases.bases] == [3] * bases.n_clusters


def test_fields_without_clusters_keep_one_basis(noise: Any) -> None:
    bases, choice = _choose(noise())
    assert isinstance(bases, Basis)
    assert choice.n_clusters == 1
    assert "not above" in choice.reason
    assert all(not c.pays for c in choice.candidates)


def test_where_one_basis_is_exact_rounding_is_no_gain(rng: Any) -> None:
    rows = rng.random((60, 3)) @ rng.standard_normal((3, 40))
    samples = LocalSamples(rows, rng.random((60, 2)), np.arange(60))
    bases, choice = _choose(samples)
    assert isinstance(bases, Basis)
    assert max(c.gain for c in choice.candidates) < 1.05


def test_clusters_with_too_few_snapshots_are_refused(two_regimes: Any, rng: Any) -> None:
    bases, choice = _choose(two_regimes(11))
    assert isinstance(bases, Basis)
    assert "too few" in choice.reason
    # Four of one family and 26 of another, each around its own pattern.
    few = np.arange(30) < 4
    noise = rng.standard_normal((30, 10))
    noise[:, 0] = 10.0
    noise[:, 4:] = 0.0
    rows = np.where(
        few[:, None], np.pad(noise, ((0, 0), (0, 10))), np.pad(noise, ((0, 0), (10, 0)))
    )
    part = LocalSamples(rows, few[:, None].astype(float), np.arange(30))
    bases, choice = _choose(part, settings=LocalSettings(candidates=(2,), starts=2))
    assert isinstance(bases, Basis)
    assert "smallest cluster has 4 snapshots, and 3 modes need 6" in choice.reason


def test_the_criterion_counts_the_errors_of_the_classifier() -> None:
    sure = Efficiency(2, "nearest-medoid", 3, 0.1, 0.02, 0.5, 0.0, 10)
    assert sure.gain == pytest.approx(5.0, rel=1e-4)
    unsure = replace(sure, misclassified=0.3)
    assert unsure.gain == pytest.approx(0.1 / (0.7 * 0.02 + 0.3 * 0.5), rel=1e-4)
    assert sure.pays
    assert not unsure.pays
    assert not replace(sure, smallest=5).pays
    assert not replace(sure, varied=False).pays
    assert not replace(sure, least_gain=6.0).pays
    assert replace(sure, e_global=1e-16, e_local=1e-17).gain == pytest.approx(1.0)


def test_the_choice_says_all_it_measured_in_json(two_regimes: Any) -> None:
    _, choice = _choose(two_regimes())
    text = json.loads(json.dumps(choice.describe()))
    assert len(text["candidates"]) == 2 * 3
    assert text["candidates"][text["chosen"]]["gain"] == choice.chosen.gain
    assert text["reason"] == choice.reason


def test_equal_generators_give_equal_bases(two_regimes: Any) -> None:
    (one, first), (other, second) = (_choose(two_regimes()) for _ in range(2))
    assert first == second
    for a, b in zip(one.bases, other.bases, strict=True):
        np.testing.assert_array_equal(a.modes, b.modes)


def test_the_product_of_the_problem_decides(two_regimes: Any, spd: Any) -> None:
    samples, product = two_regimes(), spd(80, condition=100.0)
    bases, _ = choose_bases(samples, product, 3, np.random.default_rng(0), SMALL)
    assert isinstance(bases, LocalBases)
    for basis in bases.bases:
        np.testing.assert_allclose(product.gram(basis.modes), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("timed", [True, False])
def test_trajectories_are_clustered_by_their_frames_or_as_a_whole(pulses: Any, timed: bool) -> None:
    study = pulses(16, 10, 8)
    samples = LocalSamples.of(study, timed=timed)
    assert samples.x.shape == (160, 3 if timed else 2)
    assert len(samples.units) == (160 if timed else 16)
    product = Euclidean(samples.rows.shape[1])
    bases, choice = choose_bases(samples, product, 4, np.random.default_rng(0), SMALL)
    assert choice.candidates
    if isinstance(bases, LocalBases) and not timed:
        labels = bases.classifier.predict(samples.x).reshape(16, 10)
        assert (labels == labels[:, :1]).all()
    test = LocalSamples.of(pulses(7, 10, 8), timed=timed)
    one = pod(samples.rows, product, rank=4).projection_error(test.rows).mean()
    if isinstance(bases, LocalBases):
        assert bases.projection_error(test.rows, test.x).mean() < one


def test_units_are_the_snapshots_of_one_trajectory_at_one_place(rng: Any) -> None:
    x = np.array([[0.2], [0.2], [0.7], [0.2]])
    samples = LocalSamples(rng.random((4, 5)), x, np.array([3, 3, 3, 1]))
    assert [unit.tolist() for unit in samples.units] == [[0, 1], [2], [3]]
    np.testing.assert_array_equal(samples.unit_groups, [3, 3, 1])


def test_zero_snapshots_do_no_harm(two_regimes: Any) -> None:
    samples = two_regimes()
    samples.rows[:3] = 0.0
    bases, _ = _choose(samples)
    assert isinstance(bases, LocalBases)


def test_one_trajectory_keeps_one_basis(rng: Any) -> None:
    samples = LocalSamples(rng.random((30, 9)), np.linspace(0, 1, 30)[:, None], np.zeros(30, int))
    bases, choice = _choose(samples)
    assert isinstance(bases, Basis)
    assert "at least 2 trajectories" in choice.reason


def test_mistakes_are_named(two_regimes: Any, pulses: Any, monkeypatch: Any) -> None:
    samples = two_regimes(20)
    with pytest.raises(UserError, match="coordinates"):
        LocalSamples(samples.rows, samples.x[:5], samples.groups)
    with pytest.raises(UserError, match="finite coordinates"):
        LocalSamples(samples.rows, np.full_like(samples.x, np.nan), samples.groups)
    whole = LocalSamples.of(pulses(4, 10, 4), timed=False)
    with pytest.raises(UserError, match="dissimilarity of trajectories"):
        _choose(whole, settings=LocalSettings(dissimilarity="euclidean"))
    monkeypatch.setattr(partition, "_MOST", 10)
    with pytest.raises(UserError, match="at most 10 snapshots"):
        _choose(samples)
