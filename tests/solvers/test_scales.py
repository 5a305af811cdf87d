"""Parameters on a normal scale: a truncated normal distribution behind the unit cube."""

import numpy as np
import pytest
from scipy.stats import qmc, truncnorm

from infra.errors import UserError
from solvers.parameters import Parameter, ParameterSpace
from solvers.sampling import METHODS, make_sampler

BOUNDS = [(-5.0, 5.0), (-1.0, 2.0), (0.5, 4.0), (-4.0, -1.0), (3.0, 5.0), (-37.0, 37.0)]


def normal(low: float, high: float, name: str = "xi") -> Parameter:
    return Parameter(name, low, high, "1", "standard normal", "normal")


@pytest.fixture(params=BOUNDS, ids=str)
def space(request: pytest.FixtureRequest) -> ParameterSpace:
    return ParameterSpace((normal(*request.param),))


def test_values_come_back_from_unit_coordinates(space: ParameterSpace) -> None:
    u = np.linspace(0.0, 1.0, 1001)[:, None]
    np.testing.assert_allclose(space.to_unit(space.from_unit(u)), u, atol=1e-12)


def test_unit_coordinates_come_back_from_values(space: ParameterSpace) -> None:
    low, high = space.bounds[0].clip(-6.0, 6.0)
    values = np.linspace(low, high, 1001)[:, None]
    again = space.from_unit(space.to_unit(values).clip(0.0, 1.0))
    # A unit coordinate near one has an error of 1e-16, which the tail's slope enlarges.
    np.testing.assert_allclose(again, values, atol=1e-6)


def test_bounds_are_met_exactly(space: ParameterSpace) -> None:
    np.testing.assert_array_equal(space.from_unit([[0.0], [1.0]]).T, space.bounds)


def test_values_grow_with_the_unit_coordinate(space: ParameterSpace) -> None:
    values = space.from_unit(np.linspace(0.0, 1.0, 10_001)[:, None])[:, 0]
    assert (np.diff(values) > 0).all()


def test_the_tails_have_the_digits_of_the_distribution() -> None:
    space = ParameterSpace((normal(-8.0, 8.0),))
    np.testing.assert_allclose(
        space.to_unit([[-7.9], [-7.5]])[:, 0], truncnorm.cdf([-7.9, -7.5], -8.0, 8.0), rtol=1e-10
    )


def test_values_are_distributed_as_the_truncated_normal(space: ParameterSpace) -> None:
    low, high = space.bounds[0]
    u = qmc.Sobol(1, seed=1).random_base2(14)
    values = space.from_unit(u)[:, 0]
    mean, variance = truncnorm.stats(low, high, moments="mv")
    assert values.mean() == pytest.approx(mean, abs=1e-3)
    assert values.var() == pytest.approx(variance, abs=5e-3)


@pytest.mark.parametrize("method", METHODS)
def test_every_sampler_of_the_box_gives_values_inside(method: str) -> None:
    space = ParameterSpace((normal(-5.0, 5.0, "a"), Parameter("b", 1.0, 9.0, "m", "length", "log")))
    for sample in make_sampler(method, space, 3).suggest(16):
        space.check(sample.mu)


def test_mixed_scales_do_not_disturb_each_other() -> None:
    other = Parameter("b", 1.0, 9.0, "m", "length", "log")
    both = ParameterSpace((normal(-5.0, 5.0), other)).from_unit([[0.3, 0.5]])
    np.testing.assert_array_equal(both[0, 0], ParameterSpace((normal(-5, 5),)).from_unit([[0.3]]))
    assert both[0, 1] == pytest.approx(3.0)


def test_bounds_that_no_normal_number_meets_are_refused() -> None:
    with pytest.raises(UserError, match="scale normal: expected bounds near zero"):
        normal(9.0, 10.0)


def test_a_fixed_value_may_lie_anywhere() -> None:
    assert normal(-20.0, 20.0).restricted(12.0).fixed
