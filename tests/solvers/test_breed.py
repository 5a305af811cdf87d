"""Laws of the sampler that breeds where a surrogate learns badly."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from infra.records import Sample
from solvers.parameters import Parameter, ParameterSpace
from solvers.sampling import BreedSampler, BreedSettings, SobolSampler, UniformSampler

SPACE = ParameterSpace(
    (
        Parameter("viscosity", 1e-4, 1e-1, "m2 s-1", "kinematic viscosity", scale="log"),
        Parameter("density", 1.2, 1.2, "kg m-3", "density of the fluid"),
        Parameter("radius", 0.5, 2.0, "m", "radius of the cylinder"),
    )
)
FIXED = ParameterSpace((Parameter("density", 1.2, 1.2, "kg m-3", "density"),))


def made(space: ParameterSpace = SPACE, seed: int = 5, **settings: Any) -> BreedSampler:
    return BreedSampler(space, seed, BreedSettings(**{"size": 8, **settings}))


def units(samples: Sequence[Sample]) -> NDArray[np.float64]:
    return SPACE.to_unit(SPACE.array([sample.mu for sample in samples]))


def told(sampler: BreedSampler, rounds: int, worst: int = 3) -> list[Sample]:
    """Suggest rounds and tell after each that one sample of the first round is learnt badly."""
    samples: list[Sample] = []
    for number in range(1, rounds + 1):
        samples = sampler.suggest(8 * number)
        scores = [{"delta_loss": float(sample.index == worst)} for sample in samples]
        sampler.ingest(samples, scores)
    return samples


@pytest.mark.parametrize(("base", "kind"), [("sobol", SobolSampler), ("uniform", UniformSampler)])
def test_without_scores_it_is_the_design_that_fills_the_space(base: Any, kind: Any) -> None:
    sampler = made(base=base, start=1.0)
    assert sampler.suggest(40) == kind(SPACE, 5).suggest(40)
    assert sampler.parents == {}


def test_scores_of_zero_breed_nothing() -> None:
    sampler = made(start=1.0, end=1.0)
    samples = sampler.suggest(8)
    sampler.ingest(samples, [{"delta_loss": 0.0}] * 8)
    assert sampler.suggest(24) == SobolSampler(SPACE, 5).suggest(24)


def test_suggested_samples_never_change_and_more_of_them_begin_with_them() -> None:
    sampler = made()
    few = told(sampler, 2)
    many = sampler.suggest(40)
    assert many[:16] == few
    sampler.ingest(many, [{"delta_loss": 9.0}] * 40)
    assert sampler.suggest(40) == many
    assert sampler.suggest(13) == many[:13]


def test_a_sampler_that_is_told_the_same_suggests_the_same() -> None:
    assert told(made(), 5) == told(made(), 5)
    assert told(made(), 5) != told(made(seed=6), 5)


def test_a_round_may_be_asked_for_in_parts() -> None:
    whole, parts = made(), made()
    for sampler in (whole, parts):
        sampler.ingest(sampler.suggest(8), [{"delta_loss": float(i)} for i in range(8)])
    for n in (9, 10, 13, 16):
        parts.suggest(n)
    assert parts.suggest(16) == whole.suggest(16)


def test_all_samples_lie_inside_the_box() -> None:
    for sample in told(made(start=1.0, end=1.0, sigma=0.7), 12, worst=0):
        SPACE.check(sample.mu)
        assert sample.mu["density"] == 1.2


def test_the_share_of_bred_samples_grows_to_its_end() -> None:
    sampler = made(start=0.25, end=0.75, breakpoint=2)
    told(sampler, 5)
    counts = [sum(8 * r <= child < 8 * r + 8 for child in sampler.parents) for r in range(5)]
    assert counts == [0, 4, 6, 6, 6]  # nothing is known in the first round


def test_samples_that_are_not_bred_are_the_next_points_of_the_design() -> None:
    sampler = made(end=0.5)
    samples = told(sampler, 6)
    others = [s.mu for s in samples if s.index not in sampler.parents]
    assert others == [s.mu for s in SobolSampler(SPACE, 5).suggest(len(others))]


def test_parents_are_drawn_in_proportion_to_their_scores() -> None:
    sampler = made(start=1.0, end=1.0, size=400)
    sampler.ingest(SobolSampler(SPACE, 5).suggest(3), [{"delta_loss": q} for q in (0.0, 1.0, 3.0)])
    sampler.suggest(4000)
    counts = np.bincount(list(sampler.parents.values()), minlength=3)
    assert counts.sum() == 4000
    assert counts[0] == 0
    # Four standard deviations.
    assert counts[2] / 4000 == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 4000))


def test_children_are_normal_around_their_parent() -> None:
    sampler = made(start=1.0, end=1.0, size=1000, sigma=0.02)
    parent = Sample(7, SPACE.mu(SPACE.from_unit([[0.5, 0.4]])[0]), 0)
    sampler.ingest([parent], [{"delta_loss": 2.0}])
    distances = (units(sampler.suggest(1000)) - [0.5, 0.4]) / 0.02
    np.testing.assert_allclose(distances.mean(axis=0), 0.0, atol=4 / np.sqrt(1000))
    np.testing.assert_allclose(distances.std(axis=0), 1.0, atol=4 / np.sqrt(2000))
    assert abs(np.corrcoef(distances.T)[0, 1]) < 4 / np.sqrt(1000)


def test_children_beyond_a_bound_are_reflected_not_gathered_at_it() -> None:
    sampler = made(start=1.0, end=1.0, size=500, sigma=0.1)
    corner = Sample(0, SPACE.mu(SPACE.from_unit([[0.0, 1.0]])[0]), 0)
    sampler.ingest([corner], [{"delta_loss": 1.0}])
    found = units(sampler.suggest(500))
    assert len(np.unique(found[:, 0])) == len(np.unique(found[:, 1])) == 500
    mean = 0.1 * np.sqrt(2 / np.pi)
    np.testing.assert_allclose(found.mean(axis=0), [mean, 1 - mean], atol=0.012)


def test_only_the_samples_told_last_are_parents_and_a_new_score_replaces_an_old_one() -> None:
    sampler = made(start=1.0, end=1.0, window=2)
    samples = sampler.suggest(8)
    sampler.ingest(samples[:3], [{"delta_loss": 1.0}] * 3)
    sampler.ingest(samples[:1], [{"delta_loss": 5.0}])  # the first one is now the last one told
    sampler.ingest(samples[2:3], [{"delta_loss": 0.0}])
    sampler.suggest(48)
    assert set(sampler.parents.values()) == {0}


def test_results_without_a_score_are_passed_over() -> None:
    sampler = made(start=1.0, end=1.0)
    samples = sampler.suggest(8)
    sampler.ingest(samples, [{"wall_seconds": 1.0}] * 8)
    assert sampler.suggest(16) == SobolSampler(SPACE, 5).suggest(16)


@pytest.mark.parametrize("score", [-1.0, np.nan, np.inf])
def test_impossible_scores_are_refused_and_change_nothing(score: float) -> None:
    sampler = made(start=1.0, end=1.0)
    samples = sampler.suggest(8)
    with pytest.raises(UserError, match=r"delta_loss: expected finite scores >= 0.*sample 1"):
        sampler.ingest(samples[:2], [{"delta_loss": 1.0}, {"delta_loss": score}])
    assert sampler.state()["archive"] == []


def test_huge_scores_are_no_trouble() -> None:
    sampler = made(start=1.0, end=1.0)
    samples = sampler.suggest(8)
    sampler.ingest(samples, [{"delta_loss": 1.7e308}] * 8)
    assert len(sampler.suggest(16)) == 16
    assert len(sampler.parents) == 8


def test_a_restored_sampler_goes_on_as_the_first_one() -> None:
    first = made()
    told(first, 3)
    other = made()
    other.restore(json.loads(json.dumps(first.state())))
    assert other.suggest(64) == first.suggest(64)
    assert other.parents == first.parents


@pytest.mark.parametrize("settings", [{"size": 7}, {"space": FIXED}])
def test_the_state_of_another_sampler_is_refused(settings: dict[str, Any]) -> None:
    first = made()
    first.suggest(8)
    with pytest.raises(UserError, match="state of another sampler"):
        made(**settings).restore(first.state())


def test_without_free_parameters_there_is_one_mu() -> None:
    sampler = made(FIXED, start=1.0, end=1.0)
    samples = sampler.suggest(8)
    sampler.ingest(samples, [{"delta_loss": 1.0}] * 8)
    assert [sample.mu for sample in sampler.suggest(16)] == [FIXED.mu([])] * 16


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0}, {"window": 0}, {"breakpoint": -1}, {"start": -0.1}, {"end": 1.1},
        {"sigma": 0.0}, {"sigma": np.nan}, {"base": "grid"},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="size >= 1"):
        BreedSettings(**wrong)


def test_a_share_becomes_that_number_of_samples_spread_evenly() -> None:
    settings = BreedSettings(size=10)
    for tenths in range(11):
        bred = [settings.bred(place, tenths / 10) for place in range(10)]
        assert sum(bred) == tenths
    assert [settings.bred(place, 0.5) for place in range(4)] == [False, True, False, True]


def test_children_that_are_not_allowed_are_drawn_again_and_then_left_to_the_design() -> None:
    def narrow(mu: Any) -> bool:
        return bool(mu["radius"] > 1.25)

    settings = BreedSettings(size=8, start=1.0, end=1.0, sigma=0.2)
    middle = Sample(0, SPACE.mu(SPACE.from_unit([[0.5, 0.5]])[0]), 0)
    sampler = BreedSampler(SPACE, 5, settings, narrow)
    sampler.ingest([middle], [{"delta_loss": 1.0}])
    assert all(narrow(sample.mu) for sample in sampler.suggest(64))
    assert len(sampler.parents) == 64
    stern = BreedSampler(SPACE, 5, settings, lambda _: False)
    stern.ingest([middle], [{"delta_loss": 1.0}])
    assert stern.suggest(16) == SobolSampler(SPACE, 5).suggest(16)
    assert stern.parents == {}
