"""The conformance of every steady problem: one table of coarse meshes feeds every law."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from infra.records import Sample
from solvers.boxes import box_mesh
from solvers.chunk import make_problem
from solvers.mesh import FloatArray, ReferenceMesh, cell_quality
from solvers.problem import Problem
from solvers.problems import PROBLEMS, problem_class
from solvers.sampling import SobolSampler
from solvers.steady_case import MatrixEquation, SteadyCase
from solvers.steady_snapshots import is_steady_mesh_of, steady_layout
from solvers.steady_system import SteadySystem

COARSE: Mapping[str, Mapping[str, Any]] = {
    "darcy": {"cells": 8, "modes": 12},
    "darcy-fv": {"cells": 8, "modes": 12},
    "thermal": {"cells": 8},
    "poisson": {"cells": 8},
    "helmholtz": {"highest_wavenumber": 12.0, "modes": 6},
    "convection-diffusion": {"cells": 8, "modes": 6},
    "skr-darcy": {"cells": 10, "modes": 12},
    "skr-helmholtz": {"cells": 10, "modes": 12},
}
IN_SPACE: Mapping[str, Any] = {"dimension": 3, "cells": 4, "modes": 6}

type SystemOf = Callable[[ReferenceMesh, SteadyCase], SteadySystem]


@pytest.fixture(scope="module", params=list(COARSE))
def problem(request: pytest.FixtureRequest) -> Problem:
    return make_problem(request.param, COARSE[request.param])


@pytest.fixture(scope="module")
def mesh(problem: Problem) -> ReferenceMesh:
    return problem.reference_mesh()


def study_mus(problem: Problem, n: int) -> list[dict[str, float]]:
    """Return the samples of a study that names no parameter."""
    names = problem.random_parameters
    fixed = {name: value for name, value in problem.defaults.items() if name not in names}
    space = problem.space().restrict(fixed)
    return [dict(sample.mu) for sample in SobolSampler(space, 1).suggest(n)]


def case_of(problem: Problem, mu: Mapping[str, float], mesh: ReferenceMesh) -> SteadyCase:
    case = problem.case(mu, mesh)
    assert isinstance(case, SteadyCase)
    return case


def layout_of(problem: Problem, mesh: ReferenceMesh) -> Any:
    samples = [Sample(i, mu, i) for i, mu in enumerate(study_mus(problem, 2))]
    return steady_layout("x", problem, problem.space(), samples, mesh, {})


def test_every_steady_problem_is_in_the_table() -> None:
    steady = {name for name in PROBLEMS if problem_class(name).kind == "steady"}
    assert steady == set(COARSE)


class TestConformance:
    def test_it_is_found_by_its_name_and_says_what_it_is(self, problem: Problem) -> None:
        assert problem_class(problem.name) is type(problem)
        assert problem.title
        assert problem.equations
        assert type(problem).__doc__

    def test_defaults_lie_inside_its_space_and_are_accepted(self, problem: Problem) -> None:
        assert list(problem.defaults) == list(problem.space().names)
        problem.space().check(problem.defaults)
        problem.check(problem.defaults)

    def test_every_setting_has_a_default_and_a_description(self, problem: Problem) -> None:
        problem.Settings()
        for name, entry in problem.Settings.model_fields.items():
            assert entry.description, name

    def test_a_study_without_parameters_varies(self, problem: Problem) -> None:
        assert set(problem.random_parameters) <= set(problem.space().names)
        one, other = study_mus(problem, 2)
        assert one != other

    def test_its_mesh_is_canonical_and_the_same_each_time(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        again = problem.reference_mesh().arrays()
        for name, values in mesh.arrays().items():
            np.testing.assert_array_equal(again[name], values, err_msg=name)
        assert (np.diff(mesh.cells, axis=1) > 0).all()
        assert np.abs(cell_quality(mesh.points, mesh.cells)).min() > 0.4

    def test_its_geometry_is_fixed(self, problem: Problem, mesh: ReferenceMesh) -> None:
        moved = problem.deform(mesh.points, problem.defaults)
        np.testing.assert_array_equal(moved, mesh.points)
        assert moved is not mesh.points

    def test_features_are_finite_and_tell_samples_apart(self, problem: Problem) -> None:
        mus = study_mus(problem, 4)
        features = problem.features(mus)
        if features is not None:
            assert features.shape[0] == 4
            assert np.isfinite(features).all()
            assert len(np.unique(features, axis=0)) == 4

    def test_a_case_depends_on_its_parameters_alone(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        one, other = study_mus(problem, 2)
        values = []
        for mu in (one, other, one):
            case = case_of(problem, mu, mesh)
            equation = case.equation
            if isinstance(equation, MatrixEquation):
                values.append(equation.matrix.data.copy())
            else:
                parts = [
                    equation.diffusion,
                    equation.source,
                    *(c.values for c in case.coefficients),
                ]
                values.append(np.concatenate([p.ravel() for p in parts]))
        np.testing.assert_array_equal(values[0], values[2])

    def test_its_layout_names_everything_that_a_case_has(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        layout, case = layout_of(problem, mesh), case_of(problem, problem.defaults, mesh)
        parts = (*case.coefficients, *case.unknowns, *case.quantities)
        assert [spec.name for spec in layout.arrays] == [*(p.name for p in parts), "residual"]
        assert all(spec.units and spec.long_name for spec in layout.arrays)
        assert layout.description.times == ()
        sizes = layout.description.sizes
        for coefficient in case.coefficients:
            assert coefficient.values.shape == (sizes[coefficient.on],)

    def test_its_mesh_is_recognised(self, problem: Problem, mesh: ReferenceMesh) -> None:
        description = layout_of(problem, mesh).description
        assert is_steady_mesh_of(description, mesh)
        assert not is_steady_mesh_of(description, box_mesh(2, 3))

    def test_its_traits_hold(
        self,
        problem: Problem,
        mesh: ReferenceMesh,
        system_of: SystemOf,
        dense: Callable[[Any], FloatArray],
    ) -> None:
        for mu in study_mus(problem, 3):
            case = case_of(problem, mu, mesh)
            system = system_of(mesh, case)
            system.refill(case)
            matrix = dense(system.matrix)
            scale = np.abs(matrix).max()
            if case.traits.symmetric:
                np.testing.assert_allclose(matrix, matrix.T, atol=1e-14 * scale)
            if case.traits.definite:
                assert np.linalg.eigvalsh(matrix).min() > 0
            assert case.traits.dimension == mesh.gdim

    def test_one_operator_serves_all_samples_where_that_is_promised(
        self, problem: Problem, mesh: ReferenceMesh, system_of: SystemOf
    ) -> None:
        cases = [case_of(problem, mu, mesh) for mu in study_mus(problem, 3)]
        system, values = system_of(mesh, cases[0]), []
        for case in cases:
            system.refill(case)
            values.append(system.matrix.getValuesCSR()[2].copy())
        same = all(np.array_equal(values[0], other) for other in values[1:])
        assert same == all(case.traits.constant for case in cases)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("darcy", {"dimension": 4}, "dimension"),
        ("darcy", {"cells": 1}, "cells"),
        ("darcy", {"colour": 1}, "colour: unknown key"),
        ("darcy", {"kind": "uniform"}, "kind"),
        ("darcy", {"dimension": 3, "alpha": 1.4}, "alpha > dimension / 2"),
        ("helmholtz", {"points_per_wavelength": 2}, "points_per_wavelength"),
        ("thermal", {"radius": 0.6}, "radius"),
        ("poisson", {"degree": -1}, "degree"),
        ("convection-diffusion", {"tau": 0.0}, "tau"),
        ("skr-darcy", {"modes": 0}, "modes"),
    ],
)
def test_bad_settings_are_refused_by_name(name: str, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        make_problem(name, settings)


def test_problems_in_space_have_tetrahedra() -> None:
    for name in ("darcy", "darcy-fv"):
        problem = make_problem(name, IN_SPACE)
        mesh = problem.reference_mesh()
        assert mesh.gdim == 3
        layout = layout_of(problem, mesh)
        topology = next(a for a in layout.static if a.name == "mesh").attrs
        assert topology["topology_dimension"] == 3
        assert topology["volume_node_connectivity"] == "cell_vertices"
