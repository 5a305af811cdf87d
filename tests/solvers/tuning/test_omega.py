"""Laws of the contextual bandits, and omega of SSOR learned as in Khodak et al. (2024)."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from solvers.tuning.bandit import Draw
from solvers.tuning.chebcb import ChebCB
from solvers.tuning.context import BinnedTsallisINF, ContextBins
from solvers.tuning.omega import OmegaTuner, omega_grid
from solvers.tuning.tsallis_inf import TsallisINF

LOW, HIGH = -0.15, 0.45
BANDITS = {
    "tsallis-inf": TsallisINF(20, floor=1.0),
    "reduced-variance": TsallisINF(20, "rv", floor=1.0),
    "binned": BinnedTsallisINF(20, ContextBins.uniform(LOW, HIGH, 5), floor=1.0),
    "chebcb": ChebCB(20, LOW, HIGH, floor=1.0),
}
Count = Callable[[float, float, NDArray[np.float64]], int]
Table = tuple[NDArray[np.float64], NDArray[np.float64]]


def table_of(count: Count) -> Table:
    """Return shifts c, shape (60,), and the iterations of each omega for them, shape (60, 20).

    The shifts are -0.15 + 0.6 Beta(1/2, 3/2), the paper's distribution of high variance.
    """
    rng = np.random.default_rng(0)
    shifts = LOW + (HIGH - LOW) * rng.beta(0.5, 1.5, 60)
    rows = zip(shifts, rng.standard_normal((60, 100)), strict=True)
    return shifts, np.array([[float(count(c, w, b)) for w in omega_grid()] for c, b in rows])


@pytest.fixture(scope="module")
def of_sor(sor: Count) -> Table:
    return table_of(sor)


@pytest.fixture(scope="module")
def of_ssor_cg(ssor_cg: Count) -> Table:
    return table_of(ssor_cg)


def learned(name: str, table: Table, solves: int) -> tuple[float, float]:
    """Return the total of a bandit, and of its second half, relative to the best fixed omega."""
    shifts, costs = table
    rng, tuner = np.random.default_rng(1), OmegaTuner(omega_grid(), BANDITS[name])
    systems = rng.integers(len(shifts), size=solves)
    fixed = costs[systems, costs.mean(axis=0).argmin()]
    spent = []
    for system in systems:
        omega, draw = tuner.choose((float(shifts[system]),), rng)
        assert omega == omega_grid()[draw.arm]
        spent.append(costs[system, draw.arm])
        tuner = tuner.learn(draw, spent[-1])
    half = solves // 2
    return sum(spent) / fixed.sum(), sum(spent[half:]) / fixed[half:].sum()


@pytest.mark.parametrize("name", ["tsallis-inf", "reduced-variance"])
def test_the_iterations_come_close_to_those_of_the_best_fixed_omega(
    name: str, of_ssor_cg: Table
) -> None:
    total, half = learned(name, of_ssor_cg, 4000)
    arms = of_ssor_cg[1].mean(axis=0)
    assert half < total < 1.07
    assert total < 0.93 * arms.mean() / arms.min()  # a random omega, and omega = 1, are far off


@pytest.mark.parametrize(("name", "solves", "limit"), [("binned", 4000, 0.9), ("chebcb", 600, 0.8)])
def test_with_a_context_it_beats_the_best_fixed_omega(
    name: str, solves: int, limit: float, of_sor: Table
) -> None:
    assert learned(name, of_sor, solves)[1] < limit


@pytest.mark.parametrize("name", BANDITS)
def test_a_saved_bandit_goes_on_as_if_it_had_not_been(name: str) -> None:
    tuner = OmegaTuner(omega_grid(), BANDITS[name])
    context = () if name in ("tsallis-inf", "reduced-variance") else (0.1,)
    rng = np.random.default_rng(0)
    for _ in range(30):
        omega, draw = tuner.choose(context, rng)
        tuner = tuner.learn(draw, 10.0 + omega)
    assert OmegaTuner.restore(tuner.state()) == tuner


def test_a_state_with_other_entries_is_refused() -> None:
    state = OmegaTuner(omega_grid(), TsallisINF(20)).state()
    with pytest.raises(UserError, match="saved state of a OmegaTuner"):
        OmegaTuner.restore({**state, "extra": 1})
    with pytest.raises(UserError, match="saved state of a OmegaTuner"):
        OmegaTuner.restore({"grid": state["grid"]})


def test_probabilities_of_inverse_gap_weighting_lie_on_the_simplex() -> None:
    bandit, rng = ChebCB(6, 0.0, 1.0, 4), np.random.default_rng(2)
    for _ in range(200):
        p = bandit.probabilities([float(rng.random())])
        assert (p >= 0).all()
        assert p.sum() == pytest.approx(1.0, abs=1e-12)
        draw = bandit.choose([float(rng.random())], rng)
        bandit = bandit.learn(draw, float(1 + draw.arm + rng.random()))


def test_the_regression_reproduces_a_chebyshev_series() -> None:
    bandit = ChebCB(2, -1.0, 3.0, 4)
    costs = np.polynomial.chebyshev.Chebyshev([5.0, 1.0, -0.3, 0.2], domain=[-1.0, 3.0])
    for c in np.linspace(-1, 3, 30):
        bandit = bandit.learn(Draw(1, 1.0, (float(c),)), float(costs(c)))
    predicted = [bandit.predict([c])[1] for c in (-0.7, 0.0, 2.2)]
    np.testing.assert_allclose(predicted, costs(np.array([-0.7, 0.0, 2.2])), rtol=1e-8)


def test_coefficients_stay_within_the_bounds_of_a_lipschitz_function() -> None:
    bandit, rng = ChebCB(1, 0.0, 1.0, 6), np.random.default_rng(3)
    for _ in range(8):
        bandit = bandit.learn(Draw(0, 1.0, (float(rng.random()),)), float(rng.random() + 1))
        span = bandit.largest - bandit.smallest
        bounds = np.array([bandit.largest, *(2 * span / np.arange(1, 6))])
        assert (np.abs(bandit.theta[0]) <= bounds + 1e-9).all()


def test_bins_cover_every_context() -> None:
    bins = ContextBins(((1e4, 1e5), (3.0,)))
    assert bins.count == 6
    places = [bins.index((n, k)) for n in (10.0, 1e4, 1e6) for k in (1.0, 25.0)]
    assert places == [0, 1, 2, 3, 4, 5]
    assert bins.index((np.nan, np.nan)) == 0
    assert ContextBins().index(()) == 0


@pytest.mark.parametrize("edges", [((2.0, 1.0),), ((1.0, 1.0),), ((np.nan,),)])
def test_edges_increase(edges: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(UserError, match="increasing edges"):
        ContextBins(edges)


def test_a_context_has_as_many_components_as_the_bins() -> None:
    with pytest.raises(UserError, match="context of 1 components"):
        ContextBins.uniform(0, 1, 3).index((1.0, 2.0))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 2.0), (1.5, 1.2)])
def test_relaxation_factors_lie_between_zero_and_two(low: float, high: float) -> None:
    with pytest.raises(UserError, match="0 < low <= high < 2"):
        omega_grid(5, low, high)
