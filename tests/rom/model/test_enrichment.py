from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from infra.records import Sample
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.conditioning import ModelIndicator
from rom.enrichment import EnrichmentSettings, enrich
from rom.indicator_sampler import IndicatorSampler
from rom.reduced_model import ReducedModel
from rom.settings import ReducedModelSettings
from solvers.parameters import Parameter, ParameterSpace

type Floats = NDArray[np.float64]

SPACE = ParameterSpace(
    (Parameter("a", -1.0, 1.0, "1", ""), Parameter("b", 0.0, 1.0, "1", ""))
)  # fmt: skip
X = np.linspace(0.0, 1.0, 40)
FIELDS = FieldSpace((FieldInfo("u", "1", 40, "node"),), {"node": X[:, None]})


def solve(mus: Floats) -> Floats:
    """Smooth in most of the box, with a sharp change of the pattern near a = 0.6."""
    a, b = mus[:, :1], mus[:, 1:]
    switch = np.tanh((a - 0.6) / 0.08)
    return 2.0 + np.sin(np.pi * X) + 0.3 * b * X + 0.5 * switch * np.cos(np.pi * X)


def model_of(mus: Floats) -> ReducedModel:
    snapshots = ArraySnapshots(
        FIELDS, SPACE.names, mus, solve(mus), bounds={"a": (-1.0, 1.0), "b": (0.0, 1.0)}
    )
    settings = ReducedModelSettings(product="euclidean", tolerance=1e-4, options={"restarts": 0})
    return build(snapshots, settings, np.random.default_rng(0), parameters=SPACE)


def sobol(n: int, seed: int = 0) -> Floats:
    points = qmc.Sobol(2, rng=np.random.default_rng(seed)).random(128)[:n]
    return SPACE.from_unit(points)


def largest_error(model: ReducedModel) -> float:
    mus = SPACE.from_unit(np.random.default_rng(9).random((400, 2)))
    true, found = solve(mus), model.query(mus, select="fields").values["u"][:, 0]
    return float((np.linalg.norm(true - found, axis=1) / np.linalg.norm(true, axis=1)).max())


def test_chosen_samples_reach_a_smaller_error_than_as_many_of_a_design() -> None:
    known = [sobol(12)]

    def extend(samples: Sequence[Sample]) -> ReducedModel:
        known.append(SPACE.array([s.mu for s in samples]))
        return model_of(np.concatenate(known))

    settings = EnrichmentSettings(tolerance=1e-6, budget=24, batch=6, pool=128, patience=8)
    done = enrich(model_of(known[0]), settings, extend, seed=1)
    assert done.model.card.training.trajectories == 36
    assert largest_error(done.model) < 0.6 * largest_error(model_of(sobol(36)))


@pytest.fixture(scope="module")
def small() -> ReducedModel:
    return model_of(sobol(10))


def test_no_point_comes_twice_and_earlier_ones_never_change(small: ReducedModel) -> None:
    sampler = IndicatorSampler(SPACE, 0, ModelIndicator(small, np.random.default_rng(0)), 64)
    first = sampler.suggest(6)
    sampler.update(ModelIndicator(small, np.random.default_rng(0)))
    second = sampler.suggest(12)
    assert second[:6] == first
    assert len({tuple(s.mu.values()) for s in second}) == 12
    with pytest.raises(UserError, match="larger pool"):
        sampler.suggest(65)


def test_equal_samplers_suggest_equal_samples(small: ReducedModel) -> None:
    suggestions = [
        IndicatorSampler(SPACE, 3, ModelIndicator(small, np.random.default_rng(0)), 64).suggest(5)
        for _ in range(2)
    ]
    assert suggestions[0] == suggestions[1]


def test_what_is_asked_for_lowers_the_indicator_around_it(small: ReducedModel) -> None:
    indicator = ModelIndicator(small, np.random.default_rng(0))
    u = np.array([[0.95, 0.03]])
    assert indicator.given(u).eta(u)[0] < indicator.eta(u)[0]


def test_it_stops_at_the_tolerance_without_a_sample(small: ReducedModel) -> None:
    done = enrich(small, EnrichmentSettings(tolerance=1e9, budget=9), _never, seed=0)
    assert done.stop == "tolerance"
    assert len(done.rounds) == 1


def test_it_stops_at_the_budget_exactly(small: ReducedModel) -> None:
    settings = EnrichmentSettings(tolerance=1e-9, budget=5, batch=2, pool=64)
    done = enrich(small, settings, lambda _: small, seed=0)
    assert done.stop == "budget"
    assert [len(r.samples) for r in done.rounds] == [2, 2, 1, 0]
    assert [s.index for r in done.rounds for s in r.samples] == [0, 1, 2, 3, 4]


def test_it_stops_when_nothing_gets_better(small: ReducedModel) -> None:
    settings = EnrichmentSettings(tolerance=1e-9, budget=50, batch=1, patience=3, pool=64)
    done = enrich(small, settings, lambda _: small, seed=0)
    assert done.stop == "stagnation"
    assert len(done.rounds) == 4


def _never(samples: Sequence[Sample]) -> ReducedModel:
    raise AssertionError(f"nothing was asked for, but {samples} came")
