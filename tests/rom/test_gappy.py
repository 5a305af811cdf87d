"""Laws of gappy POD: exact where modes suffice, a residual that has no unit, enough points."""

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from rom.gappy import Gappy, least_points, spread_points

type Floats = NDArray[np.float64]


def modes(n: int = 200, components: int = 1, rank: int = 6, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n * components, rank)))
    return Q.reshape(n, components, rank)


@pytest.mark.parametrize("components", [1, 6])
def test_a_combination_of_modes_comes_back_exactly(components: int) -> None:
    Phi = modes(components=components)
    z = np.arange(1.0, 7.0)
    places = spread_points(Phi, np.empty(0, np.int64), least_points(6))
    found, residual = Gappy(Phi[places], 1.0).fit(Phi[places] @ z)
    np.testing.assert_allclose(found, z, rtol=1e-10)
    assert residual < 1e-12


def test_the_residual_is_the_part_that_no_mode_explains_and_has_no_unit() -> None:
    Phi = modes()[:20]
    gappy = Gappy(Phi, 1.0)
    rng = np.random.default_rng(2)
    flat = Phi.reshape(20, 6)
    strange = rng.standard_normal(20)
    strange -= flat @ np.linalg.lstsq(flat, strange)[0]
    known = flat @ np.ones(6)
    strange *= 0.3 * np.linalg.norm(known) / np.linalg.norm(strange)
    values = (known + strange)[:, np.newaxis]
    exact = 0.3 / np.hypot(1.0, 0.3)
    for unit in (1e-6, 1.0, 1e6):
        _, residual = Gappy(Phi, unit).fit(unit * values)
        assert residual == pytest.approx(exact, rel=1e-10)
    assert gappy.fit(values)[0] == pytest.approx(np.ones(6), rel=1e-10)


def test_values_of_zero_are_relative_to_the_training() -> None:
    Phi = modes()[:20]
    assert Gappy(Phi, 5.0).fit(np.zeros((20, 1)))[1] == 0.0
    assert Gappy(Phi, 0.0).fit(np.zeros((20, 1)))[1] == 0.0
    noise = 1e-9 * np.random.default_rng(0).standard_normal((20, 1))
    assert Gappy(Phi, 5.0).fit(noise)[1] < 1e-6
    assert Gappy(Phi, 0.0).fit(noise)[1] > 0.1


def test_less_than_three_points_for_two_modes_are_refused() -> None:
    assert [least_points(r) for r in (0, 1, 2, 3, 10)] == [0, 2, 3, 5, 15]
    with pytest.raises(UserError, match="at least 9 points for 6 modes"):
        Gappy(modes()[:8], 1.0)


def test_dependent_modes_are_refused() -> None:
    Phi = modes()[:20].copy()
    Phi[:, :, 5] = Phi[:, :, 4]
    with pytest.raises(UserError, match="dependent"):
        Gappy(Phi, 1.0)


def test_a_field_without_modes_is_zero() -> None:
    z, residual = Gappy(np.zeros((4, 1, 0)), 0.0).fit(np.zeros((4, 1)))
    assert z.shape == (0,)
    assert residual == 0.0


def test_chosen_points_are_new_and_condition_the_fit_better_than_random_ones() -> None:
    Phi = modes(rank=8, seed=4)
    taken = np.array([3, 7])
    new = spread_points(Phi, taken, 12)
    assert len(np.unique(np.r_[taken, new])) == 12
    chosen = Gappy(Phi[np.r_[taken, new]], 1.0).condition
    rng = np.random.default_rng(5)
    random = [Gappy(Phi[rng.choice(200, 12, replace=False)], 1.0).condition for _ in range(20)]
    assert chosen < min(random)
    assert spread_points(Phi, np.arange(12), 12).size == 0


def test_no_more_points_are_given_than_there_are() -> None:
    assert sorted(spread_points(modes(6, rank=6), np.array([2]), 9)) == [0, 1, 3, 4, 5]
