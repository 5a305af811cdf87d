"""What a model does with a sample: frames, forces, positions, costs, and failures by name."""

from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import pytest

from infra.description import DatasetDescription
from infra.errors import UserError
from infra.records import Provenance, Sample, SolveReport
from infra.stream import Trajectory, TrajectorySink
from solvers.backend import MPI, PETSc
from solvers.chunk import make_problem
from solvers.errors import (
    DivergedError,
    GeometryError,
    LinearSolveError,
    SampleError,
    StepError,
)
from solvers.linear import DIRECT, ITERATIVE, with_choices
from solvers.mesh import FloatArray
from solvers.model import FlowModel
from solvers.problem import Problem
from solvers.settings import SolverSettings, TimeSettings
from solvers.snapshots import flow_layout

type Solve = Callable[..., dict[int, Trajectory]]

SHORT = TimeSettings(end=0.016, frames=5, step=0.002)


@final
class Recorder(TrajectorySink):
    """Keeps a copy of the velocity of each frame."""

    def __init__(self, description: DatasetDescription, sample: Sample) -> None:
        super().__init__(description, sample)
        self.frames: list[FloatArray] = []

    def _enter(self) -> bool:
        return False

    def _write(self, frame: int, values: Mapping[str, FloatArray]) -> None:
        assert frame == len(self.frames)
        self.frames.append(values["velocity_x"].copy())

    def _put(self, name: str, values: FloatArray) -> None:
        pass

    def _commit(self, report: SolveReport, provenance: Provenance) -> bool:  # noqa: ARG002
        return True

    def _leave(self) -> None:
        pass


def model_and_recorder(problem: Problem, sample: Sample) -> tuple[FlowModel, Recorder]:
    mesh = problem.reference_mesh()
    layout = flow_layout("x", problem, problem.space(), [sample], mesh, SHORT.times(), {})
    model = FlowModel(problem, mesh, MPI.COMM_WORLD, SHORT, SolverSettings(), positions=False)
    return model, Recorder(layout.description, sample)


@pytest.fixture(scope="module")
def cylinder() -> Problem:
    return make_problem("cylinder", {"size": 0.025, "far_size": 0.1})


@pytest.fixture(scope="module")
def cavity() -> Problem:
    return make_problem("cavity", {"cells": 6})


def test_the_first_frame_at_time_zero_is_the_initial_field_without_forces(
    cylinder: Problem, solve: Solve
) -> None:
    mesh = cylinder.reference_mesh()
    found = solve(cylinder, [{}], SHORT, mesh)[0].values
    case = cylinder.case(cylinder.defaults, mesh)
    nodes = mesh.node_positions(mesh.points)
    expected = case.velocity(nodes, 0.0)
    expected[mesh.facet_nodes("cylinder")] = 0.0
    for axis, name in enumerate(("velocity_x", "velocity_y")):
        np.testing.assert_allclose(found[name][0], expected[:, axis], atol=1e-13)
    for name in ("drag", "lift", "pressure_difference", "courant"):
        assert np.isnan(found[name][0]), name
        assert np.isfinite(found[name][1:]).all(), name
    assert np.isfinite([found["kinetic_energy"], found["divergence"]]).all()


def test_stored_velocities_satisfy_their_boundary_values_exactly(
    cylinder: Problem, solve: Solve
) -> None:
    mesh = cylinder.reference_mesh()
    found = solve(cylinder, [{"amplitude": 0.5, "frequency": 5.0}], SHORT, mesh)[0].values
    case = cylinder.case({**cylinder.defaults, "amplitude": 0.5, "frequency": 5.0}, mesh)
    inlet = np.setdiff1d(mesh.facet_nodes("inlet"), mesh.facet_nodes("walls"))
    nodes = mesh.node_positions(mesh.points)[inlet]
    for frame, time in enumerate(SHORT.times()):
        expected = case.conditions[0].velocity(nodes, time)[:, 0]
        np.testing.assert_allclose(found["velocity_x"][frame, inlet], expected, rtol=1e-11)
    for part in ("walls", "cylinder"):
        for name in ("velocity_x", "velocity_y"):
            np.testing.assert_array_equal(found[name][:, mesh.facet_nodes(part)], 0.0)


def test_frames_are_written_one_at_a_time_and_reported_after_each(cavity: Problem) -> None:
    sample = Sample(0, dict(cavity.defaults), 0)
    model, sink = model_and_recorder(cavity, sample)
    seen: list[tuple[int, int]] = []
    with sink:
        model.solve(sample, sink, lambda frame: seen.append((frame, len(sink.frames))))
    # When frame i is reported, i + 1 frames are written.
    assert seen == [(i, i + 1) for i in range(SHORT.frames)]


