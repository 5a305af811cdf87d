"""Laws of the calibrated indicator: stated coverage, monotone, no promise from few runs."""

import math

import numpy as np
import pytest

from infra.errors import UserError
from rom.structures.held_out import relative_error
from rom.structures.indicator import StepPairs, calibrate_structure


def pairs(trajectories: int, steps: int, seed: int, between: float = 0.0) -> StepPairs:
    """E = 0.5 R times scatter of steps, and of trajectories."""
    rng = np.random.default_rng(seed)
    R = 10 ** rng.uniform(-4, -1, (trajectories, steps))
    scatter = 0.3 * rng.standard_normal((trajectories, steps))
    scatter += between * rng.standard_normal((trajectories, 1))
    numbers = np.repeat(np.arange(trajectories), steps)
    return StepPairs(R.ravel(), (0.5 * R * np.exp(scatter)).ravel(), numbers)


def test_new_steps_are_covered_with_the_stated_probability() -> None:
    covered = []
    for seed in range(20):
        indicator = calibrate_structure("p", 1.0, pairs(6, 20, seed), 0.9)
        new = pairs(20, 20, seed + 100)
        eta = np.array([indicator(R) for R in new.residuals])
        covered.append((new.errors <= eta).mean())
        assert indicator.reached == 0.9
    assert 0.86 < np.mean(covered) < 0.95


def test_the_coverage_of_left_out_trajectories_is_told() -> None:
    same = calibrate_structure("p", 1.0, pairs(8, 20, 0), 0.9)
    different = calibrate_structure("p", 1.0, pairs(8, 20, 0, between=3.0), 0.9)
    assert same.covered > 0.8
    assert different.covered < same.covered


def test_it_is_sharp_where_the_residual_tells_the_error() -> None:
    indicator = calibrate_structure("p", 1.0, pairs(6, 30, 1))
    assert 0.9 < indicator.slope <= 1.0
    assert 1.0 < indicator(0.01) / 0.005 < 2.5


def test_it_never_falls_with_the_residual_and_is_infinite_for_a_failed_step() -> None:
    indicator = calibrate_structure("p", 1.0, pairs(4, 10, 2))
    values = [indicator(10.0**k) for k in range(-9, 3)]
    assert values == sorted(values)
    assert values[0] == indicator(0.0) > 0
    assert math.isinf(indicator(math.inf))


def test_steps_that_enrichment_chose_take_part_in_the_fit_alone() -> None:
    before = calibrate_structure("p", 1.0, pairs(4, 20, 3))
    after = before.with_pair(0.05, 0.5)
    assert after.intercept + after.slope * math.log(0.05) > (
        before.intercept + before.slope * math.log(0.05)
    )
    assert (after.pairs.trajectories == -1).sum() == 1
    assert after.level == before.level
    assert before.with_pair(math.inf, math.nan) is before


def test_steps_at_which_nothing_happened_say_nothing() -> None:
    plain = pairs(4, 10, 4)
    quiet = StepPairs(np.zeros(40), np.zeros(40), np.repeat(np.arange(4), 10))
    one = calibrate_structure("p", 1.0, plain)
    other = calibrate_structure("p", 1.0, StepPairs.joined(quiet, plain))
    assert [one(R) for R in (0.0, 1e-3, 1.0)] == [other(R) for R in (0.0, 1e-3, 1.0)]
    with pytest.raises(UserError, match="received 0"):
        calibrate_structure("p", 1.0, quiet)


def test_one_trajectory_and_impossible_levels_are_refused() -> None:
    with pytest.raises(UserError, match="at least 2 trajectories"):
        calibrate_structure("p", 1.0, pairs(1, 50, 0))
    with pytest.raises(UserError, match="level"):
        calibrate_structure("p", 1.0, pairs(3, 5, 0), 1.0)


def test_errors_of_small_fields_are_parts_of_the_largest() -> None:
    volumes = np.array([1.0, 3.0])
    small, zero = np.full((2, 1), 1e-9), np.zeros((2, 1))
    assert relative_error(small, zero, volumes, 1.0) == pytest.approx(2e-7)
    assert relative_error(zero, zero, volumes, 0.0) == 0.0
    large = np.full((2, 1), 5.0)
    assert relative_error(1.1 * large, large, volumes, 1.0) == pytest.approx(0.1)
