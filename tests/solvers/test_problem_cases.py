"""What is special about each problem: its profiles, its geometry, its exact solution."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from solvers.chunk import make_problem
from solvers.mesh import FloatArray, IntArray, ReferenceMesh
from solvers.problem import FlowCase
from solvers.problems.cylinder_mesh import HEIGHT, LENGTH, RADIUS
from solvers.problems.taylor_green import exact_pressure, exact_velocity

COARSE: Mapping[str, Mapping[str, Any]] = {
    "cylinder": {"size": 0.02, "far_size": 0.08},
    "cavity": {"cells": 8},
    "backward-step": {"cells": 8, "downstream": 6.0},
}


def flux_through(case: FlowCase, part: str, mesh: ReferenceMesh, points: FloatArray) -> float:
    """Return the mean of the velocity along x prescribed on a part that is a vertical line."""
    condition = next(c for c in case.conditions if c.part == part)
    ends = points[mesh.facets[mesh.tags == mesh.names[part]]]
    middle = ends.mean(axis=1)
    values = [condition.velocity(p, 0.0)[:, 0] for p in (ends[:, 0], middle, ends[:, 1])]
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    # Simpson's rule is exact for a parabola.
    return float(lengths @ (values[0] + 4 * values[1] + values[2]) / 6 / lengths.sum())


@pytest.mark.parametrize("mean", [0.2, 1.0])
def test_the_inflow_of_the_cylinder_has_the_mean_velocity_asked_for(mean: float) -> None:
    problem = make_problem("cylinder", {**COARSE["cylinder"], "mean_velocity": mean})
    mesh = problem.reference_mesh()
    case = problem.case(problem.defaults, mesh)
    assert flux_through(case, "inlet", mesh, mesh.points) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("height", [0.2, 0.5, 0.8])
def test_the_inflow_over_the_step_has_mean_velocity_one(height: float) -> None:
    problem = make_problem("backward-step", COARSE["backward-step"])
    mesh, mu = problem.reference_mesh(), {"step_height": height, "reynolds": 100.0}
    points = problem.deform(mesh.points, mu)
    mean = flux_through(problem.case(mu, mesh), "inlet", mesh, points)
    assert mean == pytest.approx(1.0, rel=1e-12)


def test_the_reynolds_number_of_the_cylinder_is_that_of_its_diameter() -> None:
    problem = make_problem("cylinder", COARSE["cylinder"])
    mesh = problem.reference_mesh()
    mu = {**problem.defaults, "reynolds": 80.0, "radius": 0.04}
    assert problem.case(mu, mesh).viscosity == pytest.approx(1.0 * 0.08 / 80.0)


@pytest.mark.parametrize(("kind", "expected"), [("modulated", 1.5), ("pulse", 1.0)])
def test_the_inflow_of_the_cylinder_varies_in_time_as_documented(
    kind: str, expected: float
) -> None:
    problem = make_problem("cylinder", {**COARSE["cylinder"], "inflow": kind})
    mesh = problem.reference_mesh()
    mu = {**problem.defaults, "amplitude": 0.5, "frequency": 2.0}
    inlet = problem.case(mu, mesh).conditions[0].velocity
    middle = np.array([[0.0, HEIGHT / 2]])
    # A quarter of a period after the start the sine is one.
    assert inlet(middle, 0.125)[0, 0] == pytest.approx(1.5 * expected)


@pytest.mark.parametrize(
    ("change", "room"),
    [
        ({"centre_y": 0.05}, "0"),
        ({"centre_y": 0.02}, "-0.03"),
        ({"centre_y": 0.39}, "-0.03"),
        ({"centre_x": 0.06}, "0.01"),
        ({"radius": 0.1, "centre_x": 0.12}, "0.02"),
    ],
)
def test_a_cylinder_that_touches_the_channel_is_refused(
    change: Mapping[str, float], room: str
) -> None:
    problem = make_problem("cylinder", COARSE["cylinder"])
    problem.space().check({**problem.defaults, **change})
    with pytest.raises(UserError, match=rf"expected at least 0.5 radii.*received {room} m"):
        problem.check({**problem.defaults, **change})


def test_a_pulse_without_a_frequency_is_refused() -> None:
    problem = make_problem("cylinder", {**COARSE["cylinder"], "inflow": "pulse"})
    problem.check({**problem.defaults, "frequency": 0.0625})
    with pytest.raises(UserError, match=r"expected frequency > 0 .*rest for ever"):
        problem.check(problem.defaults)


# 97 and 98: 49 times 1/98 is not one half in floating-point arithmetic.
@pytest.mark.parametrize("cells", [4, 5, 97, 98])
def test_the_step_has_its_height_at_any_resolution(cells: int) -> None:
    settings = {"cells": cells, "upstream": 0.5, "downstream": 4.0}
    mesh = make_problem("backward-step", settings).reference_mesh()
    on_step = mesh.points[np.unique(mesh.facets[mesh.tags == mesh.names["step"]])]
    assert on_step[:, 1].max() == 0.5


@pytest.mark.parametrize("change", [{"radius": 0.04}, {"centre_x": 0.25, "centre_y": 0.22}])
def test_the_deformed_cylinder_is_round_and_the_channel_stays(
    change: Mapping[str, float],
) -> None:
    problem = make_problem("cylinder", COARSE["cylinder"])
    mesh, mu = problem.reference_mesh(), {**problem.defaults, **change}
    moved = problem.deform(mesh.points, mu)

    def on(part: str) -> IntArray:
        return np.unique(mesh.facets[mesh.tags == mesh.names[part]])

    arms = moved[on("cylinder")] - [mu["centre_x"], mu["centre_y"]]
    np.testing.assert_allclose(np.linalg.norm(arms, axis=1), mu["radius"], rtol=1e-9)
    for part in ("inlet", "outlet", "walls"):
        np.testing.assert_array_equal(moved[on(part)], mesh.points[on(part)])


def test_the_cylinder_mesh_fills_the_channel_around_a_polygon() -> None:
    mesh = make_problem("cylinder", COARSE["cylinder"]).reference_mesh()
    edges = mesh.points[mesh.cells[:, 1:]] - mesh.points[mesh.cells[:, :1]]
    n = int((mesh.tags == mesh.names["cylinder"]).sum())
    hole = 0.5 * n * RADIUS**2 * np.sin(2 * np.pi / n)
    area = 0.5 * np.abs(np.linalg.det(edges)).sum()
    assert area == pytest.approx(LENGTH * HEIGHT - hole, rel=1e-9)


def test_the_step_moves_its_edge_and_keeps_the_channel() -> None:
    problem = make_problem("backward-step", COARSE["backward-step"])
    mesh = problem.reference_mesh()
    moved = problem.deform(mesh.points, {"step_height": 0.3, "reynolds": 100.0})
    edge = (mesh.points == [0.0, 0.5]).all(axis=1)
    np.testing.assert_allclose(moved[edge], [[0.0, 0.3]])
    np.testing.assert_array_equal(moved[:, 0], mesh.points[:, 0])
    assert (moved[:, 1].min(), moved[:, 1].max()) == (0.0, 1.0)


def test_the_lid_stands_still_at_its_ends() -> None:
    problem = make_problem("cavity", COARSE["cavity"])
    mesh = problem.reference_mesh()
    parts = [condition.part for condition in problem.case(problem.defaults, mesh).conditions]
    # The later condition holds where parts meet.
    assert parts.index("top") < min(parts.index(side) for side in ("left", "right"))


def test_the_exact_vortices_are_divergence_free_and_satisfy_the_equations() -> None:
    viscosity, h = 0.05, 1e-4
    x = np.random.default_rng(0).uniform(0, 1, (50, 2))

    def derivative(function: Any, axis: int) -> Any:
        step = h * np.eye(2)[axis]
        return (function(x + step) - function(x - step)) / (2 * h)

    def u(points: FloatArray, time: float = 0.2) -> FloatArray:
        return exact_velocity(points, time, viscosity)

    gradient = np.stack([derivative(u, axis) for axis in (0, 1)], axis=2)
    slope = np.stack(
        [derivative(lambda p: exact_pressure(p, 0.2, viscosity), axis) for axis in (0, 1)], axis=1
    )
    rate = (u(x, 0.2 + h) - u(x, 0.2 - h)) / (2 * h)
    transport = np.einsum("nij,nj->ni", gradient, u(x))
    diffusion = -2 * np.pi**2 * viscosity * u(x)
    np.testing.assert_allclose(np.trace(gradient, axis1=1, axis2=2), 0.0, atol=1e-6)
    np.testing.assert_allclose(rate + transport - diffusion + slope, 0.0, atol=1e-6)


def test_an_amplitude_without_effect_is_refused() -> None:
    problem = make_problem("cylinder", {})
    with pytest.raises(UserError, match="no effect"):
        problem.check({**problem.defaults, "amplitude": 0.5})
    problem.check({**problem.defaults, "amplitude": 0.5, "frequency": 2.0})


@pytest.mark.parametrize(
    ("name", "setting"),
    [("cylinder", "mean_velocity"), ("cylinder", "size"), ("backward-step", "downstream")],
)
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e-9, 1e9])
def test_settings_without_bounds_are_refused_by_name(name: str, setting: str, value: float) -> None:
    if setting == "mean_velocity" and np.isfinite(value):
        make_problem(name, {setting: value})
        return
    with pytest.raises(UserError, match=setting):
        make_problem(name, {setting: value})