def test_pressure_factors_are_made_once_for_each_geometry(cylinder: Problem, solve: Solve) -> None:
    mus: list[Mapping[str, float]] = [
        {},
        {"reynolds": 50.0},
        {"radius": 0.045},
        {"radius": 0.045, "reynolds": 90.0},
        {},
    ]
    found = solve(cylinder, mus, SHORT)
    counts = [found[i].report.counts["pressure_factorisations"] for i in range(len(mus))]
    assert counts == [2, 0, 2, 0, 2]


def test_a_sample_has_the_same_bits_alone_and_after_others(cylinder: Problem, solve: Solve) -> None:
    last = {"radius": 0.045, "centre_y": 0.21}
    after = solve(cylinder, [{}, {"radius": 0.06, "reynolds": 50.0}, last], SHORT)[2].values
    alone = solve(cylinder, [last], SHORT)[0].values
    for name, values in alone.items():
        np.testing.assert_array_equal(after[name], values, err_msg=name)


def test_a_report_counts_steps_frames_and_extremes(cylinder: Problem, solve: Solve) -> None:
    trajectory = solve(cylinder, [{}], SHORT)[0]
    report, found = trajectory.report, trajectory.values
    assert (report.reason, report.steps, report.frames) == ("finished", 8, 5)
    assert report.counts["momentum_solves"] == 2 * report.steps
    assert report.values["courant_max"] >= np.nanmax(found["courant"])
    for name in ("drag", "lift", "pressure_difference"):
        low, high = report.values[f"{name}_min"], report.values[f"{name}_max"]
        assert low <= np.nanmin(found[name]) <= np.nanmax(found[name]) <= high


def test_extremes_are_those_after_the_first_output_time(cylinder: Problem, solve: Solve) -> None:
    late = TimeSettings(start=0.008, end=0.016, frames=2, step=0.002)
    whole = solve(cylinder, [{}], TimeSettings(end=0.016, frames=9, step=0.002))[0]
    report = solve(cylinder, [{}], late)[0].report
    recorded = whole.values["drag"][5:]
    assert report.values["drag_min"] == pytest.approx(recorded.min(), rel=1e-9)
    assert report.values["drag_max"] == pytest.approx(recorded.max(), rel=1e-9)


def test_positions_are_stored_where_the_geometry_varies(cavity: Problem, solve: Solve) -> None:
    mesh = cavity.reference_mesh()
    found = solve(cavity, [{}, {"aspect_ratio": 2.0}], SHORT, mesh)
    nodes = mesh.node_positions(mesh.points)
    np.testing.assert_array_equal(found[0].values["node_y"], nodes[:, 1])
    np.testing.assert_allclose(found[1].values["node_y"], 2.0 * nodes[:, 1], rtol=1e-15)
    assert "node_y" not in solve(cavity, [{}], SHORT, mesh)[0].values


def test_options_are_named_as_they_were_used_and_leave_petsc_as_it_was(
    cavity: Problem,
) -> None:
    before = PETSc.Options().getAll()
    model = FlowModel(
        cavity,
        cavity.reference_mesh(),
        MPI.COMM_WORLD,
        SHORT,
        SolverSettings(momentum={"pc_type": "jacobi"}, rtol=1e-9),
        positions=False,
    )
    model.solve(Sample(0, dict(cavity.defaults), 0), None)
    assert model.options["-romflow_momentum_pc_type"] == "jacobi"
    assert model.options["-romflow_momentum_ksp_type"] == "bcgs"
    assert model.options["-romflow_momentum_ksp_rtol"] == "1e-09"
    assert model.options["-romflow_pressure_pc_type"] == "redundant"
    assert PETSc.Options().getAll() == before


@pytest.mark.parametrize(
    "solver",
    [
        {"momentum": {"pc_type": "jacobi"}},
        {"momentum": {"ksp_type": "gmres"}},
        {"momentum": {"ksp_type": "preonly", "pc_type": "lu"}},
        {"pressure": {"ksp_type": "cg", "pc_type": "jacobi"}},
    ],
)
def test_the_flow_does_not_depend_on_the_linear_solver(
    cavity: Problem, solve: Solve, solver: dict[str, dict[str, str]]
) -> None:
    one = solve(cavity, [{}], SHORT)[0].values
    other = solve(cavity, [{}], SHORT, **solver)[0].values
    for name in ("velocity_x", "velocity_y", "pressure"):
        scale = np.abs(one[name]).max()
        np.testing.assert_allclose(other[name], one[name], atol=1e-9 * scale, err_msg=name)


def failure(solve: Solve, *arguments: Any, **solver: Any) -> SampleError:
    with np.errstate(all="ignore"), pytest.raises(SampleError) as caught:
        solve(*arguments, **solver)
    return caught.value


