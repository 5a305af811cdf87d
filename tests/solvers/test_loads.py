"""Laws of loads."""

import numpy as np
import pytest

from infra.errors import UserError
from solvers.loads import (
    Amplitude,
    Centrifugal,
    LoadCase,
    Prescribed,
    Pressure,
    TemperatureHistory,
)
from solvers.structure_mesh import StructureMesh

RAMP = Amplitude((0.0, 1.0), (0.0, 2.0))


@pytest.fixture
def tet() -> StructureMesh:
    return StructureMesh(
        np.vstack([np.zeros(3), np.eye(3)]),
        np.array([[0, 1, 2, 3]]),
        "tetrahedron",
        {"bottom": np.array([[0, 1, 2]])},
        {"corner": np.array([0]), "edge": np.array([0, 1])},
    )


def test_an_amplitude_is_linear_inside_and_constant_outside() -> None:
    assert [RAMP(t) for t in (-1.0, 0.0, 0.25, 1.0, 9.0)] == [0.0, 0.0, 0.5, 2.0, 2.0]
    assert Amplitude.constant(3.0)(1e9) == 3.0


@pytest.mark.parametrize(
    ("times", "values"),
    [((), ()), ((0.0,), (1.0, 2.0)), ((1.0, 0.0), (1.0, 2.0)), ((0.0, 1.0), (1.0, float("inf")))],
)
def test_impossible_amplitudes_are_refused(
    times: tuple[float, ...], values: tuple[float, ...]
) -> None:
    with pytest.raises(UserError, match="amplitude"):
        Amplitude(times, values)


def test_pressure_and_displacement_follow_their_amplitude() -> None:
    assert Pressure("bottom", -100.0, RAMP).at(0.5) == -100.0
    assert Prescribed("edge", 2, 0.5, RAMP).at(1.0) == 1.0
    assert Prescribed("edge", 2).at(7.0) == 0.0


def test_centrifugal_force_points_away_from_the_axis_and_grows_with_distance() -> None:
    load = Centrifugal((1.0, 0.0, 5.0), (0.0, 0.0, 10.0), 100.0, 8e-9, RAMP)
    points = np.array([[1.0, 0.0, 0.0], [3.0, 0.0, 7.0], [1.0, -4.0, 1.0]])
    force = load.at(0.5, points)
    assert force == pytest.approx(8e-9 * 1e4 * np.array([[0, 0, 0], [2, 0, 0], [0, -4, 0]]))
    assert load.at(0.0, points) == pytest.approx(np.zeros((3, 3)))


def test_impossible_rotations_are_refused() -> None:
    with pytest.raises(UserError, match="axis"):
        Centrifugal((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0, 1e-8, RAMP)
    with pytest.raises(UserError, match="density"):
        Centrifugal((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 1.0, -1e-8, RAMP)


def test_temperatures_are_linear_in_time() -> None:
    history = TemperatureHistory(np.array([1.0, 2.0]), np.array([[20.0, 40.0], [120.0, 60.0]]))
    for t, expected in ((0.0, [20, 40]), (1.0, [20, 40]), (1.25, [45, 45]), (3.0, [120, 60])):
        assert history.at(t) == pytest.approx(expected)


def test_what_at_returns_is_the_callers_own() -> None:
    history = TemperatureHistory(np.array([0.0]), np.array([[20.0, 40.0]]))
    history.at(0.0)[:] = 0.0
    assert history.at(0.0).tolist() == [20.0, 40.0]


def test_temperatures_that_do_not_fit_their_times_are_refused() -> None:
    with pytest.raises(UserError, match="one field per time"):
        TemperatureHistory(np.array([0.0, 1.0]), np.zeros((1, 2)))
    with pytest.raises(UserError, match="shapes"):
        TemperatureHistory(np.array([0.0]), np.zeros(2))
    with pytest.raises(UserError, match="ascending"):
        TemperatureHistory(np.array([1.0, 0.0]), np.zeros((2, 2)))


def test_without_a_history_the_reference_temperature_holds() -> None:
    assert LoadCase(()).temperature_at(3.0, 2, 650.0).tolist() == [650.0, 650.0]


def test_where_conditions_meet_the_later_one_holds(tet: StructureMesh) -> None:
    case = LoadCase((Prescribed("edge", 0, 1.0), Prescribed("corner", 0), Prescribed("corner", 2)))
    mask, values = case.fixed(tet, 0.0)
    assert np.argwhere(mask).tolist() == [[0, 0], [0, 2], [1, 0]]
    assert values[:, 0].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_unknown_regions_are_named_with_the_known_ones(tet: StructureMesh) -> None:
    LoadCase((Prescribed("edge", 0),), (Pressure("bottom", 1.0, RAMP),)).require_fits(tet)
    with pytest.raises(UserError, match=r"\(corner, edge\), received 'top'"):
        LoadCase((Prescribed("top", 0),)).require_fits(tet)
    with pytest.raises(UserError, match=r"\(bottom\), received 'edge'"):
        LoadCase((), (Pressure("edge", 1.0, RAMP),)).require_fits(tet)


def test_temperatures_of_another_mesh_are_refused(tet: StructureMesh) -> None:
    case = LoadCase((), (), None, TemperatureHistory(np.array([0.0]), np.zeros((1, 7))))
    with pytest.raises(UserError, match="4 nodes, received 7"):
        case.require_fits(tet)


def test_components_are_those_of_space() -> None:
    with pytest.raises(UserError, match="0, 1 or 2, received 3"):
        Prescribed("edge", 3)
