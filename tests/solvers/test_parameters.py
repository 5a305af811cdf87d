"""Laws of the parameter space: its map to the unit cube, its checks and its restrictions."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import UserError
from solvers.parameters import Interval, Parameter, ParameterSpace, Restriction, Scale

# Reproducible, and indifferent to how loaded the machine is.
LAW = settings(deadline=None, derandomize=True)

VISCOSITY = Parameter("viscosity", 1e-4, 1e-1, "m2 s-1", "kinematic viscosity", scale="log")
RADIUS = Parameter("radius", 0.5, 2.0, "m", "radius of the cylinder")
DENSITY = Parameter("density", 1.2, 1.2, "kg m-3", "density of the fluid")
SPACE = ParameterSpace((VISCOSITY, DENSITY, RADIUS))
MU = {"viscosity": 1e-3, "density": 1.2, "radius": 1.0}


@st.composite
def parameters(draw: st.DrawFn, name: str = "p") -> Parameter:
    """Free parameters whose width is at least a thousandth of their magnitude."""
    scale = draw(st.sampled_from(["linear", "log"]))
    width = draw(st.floats(1e-3, 1e6))
    if scale == "log":
        low = draw(st.floats(1e-12, 1e12))
        return Parameter(name, low, low * (1 + width), "1", "", scale="log")
    low = draw(st.floats(-1e3, 1e3)) * width
    return Parameter(name, low, low + width, "1", "", scale="linear")


@st.composite
def spaces(draw: st.DrawFn) -> ParameterSpace:
    count = draw(st.integers(0, 4))
    free = tuple(draw(parameters(name=f"p{i}")) for i in range(count))
    return ParameterSpace((*free, DENSITY))


def unit_points(space: ParameterSpace, seed: int, n: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).random((n, space.dimension))


SEEDS = st.integers(0, 2**32 - 1)


@LAW
@given(spaces())
def test_zero_maps_to_low_and_one_to_high_exactly(space: ParameterSpace) -> None:
    corners = space.from_unit(np.array([[0.0], [1.0]]).repeat(space.dimension, axis=1))
    np.testing.assert_array_equal(corners[0], [p.low for p in space.free])
    np.testing.assert_array_equal(corners[1], [p.high for p in space.free])


@LAW
@given(spaces())
def test_low_maps_to_zero_and_high_to_one_exactly(space: ParameterSpace) -> None:
    ends = [[p.low for p in space.free], [p.high for p in space.free]]
    units = space.to_unit(np.reshape(ends, (2, space.dimension)))
    np.testing.assert_array_equal(units[0], np.zeros(space.dimension))
    np.testing.assert_array_equal(units[1], np.ones(space.dimension))


@LAW
@given(spaces(), SEEDS)
def test_to_unit_inverts_from_unit(space: ParameterSpace, seed: int) -> None:
    points = unit_points(space, seed)
    # Relative rounding of the values, magnified by magnitude / width <= 1e3.
    np.testing.assert_allclose(space.to_unit(space.from_unit(points)), points, atol=1e-11)


@LAW
@given(spaces(), SEEDS)
def test_images_of_the_cube_pass_the_check(space: ParameterSpace, seed: int) -> None:
    for row in space.from_unit(unit_points(space, seed)):
        space.check(space.mu(row))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_rounding_does_not_step_over_the_bounds_of_a_narrow_box(scale: Scale) -> None:
    # Three units in the last place: the weighted mean alone would leave this box.
    parameter = Parameter("p", 0.1, 0.1 + 3 * math.ulp(0.1), "1", "", scale)
    values = ParameterSpace((parameter,)).from_unit(np.linspace(0, 1, 1001)[:, np.newaxis])
    assert (values >= parameter.low).all()
    assert (values <= parameter.high).all()


@LAW
@given(spaces(), SEEDS)
def test_array_inverts_mu(space: ParameterSpace, seed: int) -> None:
    values = space.from_unit(unit_points(space, seed))
    np.testing.assert_array_equal(space.array([space.mu(row) for row in values]), values)


@LAW
@given(parameters(), st.floats(0, 1), st.floats(0, 1))
def test_the_map_keeps_the_order(parameter: Parameter, one: float, other: float) -> None:
    points = [[min(one, other)], [max(one, other)]]
    low, high = ParameterSpace((parameter,)).from_unit(points)[:, 0]
    assert low <= high + 1e-15 * max(abs(parameter.low), abs(parameter.high))


def test_the_middle_of_a_log_scale_is_the_geometric_mean() -> None:
    middle = SPACE.from_unit([[0.5, 0.5]])[0]
    np.testing.assert_allclose(middle, [math.sqrt(1e-4 * 1e-1), 1.25], rtol=1e-14)


def test_a_narrow_log_range_keeps_its_digits() -> None:
    space = ParameterSpace((Parameter("p", 1e6, 1e6 + 1e-3, "1", "", scale="log"),))
    np.testing.assert_allclose(space.to_unit([[1e6 + 0.5e-3]]), [[0.5]], atol=1e-6)


def test_a_value_outside_the_box_has_a_coordinate_outside_the_unit_interval() -> None:
    np.testing.assert_allclose(SPACE.to_unit([[1.0, 3.5]]), [[4 / 3, 2.0]], rtol=1e-14)


def test_maps_leave_their_input_unchanged() -> None:
    values = np.array([[1e-3, 1.0]])
    SPACE.to_unit(values)
    SPACE.from_unit(points := np.array([[0.25, 0.75]]))
    assert values.tolist() == [[1e-3, 1.0]]
    assert points.tolist() == [[0.25, 0.75]]


def test_names_and_bounds_cover_fixed_parameters_and_dimension_does_not() -> None:
    assert SPACE.names == ("viscosity", "density", "radius")
    assert SPACE.bounds.tolist() == [[1e-4, 1e-1], [1.2, 1.2], [0.5, 2.0]]
    assert SPACE.free == (VISCOSITY, RADIUS)
    assert SPACE.dimension == 2


def test_mu_includes_fixed_parameters_as_plain_floats() -> None:
    mu = SPACE.mu(np.array([1e-3, 1.0]))
    assert mu == MU
    assert json.loads(json.dumps(mu)) == MU


@pytest.mark.parametrize("space", [ParameterSpace(()), ParameterSpace((DENSITY,))])
def test_a_space_without_free_parameters_has_dimension_zero(space: ParameterSpace) -> None:
    assert space.dimension == 0
    assert space.bounds.shape == (len(space.names), 2)
    assert space.from_unit(np.empty((3, 0))).shape == (3, 0)
    assert space.to_unit(np.empty((3, 0))).shape == (3, 0)
    assert space.array([space.mu([])] * 2).shape == (2, 0)


def test_no_mu_make_an_array_without_rows() -> None:
    assert SPACE.array([]).shape == (0, 2)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 2), ()])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    for convert in (SPACE.to_unit, SPACE.from_unit):
        with pytest.raises(UserError, match=r"expected shape \(n, 2\).*viscosity, radius"):
            convert(np.full(shape, 0.5))


@pytest.mark.parametrize("row", [[1.0], [1.0, 1.0, 1.0], [[1.0, 1.0], [1.0, 1.0]], 1.0])
def test_mu_refuses_anything_but_one_row(row: list[float]) -> None:
    with pytest.raises(UserError, match="received"):
        SPACE.mu(row)


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, math.inf])
def test_from_unit_refuses_points_outside_the_cube(bad: float) -> None:
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        SPACE.from_unit([[0.5, bad]])


@pytest.mark.parametrize("row", [[1e-3, math.nan], [0.0, 1.0], [-1.0, 1.0], [math.inf, 1.0]])
def test_to_unit_refuses_values_without_a_coordinate(row: list[float]) -> None:
    with pytest.raises(UserError, match="finite values, positive ones"):
        SPACE.to_unit([row])


@pytest.mark.parametrize("radius", [0.5, 2.0, 1, np.float32(1.5), np.int64(2)])
def test_numbers_on_and_between_the_bounds_pass(radius: object) -> None:
    SPACE.check({**MU, "radius": radius})


@pytest.mark.parametrize(
    "radius", [0.49, 2.01, math.nan, math.inf, -math.inf, 10**400, "1.0", None, True, 1j]
)
def test_anything_else_is_refused_with_bounds_unit_and_value(radius: object) -> None:
    with pytest.raises(UserError, match=r"radius: expected a (value|number) in") as caught:
        SPACE.check({**MU, "radius": radius})
    assert f"in [0.5, 2.0] m, received {radius!r}" in str(caught.value)


def test_check_lists_every_violation_at_once() -> None:
    with pytest.raises(UserError) as caught:
        SPACE.check({"viscosty": 1e-3, "density": 1.3, "radius": math.nan, "zzz": 0.0})
    message = str(caught.value)
    assert "viscosty: unknown parameter; did you mean viscosity?" in message
    assert "zzz: unknown parameter; known: viscosity, density, radius" in message
    assert "viscosity: missing, expected a value in [0.0001, 0.1] m2 s-1" in message
    assert "density: expected a value in [1.2, 1.2] kg m-3, received 1.3" in message
    assert "radius: expected a value in [0.5, 2.0] m, received nan" in message


def test_array_names_the_mu_that_does_not_fit() -> None:
    with pytest.raises(UserError, match=r"mu 1: radius: missing"):
        SPACE.array([MU, {"viscosity": 1e-3, "density": 1.2}])


@pytest.mark.parametrize("overrides", [{"radius": 1.0}, {"radius": {"low": 1.0, "high": 1.0}}])
def test_a_number_fixes_a_parameter(overrides: dict[str, Restriction]) -> None:
    space = SPACE.restrict(overrides)
    assert space.dimension == 1
    assert space.mu([1e-3]) == MU


@pytest.mark.parametrize("to", [{"low": 0.75, "high": 1.5}, Interval(low=0.75, high=1.5)])
def test_an_interval_narrows_the_bounds_and_keeps_the_rest(to: Restriction) -> None:
    space = SPACE.restrict({"radius": to})
    assert space.bounds[2].tolist() == [0.75, 1.5]
    assert space.parameters[:2] == SPACE.parameters[:2]
    assert space.parameters[2].unit == "m"


def test_restricting_nothing_changes_nothing() -> None:
    assert SPACE.restrict({}) == SPACE


@LAW
@given(spaces(), SEEDS)
def test_points_of_a_restricted_space_lie_in_the_whole_space(
    space: ParameterSpace, seed: int
) -> None:
    low, high = np.sort(space.from_unit(unit_points(space, seed, n=2)), axis=0)
    ranges = {p.name: {"low": low[i], "high": high[i]} for i, p in enumerate(space.free)}
    part = space.restrict(ranges)
    for row in part.from_unit(unit_points(part, seed)):
        space.check(part.mu(row))


@pytest.mark.parametrize(
    ("to", "message"),
    [
        (0.4, "expected low <= high inside"),
        ({"low": 1.0, "high": 2.5}, "expected low <= high inside"),
        ({"low": 1.5, "high": 1.0}, "expected low <= high inside"),
        ({"low": 1.0}, "expected a finite number or"),
        ({"low": 1.0, "high": 1.5, "step": 0.1}, "expected a finite number or"),
        (math.nan, "expected a finite number or"),
        (True, "expected a finite number or"),
        ("wide", "expected a finite number or"),
    ],
)
def test_an_impossible_restriction_is_refused(to: Restriction, message: str) -> None:
    with pytest.raises(UserError, match=rf"radius: {message}") as caught:
        SPACE.restrict({"radius": to})
    assert "[0.5, 2.0] m" in str(caught.value)


def test_restrict_lists_every_violation_at_once() -> None:
    with pytest.raises(UserError) as caught:
        SPACE.restrict({"radios": 1.0, "radius": 9.0, "viscosity": {"low": 1.0, "high": 2.0}})
    message = str(caught.value)
    assert "radios: unknown parameter; did you mean radius?" in message
    assert "radius: expected low <= high inside [0.5, 2.0] m" in message
    assert "viscosity: expected low <= high inside [0.0001, 0.1] m2 s-1" in message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "two words"}, "name: expected letters"),
        ({"unit": " "}, "unit: expected a unit"),
        ({"scale": "square"}, "scale: expected linear, log or normal"),
        ({"low": 3.0}, "expected low <= high"),
        ({"high": math.inf}, "expected a finite range"),
        ({"low": math.nan}, "expected a finite range"),
        ({"low": -1e308, "high": 1e308}, "expected a finite range"),
        ({"low": 0.0, "scale": "log"}, "scale log: expected low > 0"),
        ({"low": 5e-324, "high": 1e300, "scale": "log"}, "expected a finite high / low"),
    ],
)
def test_an_impossible_parameter_is_refused(fields: dict[str, object], message: str) -> None:
    good = {"name": "p", "low": 1.0, "high": 2.0, "unit": "1", "description": ""}
    with pytest.raises(UserError, match=message):
        Parameter(**{**good, **fields})  # type: ignore[arg-type]


def test_names_are_distinct() -> None:
    with pytest.raises(UserError, match="received twice: \\['radius'\\]"):
        ParameterSpace((RADIUS, DENSITY, RADIUS))