def test_a_cylinder_in_the_wall_is_refused_as_geometry(cylinder: Problem, solve: Solve) -> None:
    error = failure(solve, cylinder, [{"centre_y": 0.06, "radius": 0.05}], SHORT)
    assert isinstance(error, GeometryError)
    assert error.reason == "geometry"
    for text in ("expected", "received 0.01 m", "Move the cylinder"):
        assert text in str(error)


def test_a_mesh_that_deforms_too_far_is_refused_as_geometry(
    cylinder: Problem, solve: Solve
) -> None:
    error = failure(solve, cylinder, [{"radius": 0.1}], SHORT)
    assert isinstance(error, GeometryError)
    for text in ("expected a mean-ratio quality of at least 0.15", "received -0.", "Narrow"):
        assert text in str(error)


def test_a_model_goes_on_after_a_refused_geometry(cylinder: Problem) -> None:
    good = Sample(0, dict(cylinder.defaults), 0)
    broken = Sample(0, {**cylinder.defaults, "centre_y": 0.06}, 0)
    model, before = model_and_recorder(cylinder, good)
    _, after = model_and_recorder(cylinder, good)
    with before:
        model.solve(good, before)
    with pytest.raises(GeometryError):
        model.solve(broken, None)
    with after:
        model.solve(good, after)
    for one, other in zip(before.frames, after.frames, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_step_above_the_courant_limit_is_refused(cavity: Problem, solve: Solve) -> None:
    time = TimeSettings(end=1.0, frames=2, step=0.5)
    error = failure(solve, cavity, [{"lid_speed": 10.0}], time)
    assert isinstance(error, StepError)
    assert error.reason == "time-step"
    for text in ("Courant number", "expected at most 2", "Reduce time.step"):
        assert text in str(error)


def test_a_flow_that_blows_up_is_named_as_such(cylinder: Problem, solve: Solve) -> None:
    time = TimeSettings(end=1000.0, frames=2, step=0.5, courant_limit=1e300)
    error = failure(solve, cylinder, [{"reynolds": 400.0}], time)
    assert isinstance(error, DivergedError | LinearSolveError)
    assert error.reason in ("diverged", "linear-solve")
    assert "expected" in str(error)
    assert "Reduce" in str(error)


def test_a_linear_system_that_does_not_converge_is_named_with_advice(
    cavity: Problem, solve: Solve
) -> None:
    error = failure(solve, cavity, [{}], SHORT, momentum={"ksp_max_it": "1", "pc_type": "none"})
    assert isinstance(error, LinearSolveError)
    assert error.reason == "linear-solve"
    for text in ("momentum system", "DIVERGED_MAX_IT", "expected convergence", "solver.momentum"):
        assert text in str(error)


@pytest.mark.parametrize("options", [{"pc_type": "sorr"}, {"ksp_typ": "gmres"}])
def test_options_that_petsc_does_not_know_are_refused_by_name(options: dict[str, str]) -> None:
    problem = make_problem("taylor-green", {"cells": 4})
    times = TimeSettings(end=0.1, frames=2, step=0.05)
    solver = SolverSettings(momentum=options)
    mesh = problem.reference_mesh()
    model = FlowModel(problem, mesh, MPI.COMM_SELF, times, solver, positions=False)
    with pytest.raises(UserError, match=rf"momentum system.*{next(iter(options.values()))}"):
        model.solve(Sample(0, dict(problem.defaults), 0), None)


def test_another_preconditioner_drops_the_options_of_the_default_one() -> None:
    chosen = with_choices(DIRECT, {"pc_type": "bjacobi"})
    assert chosen == {"ksp_type": "preonly", "pc_type": "bjacobi"}


def test_a_direct_method_drops_the_options_of_the_default_iteration() -> None:
    direct = {"ksp_type": "preonly", "pc_type": "lu"}
    assert with_choices(ITERATIVE, direct) == direct


@pytest.mark.parametrize("options", [{"pc_type": "jacobi"}, {"redundant_pc_type": "ilu"}])
def test_a_preconditioner_applied_once_is_refused_instead_of_believed(
    cavity: Problem, solve: Solve, options: dict[str, str]
) -> None:
    with pytest.raises(UserError, match=r"pressure.*relative residual of .*ksp_type: cg"):
        solve(cavity, [{}], SHORT, pressure=options)


def test_the_rtol_that_petsc_used_is_the_one_recorded(cavity: Problem) -> None:
    solver = SolverSettings(momentum={"ksp_rtol": "1e-7"})
    mesh = cavity.reference_mesh()
    model = FlowModel(cavity, mesh, MPI.COMM_WORLD, SHORT, solver, positions=False)
    assert model.options["-romflow_momentum_ksp_rtol"] == "1e-7"
