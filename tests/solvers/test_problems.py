"""The conformance of every problem, and what is special about each."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from infra.records import Sample
from solvers.chunk import make_problem
from solvers.mesh import FloatArray, IntArray, ReferenceMesh, cell_quality
from solvers.problem import FlowCase, Problem
from solvers.problems import PROBLEMS, problem_class
from solvers.problems.cylinder_mesh import HEIGHT, LENGTH, RADIUS
from solvers.problems.taylor_green import exact_pressure, exact_velocity
from solvers.sampling import SobolSampler
from solvers.settings import SolverSettings
from solvers.snapshots import FRAME_SERIES, flow_layout, geometry_varies

COARSE: Mapping[str, Mapping[str, Any]] = {
    "cylinder": {"size": 0.02, "far_size": 0.08},
    "cavity": {"cells": 8},
    "backward-step": {"cells": 8, "downstream": 6.0},
    "taylor-green": {"cells": 6},
}


@pytest.fixture(scope="module", params=list(PROBLEMS))
def problem(request: pytest.FixtureRequest) -> Problem:
    return make_problem(request.param, COARSE[request.param])


@pytest.fixture(scope="module")
def mesh(problem: Problem) -> ReferenceMesh:
    return problem.reference_mesh()


# Where studies may move the geometry; outside, the model refuses cells that are too distorted.
RANGES: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "cylinder": {
        "centre_x": {"low": 0.15, "high": 0.3},
        "centre_y": {"low": 0.16, "high": 0.25},
        "radius": {"low": 0.03, "high": 0.07},
    }
}


def accepted(problem: Problem, n: int, within: bool = False) -> list[dict[str, float]]:
    """Return those of the first Sobol points that the problem accepts.

    They come from its whole space, or `within` its documented range of geometries.
    """
    space, kept = problem.space(), []
    if within:
        space = space.restrict(RANGES.get(problem.name, {}))
    for sample in SobolSampler(space, 0).suggest(n):
        try:
            problem.check(sample.mu)
        except UserError:
            continue
        kept.append(dict(sample.mu))
    return kept


def orientation(mesh: ReferenceMesh, points: FloatArray) -> FloatArray:
    """Return the quality of the cells, negative where a cell is turned over."""
    sign = np.sign(cell_quality(mesh.points, mesh.cells))
    return np.asarray(sign * cell_quality(points, mesh.cells))


def flux_through(case: FlowCase, part: str, mesh: ReferenceMesh, points: FloatArray) -> float:
    """Return the mean of the velocity along x prescribed on a part that is a vertical line."""
    condition = next(c for c in case.conditions if c.part == part)
    ends = points[mesh.facets[mesh.tags == mesh.names[part]]]
    middle = ends.mean(axis=1)
    values = [condition.velocity(p, 0.0)[:, 0] for p in (ends[:, 0], middle, ends[:, 1])]
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    # Simpson's rule is exact for a parabola.
    return float(lengths @ (values[0] + 4 * values[1] + values[2]) / 6 / lengths.sum())


class TestConformance:
    def test_it_is_found_by_its_name(self, problem: Problem) -> None:
        assert problem_class(problem.name) is type(problem)

    def test_its_class_says_what_it_is(self, problem: Problem) -> None:
        assert problem.title
        assert problem.equations
        assert type(problem).__doc__

    def test_defaults_lie_inside_its_space_and_are_accepted(self, problem: Problem) -> None:
        assert set(problem.defaults) == set(problem.space().names)
        problem.space().check(problem.defaults)
        problem.check(problem.defaults)

    def test_every_setting_has_a_default_and_a_description(self, problem: Problem) -> None:
        assert problem.Settings() is not None
        for name, entry in problem.Settings.model_fields.items():
            assert entry.description, name

    def test_its_mesh_is_canonical_and_the_same_each_time(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        again = problem.reference_mesh()
        for name, values in mesh.arrays().items():
            np.testing.assert_array_equal(again.arrays()[name], values, err_msg=name)
        assert (np.diff(mesh.cells, axis=1) > 0).all()

    def test_its_cells_are_good_and_its_boundary_is_tagged_as_a_whole(
        self, mesh: ReferenceMesh
    ) -> None:
        assert np.abs(cell_quality(mesh.points, mesh.cells)).min() > 0.4
        edges, counts = np.unique(
            np.sort(mesh.cells[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2), axis=1),
            axis=0,
            return_counts=True,
        )
        assert sorted(edges[counts == 1].tolist()) == sorted(mesh.facets.tolist())
        assert set(mesh.tags) == set(mesh.names.values())

    def test_the_defaults_leave_the_mesh_as_it_is(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        moved = problem.deform(mesh.points, problem.defaults)
        np.testing.assert_array_equal(moved, mesh.points)
        assert moved is not mesh.points

    def test_deformation_leaves_its_input_alone(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        before = mesh.points.copy()
        for mu in accepted(problem, 8):
            problem.deform(mesh.points, mu)
        np.testing.assert_array_equal(mesh.points, before)

    def test_cells_keep_orientation_and_quality_within_the_range_of_geometries(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        mus = accepted(problem, 128, within=True)
        assert len(mus) == 128
        least = SolverSettings().min_quality
        for mu in mus:
            assert orientation(mesh, problem.deform(mesh.points, mu)).min() >= least, mu

    def test_conditions_and_outflow_name_each_boundary_part_once(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        case = problem.case(problem.defaults, mesh)
        named = [condition.part for condition in case.conditions] + list(case.outflow)
        assert sorted(named) == sorted(mesh.names)
        for force in case.forces:
            assert force.part in mesh.names

    def test_fields_have_a_row_per_point_and_are_finite(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        for mu in accepted(problem, 8):
            case, points = problem.case(mu, mesh), problem.deform(mesh.points, mu)
            assert case.viscosity > 0
            assert case.pressure(points).shape == (len(points),)
            for velocity in (case.velocity, *(c.velocity for c in case.conditions)):
                values = velocity(points, 0.3)
                assert values.shape == points.shape
                assert np.isfinite(values).all()

    def test_quantities_are_the_same_for_every_sample_and_have_units_and_names(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        cases = [problem.case(mu, mesh) for mu in (problem.defaults, *accepted(problem, 8))]
        lists = [
            [(q.name, q.units, q.long_name) for q in (*c.forces, *c.differences)] for c in cases
        ]
        assert all(found == lists[0] for found in lists)
        assert all(all(entry) for entry in lists[0])
        assert not {name for name, *_ in lists[0]} & set(FRAME_SERIES)

    def test_its_layout_is_complete_and_consistent(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        mus = [problem.defaults, *accepted(problem, 4)]
        samples = [Sample(i, dict(mu), i) for i, mu in enumerate(mus)]
        times = np.linspace(0, 1, 3)
        layout = flow_layout("x", problem, problem.space(), samples, mesh, times, {})
        described = layout.description
        assert described.sizes["node"] == mesh.n_nodes
        assert described.sizes["vertex"] == mesh.n_vertices
        assert set(FRAME_SERIES) <= set(described.specs)
        assert ("node_x" in described.specs) == geometry_varies(problem, mesh, samples)

    def test_an_unknown_setting_is_refused_and_the_known_ones_are_listed(
        self, problem: Problem
    ) -> None:
        known = ", ".join(problem.Settings.model_fields)
        with pytest.raises(UserError, match=rf"colour: unknown key .*{known}"):
            make_problem(problem.name, {"colour": 1})

    def test_a_setting_out_of_range_is_refused_with_what_was_received(
        self, problem: Problem
    ) -> None:
        name = "size" if problem.name == "cylinder" else "cells"
        with pytest.raises(UserError, match=rf"problem\.settings.*{name}: .*received -1"):
            make_problem(problem.name, {name: -1})


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("cylindre", "cylinder"), ("taylor_green", "taylor-green"), ("cavities", "cavity")],
)
def test_a_misspelt_problem_is_refused_with_the_nearest_name(wrong: str, near: str) -> None:
    with pytest.raises(UserError, match=rf"received '{wrong}'. Did you mean {near}\?") as caught:
        problem_class(wrong)
    assert all(name in str(caught.value) for name in PROBLEMS)


def test_a_problem_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(UserError, match=re.escape(", ".join(PROBLEMS))) as caught:
        make_problem("xyz", {})
    assert "Did you mean" not in str(caught.value)


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
