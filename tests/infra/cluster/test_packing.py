"""A job takes as many chunks as fit into its walltime by what others cost, and one at least."""

import itertools

import numpy as np
import pytest

from infra.cluster.packing import QUANTILE, ChunkCost, Packing, cautious, learned_cost, packed
from infra.cluster.policy import Attempt
from infra.cluster.resources import Resources

HOUR = Attempt(Resources(3600))


def packing(sample: float, count: int = 100, left: int = 2, side_by_side: int = 1) -> Packing:
    """Return what was learned from equal samples, for `count` chunks of `left` samples each."""
    return Packing(
        grace=60,
        cost=ChunkCost(start=4.0, sample=sample),
        samples=dict.fromkeys(range(count), left),
        side_by_side=side_by_side,
    )


def test_without_data_each_job_takes_one_chunk() -> None:
    assert learned_cost([]) is None
    assert learned_cost([], [3.0]) is None
    assert Packing().counts(range(5), HOUR) == (1,) * 5


def test_each_chunk_is_taken_once_and_in_order() -> None:
    costs = np.random.default_rng(1).uniform(1.0, 100.0, 50).tolist()
    counts = packed(costs, 250.0, 1000)
    assert sum(counts) == 50
    assert min(counts) >= 1
    ends = [0, *itertools.accumulate(counts)]
    for first, last in itertools.pairwise(ends):
        assert last - first == 1 or sum(costs[first:last]) <= 250.0


def test_a_chunk_that_is_too_long_for_any_job_has_one_of_its_own() -> None:
    assert packed([1.0, 900.0, 1.0], 10.0, 9) == (1, 1, 1)


def test_more_time_never_gives_more_jobs_and_dearer_samples_never_fewer() -> None:
    costs = np.random.default_rng(2).uniform(1.0, 30.0, 200).tolist()
    by_time = [len(packed(costs, seconds, 200)) for seconds in (10, 30, 100, 300, 1000)]
    assert by_time == sorted(by_time, reverse=True)
    by_cost = [len(packing(s).counts(range(100), HOUR)) for s in (0.1, 1.0, 10.0, 100.0, 2000.0)]
    assert by_cost == sorted(by_cost)
    assert by_cost[0] == 1
    assert by_cost[-1] == 100


def test_a_raised_walltime_takes_more_chunks() -> None:
    longer = Attempt(Resources(7200))
    few, many = (len(packing(50.0).counts(range(100), a)) for a in (longer, HOUR))
    assert few < many


def test_the_room_of_a_job_leaves_its_grace_and_the_resolution_of_slurms_clock() -> None:
    # 104 s a chunk: 33 of them fit into 3600 - 60 - 60 s, and 34 into 3600 s.
    assert packing(50.0).counts(range(100), HOUR) == (33, 33, 33, 1)


def test_chunks_that_could_run_side_by_side_do() -> None:
    assert packing(1.0, side_by_side=50).counts(range(100), HOUR) == (2,) * 50
    assert packing(1.0, side_by_side=1000).counts(range(100), HOUR) == (1,) * 100


def test_a_number_in_the_profile_is_kept_whatever_was_learned() -> None:
    assert Packing(3).counts(range(7), HOUR) == (3, 3, 1)
    assert Packing(1, cost=ChunkCost(0.0, 1.0)).counts(range(2), HOUR) == (1, 1)


def test_a_chunk_that_was_not_reached_gets_a_job_of_its_own() -> None:
    alone = Attempt(Resources(3600), alone=True)
    for pack in (packing(1.0), Packing(5)):
        assert pack.counts(range(4), alone) == (1, 1, 1, 1)


@pytest.mark.parametrize("count", [1, 5, 19, 20, 399])
@pytest.mark.parametrize("law", ["uniform", "exponential", "lognormal"])
def test_a_further_value_exceeds_the_cautious_one_no_more_often_than_said(
    count: int, law: str
) -> None:
    rng, trials = np.random.default_rng(3), 4000
    draws = getattr(rng, law)(size=(trials, count + 1))
    above = np.mean([row[-1] > cautious(row[:-1].tolist(), QUANTILE) for row in draws])
    # Fewer than 19 values prove nothing; all the same they are told with a margin.
    allowed = 1.0 - QUANTILE if count >= 19 else 0.45
    assert above <= allowed + 3.0 * np.sqrt(allowed * (1.0 - allowed) / trials)


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
def test_packed_jobs_are_through_before_they_are_warned(spread: float) -> None:
    """The quantile of one sample, taken for each of many, is kept by their sum all the more."""
    rng, n = np.random.default_rng(4), 2
    known = rng.lognormal(2.0, spread, 200).tolist()
    starts = rng.uniform(3.0, 5.0, 100).tolist()
    cost = learned_cost(known, starts)
    assert cost is not None
    made = Packing(grace=60, cost=cost, samples=dict.fromkeys(range(4000), n))
    late = []
    for count in made.counts(range(4000), HOUR):
        chunks = rng.lognormal(2.0, spread, (count, n)).sum() + rng.uniform(3.0, 5.0, count).sum()
        late.append(chunks > 3600 - 60 - 60)
    assert np.mean(late) <= 1.0 - QUANTILE


def test_quantiles_do_not_depend_on_the_order_and_are_never_negative() -> None:
    values = [3.0, 1.0, 2.0, -0.5]
    assert cautious(values, 0.5) == cautious(sorted(values), 0.5) == 2.0
    assert cautious([-1.0], 0.5) == 0.0
