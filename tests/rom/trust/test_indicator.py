import numpy as np
import pytest

from infra.errors import UserError
from rom.trust.indicator import Pairs, calibrate


def _pairs(n: int, rng: np.random.Generator, spread: float = 0.5) -> Pairs:
    points = rng.random((n, 2))
    away = np.linalg.norm(points[:, np.newaxis] - points, axis=2) + np.eye(n) * 9
    statistics = 10 ** rng.uniform(-3, -1, n)
    errors = 0.3 * statistics * np.exp(spread * rng.standard_normal(n))
    return Pairs(points, errors, away.min(axis=1), statistics)


def _eta(
    pairs: Pairs, new: Pairs, level: float = 0.9, counted: np.ndarray | None = None
) -> np.ndarray:
    indicator = calibrate(pairs, level, counted)
    away = new.points[:, np.newaxis] - pairs.points
    return indicator(new.statistics, new.distances, np.vecdot(away, away))


def test_errors_of_the_same_kind_are_covered_with_the_stated_probability() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(12):
        pairs, new = _pairs(40, rng), _pairs(200, rng)
        covered.append((_eta(pairs, new) >= new.errors).mean())
    assert 0.86 < np.mean(covered) < 0.97


def test_samples_that_were_chosen_for_their_errors_do_not_raise_the_indicator() -> None:
    rng = np.random.default_rng(5)
    all_covered, counted_covered = [], []
    for _ in range(12):
        pairs, new = _pairs(60, rng), _pairs(200, rng)
        counted = np.arange(60) < 36
        pairs.errors[~counted] *= 3.0
        all_covered.append((_eta(pairs, new) >= new.errors).mean())
        counted_covered.append((_eta(pairs, new, counted=counted) >= new.errors).mean())
    assert np.mean(all_covered) > 0.98
    assert 0.86 < np.mean(counted_covered) < 0.97


def test_the_indicator_is_sharp_where_the_statistic_tells_the_error() -> None:
    rng = np.random.default_rng(1)
    pairs, new = _pairs(40, rng, 0.1), _pairs(200, rng, 0.1)
    ratio = _eta(pairs, new) / new.errors
    assert 1.0 < np.median(ratio) < 1.5


def test_with_too_few_pairs_the_level_that_is_reached_is_told() -> None:
    rng = np.random.default_rng(2)
    few, enough = (calibrate(_pairs(n, rng), 0.95).calibration for n in (18, 19))
    assert few.reached == pytest.approx(18 / 19)
    assert few.level == 0.95
    assert enough.reached == 0.95
    with pytest.raises(UserError, match="at least 3"):
        calibrate(_pairs(2, rng))


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_levels_are_probabilities(level: float) -> None:
    with pytest.raises(UserError, match="level"):
        calibrate(_pairs(10, np.random.default_rng(0)), level)


def test_a_statistic_of_zero_gives_a_positive_finite_indicator() -> None:
    rng = np.random.default_rng(3)
    pairs = _pairs(20, rng)
    assert pairs.statistics is not None
    pairs.statistics[4], pairs.errors[4] = 0.0, 0.0
    indicator = calibrate(pairs)
    eta = indicator(np.zeros(1), np.zeros(1), np.zeros((1, 20)))
    assert np.isfinite(eta).all()
    assert eta[0] > 0
    constant = Pairs(pairs.points, np.zeros(20), pairs.distances, np.zeros(20))
    assert calibrate(constant)(np.zeros(1), np.ones(1), np.ones((1, 20)))[0] < 1e-10


def test_it_grows_with_statistic_and_distance_and_never_falls_below_what_was_seen() -> None:
    rng = np.random.default_rng(4)
    pairs = _pairs(30, rng)
    assert pairs.statistics is not None
    indicator = calibrate(pairs)
    far = np.full((6, 30), 1e6)
    values = np.logspace(-8, 1, 6)
    by_statistic = indicator(values, np.full(6, 0.1), far)
    by_distance = indicator(np.full(6, 0.01), values, far)
    assert (np.diff(by_statistic) >= 0).all()
    assert (np.diff(by_distance) >= 0).all()
    floor = np.array([pairs.statistics.min()])
    assert by_statistic[0] == pytest.approx(indicator(floor, np.full(1, 0.1), far[:1])[0])


def test_without_a_statistic_the_distance_serves() -> None:
    rng = np.random.default_rng(5)
    points = rng.random((40, 2))
    away = np.linalg.norm(points[:, np.newaxis] - points, axis=2) + 9 * np.eye(40)
    distance = away.min(axis=1)
    pairs = Pairs(points, distance * np.exp(0.1 * rng.standard_normal(40)), distance, None)
    indicator = calibrate(pairs)
    near, far = (indicator(None, np.array([d]), np.full((1, 40), 1e6))[0] for d in (0.05, 0.5))
    assert 3 < far / near < 12
