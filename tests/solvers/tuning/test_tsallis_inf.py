"""Laws of Tsallis-INF."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from infra.errors import UserError
from solvers.tuning.bandit import Draw
from solvers.tuning.tsallis_inf import TsallisINF, draw_arm, tsallis_probabilities

LAW = settings(deadline=None, derandomize=True)
LOSSES = st.lists(st.floats(-1e4, 1e6, allow_nan=False), min_size=1, max_size=12)
RATES = st.floats(1e-3, 4.0)


@LAW
@given(LOSSES, RATES)
def test_probabilities_lie_on_the_simplex(losses: list[float], rate: float) -> None:
    p = tsallis_probabilities(losses, rate)
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1.0, abs=1e-14)


@LAW
@given(LOSSES, RATES)
def test_newton_solves_the_optimality_equation(losses: list[float], rate: float) -> None:
    """<L, p> - (4 / eta) sum sqrt(p) is stationary: L_i - 2 / (eta sqrt(p_i)) is equal for all."""
    p = tsallis_probabilities(losses, rate)
    multipliers = np.array(losses) - 2.0 / (rate * np.sqrt(p))
    size = np.abs(multipliers).max() + np.abs(losses).max()
    assert np.ptp(multipliers) <= 1e-9 * size


@pytest.mark.parametrize("seed", range(5))
def test_newton_finds_the_root_of_a_bracketing_method(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses, rate = rng.uniform(0, 30, 8), 0.4
    low, high = losses.min() - 2 * np.sqrt(8) / rate, losses.min() - 2 / rate
    x = brentq(lambda x: (4 / (rate * (losses - x)) ** 2).sum() - 1, low, high, xtol=1e-14)
    expected = 4 / (rate * (losses - x)) ** 2
    np.testing.assert_allclose(tsallis_probabilities(losses.tolist(), rate), expected, rtol=1e-9)


@LAW
@given(LOSSES, RATES)
def test_a_smaller_loss_has_no_smaller_probability(losses: list[float], rate: float) -> None:
    p = tsallis_probabilities(losses, rate)
    assert (np.diff(p[np.argsort(losses)]) <= 1e-15).all()


def test_equal_losses_have_equal_probabilities() -> None:
    np.testing.assert_allclose(tsallis_probabilities([3.0] * 5, 0.7), 0.2, rtol=1e-13)


@pytest.mark.parametrize("estimator", ["iw", "rv"])
def test_the_estimated_losses_are_without_bias(estimator: str) -> None:
    bandit = TsallisINF(3, estimator, losses=(0.0, 2.0, 1.0), rounds=400, total=400.0)
    p, costs = bandit.probabilities(), np.array([0.4, 0.9, 0.6])
    steps = [
        p[i] * (np.array(bandit.learn(Draw(i, p[i]), costs[i]).losses) - bandit.losses)
        for i in range(3)
    ]
    np.testing.assert_allclose(sum(steps), costs, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["iw", "rv"])
def test_the_regret_grows_more_slowly_than_the_number_of_solves(estimator: str) -> None:
    """The fitted exponent of the mean regret over T = 100..2000 is far below one."""
    costs = np.array([1.0, 1.3, 1.6, 2.0, 3.0])
    curves = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        bandit, spent = TsallisINF(5, estimator), []
        for _ in range(2000):
            draw = bandit.choose((), rng)
            bandit = bandit.learn(draw, costs[draw.arm] * (1 + 0.05 * rng.standard_normal()))
            spent.append(costs[draw.arm] - 1.0)
        curves.append(np.cumsum(spent))
    regret, t = np.mean(curves, axis=0), np.arange(1, 2001)
    exponent = np.polyfit(np.log(t[100:]), np.log(regret[100:]), 1)[0]
    assert exponent < 0.75


def test_equal_seeds_give_equal_draws() -> None:
    p = np.array([0.2, 0.5, 0.3])
    draws = [[draw_arm(p, rng) for _ in range(50)] for rng in map(np.random.default_rng, (3, 3))]
    assert draws[0] == draws[1]


def test_arms_are_drawn_as_often_as_their_probability_says() -> None:
    p, rng = np.array([0.2, 0.5, 0.3]), np.random.default_rng(0)
    counts = np.bincount([draw_arm(p, rng) for _ in range(20_000)], minlength=3)
    np.testing.assert_allclose(counts / 20_000, p, atol=0.015)


@pytest.mark.parametrize(
    ("losses", "rate"), [([], 1.0), ([np.nan], 1.0), ([np.inf, 0.0], 1.0), ([1.0], 0.0)]
)
def test_impossible_losses_are_refused(losses: list[float], rate: float) -> None:
    with pytest.raises(UserError, match="expected finite losses"):
        tsallis_probabilities(losses, rate)


@pytest.mark.parametrize("cost", [np.nan, np.inf, -1.0])
def test_impossible_costs_are_refused(cost: float) -> None:
    with pytest.raises(UserError, match="finite number >= 0"):
        TsallisINF(2).learn(Draw(0, 0.5), cost)


def test_as_many_losses_as_arms_are_wanted() -> None:
    with pytest.raises(UserError, match="as many losses as arms"):
        TsallisINF(2, losses=(1.0,))
