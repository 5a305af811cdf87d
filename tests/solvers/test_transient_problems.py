"""The conformance of every linear problem in time: one table of coarse meshes feeds every law."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from infra.errors import UserError
from infra.records import Sample
from solvers.backend import MPI
from solvers.boxes import box_mesh
from solvers.chunk import make_problem
from solvers.linear_space import distribute_linear
from solvers.mesh import FloatArray, ReferenceMesh, cell_quality
from solvers.problem import Problem
from solvers.problems import PROBLEMS, problem_class
from solvers.problems.advection import Advection, AdvectionSettings
from solvers.sampling import SobolSampler
from solvers.settings import LinearSettings
from solvers.steady_snapshots import is_steady_mesh_of
from solvers.transient_case import TransientCase
from solvers.transient_snapshots import transient_layout
from solvers.transient_stepper import TransientStepper
from solvers.transient_system import HalfStepSystem

COARSE: Mapping[str, Mapping[str, Any]] = {"heat": {"cells": 8}, "advection": {"cells": 16}}
TIMES = np.linspace(0.0, 0.1, 3)


@pytest.fixture(scope="module", params=list(COARSE))
def problem(request: pytest.FixtureRequest) -> Problem:
    return make_problem(request.param, COARSE[request.param])


@pytest.fixture(scope="module")
def mesh(problem: Problem) -> ReferenceMesh:
    return problem.reference_mesh()


def study_mus(problem: Problem, n: int) -> list[dict[str, float]]:
    """Return the samples of a study that names no parameter."""
    return [dict(sample.mu) for sample in SobolSampler(problem.space(), 1).suggest(n)]


def case_of(problem: Problem, mu: Mapping[str, float], mesh: ReferenceMesh) -> TransientCase:
    case = problem.case(mu, mesh)
    assert isinstance(case, TransientCase)
    return case


def layout_of(problem: Problem, mesh: ReferenceMesh) -> Any:
    samples = [Sample(i, mu, i) for i, mu in enumerate(study_mus(problem, 2))]
    return transient_layout("x", problem, problem.space(), samples, mesh, TIMES, {})


def frames_of(
    problem: Problem, mu: Mapping[str, float], mesh: ReferenceMesh, step: float, n: int
) -> tuple[TransientCase, list[FloatArray]]:
    """Return the solutions (n_vertices, 1) after 0, ..., n steps."""
    case, space = case_of(problem, mu, mesh), distribute_linear(mesh, MPI.COMM_SELF)
    stepper = TransientStepper(space, case, step, "test", LinearSettings(method="direct"), n, 0)
    stepper.start(case)
    frames = []
    for number in range(n + 1):
        stepper.advance_to(number)
        frames.append(stepper.gather())
    stepper.destroy()
    return case, frames


def test_every_transient_problem_is_in_the_table() -> None:
    found = {name for name in PROBLEMS if problem_class(name).kind == "transient"}
    assert found == set(COARSE)


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

    def test_a_study_without_parameters_varies_all_of_them(self, problem: Problem) -> None:
        assert set(problem.random_parameters) == set(problem.space().names)

    def test_its_mesh_is_canonical_and_its_geometry_is_fixed(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        again = problem.reference_mesh().arrays()
        for name, values in mesh.arrays().items():
            np.testing.assert_array_equal(again[name], values, err_msg=name)
        assert np.abs(cell_quality(mesh.points, mesh.cells)).min() > 0.4
        np.testing.assert_array_equal(problem.deform(mesh.points, problem.defaults), mesh.points)

    def test_a_case_has_finite_data_of_the_right_shapes(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        for mu in study_mus(problem, 3):
            case = case_of(problem, mu, mesh)
            equation = case.equation
            for values in (case.capacity, equation.diffusion, equation.source):
                assert values.shape == (len(mesh.cells),)
                assert np.isfinite(values).all()
            assert case.capacity.min() > 0
            initial = case.initial(mesh.points)
            assert initial.shape == (mesh.n_vertices,)
            assert np.isfinite(initial).all()

    def test_its_layout_names_everything_that_a_case_has(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        layout, case = layout_of(problem, mesh), case_of(problem, problem.defaults, mesh)
        parts = (*case.coefficients, case.unknown, *case.quantities)
        assert [spec.name for spec in layout.arrays] == [*(p.name for p in parts), "residual"]
        assert all(spec.units and spec.long_name for spec in layout.arrays)
        specs = layout.description.specs
        assert specs[case.unknown.name].dims == ("sample", "time", "vertex")
        assert specs[case.unknown.name].attrs["role"] == "solution"
        assert all(specs[q.name].series for q in case.quantities)

    def test_its_mesh_is_recognised(self, problem: Problem, mesh: ReferenceMesh) -> None:
        description = layout_of(problem, mesh).description
        assert is_steady_mesh_of(description, mesh)
        assert not is_steady_mesh_of(description, box_mesh(2, 3))

    def test_its_layout_tells_which_vertices_have_which_prescribed_value(
        self, problem: Problem, mesh: ReferenceMesh
    ) -> None:
        layout = layout_of(problem, mesh)
        mu = study_mus(problem, 1)[0]
        case, frames = frames_of(problem, mu, mesh, 0.01, 3)
        parts = next(array for array in layout.static if array.name == "vertex_part")
        meanings = str(parts.attrs["flag_meanings"]).split()
        assert parts.attrs["flag_values"] == list(range(len(meanings)))
        spec = layout.description.specs[case.unknown.name]
        held: Any = spec.attrs["prescribed"]
        assert meanings == ["none", *held]
        on_boundary = np.zeros(mesh.n_vertices, dtype=bool)
        for condition in case.equation.prescribed:
            on_boundary[mesh.facets[mesh.tags == mesh.names[condition.part]]] = True
        np.testing.assert_array_equal(parts.values > 0, on_boundary)
        for number, value in enumerate(held.values(), start=1):
            expected = mu[value] if isinstance(value, str) else value
            for frame in frames:
                assert (frame[parts.values == number] == expected).all()

    def test_its_traits_hold(self, problem: Problem, mesh: ReferenceMesh, dense: Any) -> None:
        space, values = distribute_linear(mesh, MPI.COMM_SELF), []
        cases = [case_of(problem, mu, mesh) for mu in study_mus(problem, 3)]
        system = HalfStepSystem(space, cases[0], 0.01)
        for case in cases:
            system.refill(case)
            matrix = dense(system.matrix)
            scale = np.abs(matrix).max()
            if case.traits.symmetric:
                np.testing.assert_allclose(matrix, matrix.T, atol=1e-14 * scale)
            if case.traits.definite:
                assert np.linalg.eigvalsh(matrix).min() > 0
            assert case.traits.dimension == mesh.gdim
            values.append(matrix)
        same = all(np.array_equal(values[0], other) for other in values[1:])
        assert same == all(case.traits.constant for case in cases)


class TestHeat:
    @pytest.fixture
    def plate(self) -> Problem:
        return make_problem("heat", {"cells": 16})

    def test_equal_temperatures_stay_equal(self, plate: Problem) -> None:
        mesh = plate.reference_mesh()
        mu = dict.fromkeys(plate.defaults, 321.0)
        _, frames = frames_of(plate, mu, mesh, 0.01, 5)
        np.testing.assert_allclose(frames, 321.0, rtol=1e-13)

    def test_bottom_and_top_hold_at_the_corners(self, plate: Problem) -> None:
        mesh = plate.reference_mesh()
        _, frames = frames_of(plate, {**plate.defaults, "temperature_top": 222.0}, mesh, 0.01, 1)
        for frame in frames:
            assert frame[mesh.nearest_vertex((0.0, 1.0)), 0] == 222.0
            assert frame[mesh.nearest_vertex((1.0, 0.0)), 0] == plate.defaults["temperature_bottom"]

    def test_the_solution_is_linear_in_its_temperatures(self, plate: Problem) -> None:
        mesh = plate.reference_mesh()
        one, other = study_mus(plate, 2)
        middle = {name: 0.5 * (one[name] + other[name]) for name in one}
        ends = [frames_of(plate, mu, mesh, 0.02, 4)[1][-1] for mu in (one, other, middle)]
        np.testing.assert_allclose(ends[2], 0.5 * (ends[0] + ends[1]), rtol=1e-12)

    def test_the_end_is_the_mean_of_the_sides_in_the_middle(self, plate: Problem) -> None:
        mesh = plate.reference_mesh()
        mu = study_mus(plate, 1)[0]
        _, frames = frames_of(plate, mu, mesh, 0.01, 100)
        sides = [value for name, value in mu.items() if name != "temperature_initial"]
        middle = frames[-1][mesh.nearest_vertex((0.5, 0.5)), 0]
        assert middle == pytest.approx(np.mean(sides), rel=1e-3)

    def test_the_gain_of_heat_is_that_of_the_mean_temperature(self, plate: Problem) -> None:
        mesh = plate.reference_mesh()
        case, frames = frames_of(plate, plate.defaults, mesh, 0.01, 3)
        mean, gain = (q.evaluate(frames[-1]) for q in case.quantities)
        assert gain == pytest.approx(mean - plate.defaults["temperature_initial"], rel=1e-12)


class TestAdvection:
    def test_nothing_is_lost_inside_and_everything_leaves_in_the_end(self) -> None:
        problem = Advection(AdvectionSettings(cells=24))
        mesh = problem.reference_mesh()
        mu = {**problem.defaults, "wind_angle": 0.5, "diffusivity": 1e-4}
        case, frames = frames_of(problem, mu, mesh, 0.05, 40)
        means = [case.quantities[0].evaluate(frame) for frame in frames]
        assert means[4] == pytest.approx(means[0], rel=2e-3)
        assert abs(means[-1]) < 1e-2 * means[0]

    @pytest.mark.parametrize("angle", [0.4, 2.0, -2.5, -0.8])
    def test_a_pulse_moves_with_the_wind(self, angle: float) -> None:
        problem = Advection(AdvectionSettings(cells=32))
        mesh = problem.reference_mesh()
        mu = {**problem.defaults, "pulse_x": 0.5, "pulse_y": 0.5, "wind_angle": angle}
        _, frames = frames_of(problem, mu, mesh, 0.01, 20)
        weights = np.maximum(frames[-1][:, 0], 0.0)
        centre = weights @ mesh.points / weights.sum()
        expected = 0.5 + 0.2 * np.array([np.cos(angle), np.sin(angle)])
        np.testing.assert_allclose(centre, expected, atol=5e-3)

    def test_energy_never_grows_even_when_the_pulse_crosses_the_boundary(self) -> None:
        problem = Advection(AdvectionSettings(cells=20))
        mesh = problem.reference_mesh()
        for mu in study_mus(problem, 4):
            _, frames = frames_of(problem, mu, mesh, 0.02, 30)
            sizes = [float(np.linalg.norm(frame)) for frame in frames]
            assert max(sizes) <= 1.02 * sizes[0]


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("heat", {"cells": 1}, "cells"),
        ("heat", {"cells": 4096}, "cells"),
        ("advection", {"modes": 3}, "modes: unknown key"),
    ],
)
def test_bad_settings_are_refused_by_name(name: str, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        make_problem(name, settings)
