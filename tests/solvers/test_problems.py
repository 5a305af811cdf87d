"""The conformance of every flow problem: one table of coarse meshes feeds every law."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from infra.records import Sample
from solvers.chunk import make_problem
from solvers.mesh import FloatArray, ReferenceMesh, cell_quality
from solvers.problem import Problem
from solvers.problems import PROBLEMS, problem_class
from solvers.sampling import SobolSampler
from solvers.settings import SolverSettings
from solvers.snapshots import FRAME_SERIES, flow_layout, geometry_varies

COARSE: Mapping[str, Mapping[str, Any]] = {
    "cylinder": {"size": 0.02, "far_size": 0.08},
    "cavity": {"cells": 8},
    "backward-step": {"cells": 8, "downstream": 6.0},
    "taylor-green": {"cells": 6},
}


@pytest.fixture(scope="module", params=list(COARSE))
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


def test_every_flow_problem_is_in_the_table() -> None:
    assert set(COARSE) == {name for name in PROBLEMS if problem_class(name).kind == "flow"}


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
