"""Laws of what figures are made of: vorticity, outlines, colour limits and texts."""

import numpy as np
import pytest

from flows.figures import vorticity
from flows.figures.fields import node_areas
from flows.figures.limits import area_quantile, round_up
from flows.figures.panels import outlines
from flows.figures.text import time_texts, unit_text
from solvers.grids import graded, rectangle, structured, tagged
from solvers.mesh import FloatArray
from solvers.problems.taylor_green import exact_velocity


@pytest.mark.parametrize("omega", [1.5, -3.0])
def test_vorticity_of_a_rigid_rotation_is_twice_its_rate(omega: float) -> None:
    mesh = rectangle(graded(5, 1.0), graded(4, 0.0))
    nodes = mesh.node_positions(mesh.points)
    x, y = nodes.T
    found = vorticity(mesh.triangles, nodes, -omega * y, omega * x)
    np.testing.assert_allclose(found, 2 * omega, rtol=1e-11)


def test_vorticity_of_a_linear_velocity_is_exact_for_either_orientation() -> None:
    mesh = rectangle(graded(5, 0.5), graded(5, 0.5))
    a = np.random.default_rng(3).normal(size=(2, 2))
    u, v = a @ mesh.points.T
    turned = mesh.cells.copy()
    turned[::2] = turned[::2, ::-1]
    found = vorticity(turned, mesh.points, u, v)
    np.testing.assert_allclose(found, a[1, 0] - a[0, 1], rtol=1e-10)


def test_vorticity_converges_to_that_of_the_vortices() -> None:
    errors = [vorticity_error(cells) for cells in (8, 16, 32)]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (rates > 0.9).all(), rates


def vorticity_error(cells: int) -> float:
    """Return the area-weighted mean error over the mean size of the vorticity."""
    mesh = rectangle(graded(cells, 0.0), graded(cells, 0.0))
    nodes = mesh.node_positions(mesh.points)
    x, y = np.pi * nodes.T
    exact = 2 * np.pi * np.cos(x) * np.cos(y)
    found = vorticity(mesh.triangles, nodes, *exact_velocity(nodes, 0.0, 0.01).T)
    areas = node_areas(mesh.triangles, nodes)
    return float((areas * np.abs(found - exact)).sum() / (areas * np.abs(exact)).sum())


def test_node_areas_add_up_to_the_area_of_the_domain() -> None:
    mesh = rectangle(graded(6, 1.0), graded(3, 0.0))
    nodes = mesh.node_positions(mesh.points)
    assert node_areas(mesh.triangles, nodes).sum() == pytest.approx(1.0, rel=1e-13)


def test_the_outline_has_one_loop_around_the_domain_and_one_around_each_hole() -> None:
    keep = np.ones((5, 5), dtype=bool)
    keep[2, 2] = False
    axis = np.linspace(0.0, 1.0, 6)
    points, cells = structured(axis, axis, keep)
    mesh = tagged(points, cells, {"all": np.ones(len(points), dtype=bool)})
    loops = outlines(mesh.cells)
    assert all(loop[0] == loop[-1] for loop in loops)
    lengths = sorted(perimeter(mesh.points[loop]) for loop in loops)
    assert lengths == pytest.approx([0.8, 4.0])


def perimeter(points: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ("1", "-"),
        ("m", "m"),
        ("s-1", "1/s"),
        ("m2 s-2", "m²/s²"),
        ("kg m-1 s-1", "kg/(m s)"),
        ("degrees_north", "degrees_north"),
    ],
)
def test_units_are_written_as_in_a_report(units: str, text: str) -> None:
    assert unit_text(units) == text


def test_different_times_have_different_texts() -> None:
    assert time_texts((0.0, 0.5, 1.0)) == ["0.00", "0.50", "1.00"]
    assert time_texts((1.0, 1.0001)) == ["1.0000", "1.0001"]


@pytest.mark.parametrize("value", [1e-7, 0.3, 1.0, 1.01, 9.7, 123.4])
def test_a_rounded_limit_is_the_value_or_a_little_more(value: float) -> None:
    assert value * (1 - 1e-9) <= round_up(value) <= 1.25 * value


def test_half_of_the_area_lies_below_the_median() -> None:
    values, areas = np.array([5.0, 1.0, 3.0]), np.array([0.1, 0.8, 0.1])
    assert area_quantile(values, areas, 0.5) == 1.0
    assert area_quantile(values, areas, 1.0) == 5.0
