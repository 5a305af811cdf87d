"""Forces, energy and divergence against known flows, UFL and a published benchmark."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from infra.stream import Trajectory
from solvers.backend import MPI, dolfinx, ufl
from solvers.discretisation import distribute
from solvers.flow_fields import FieldReader
from solvers.flow_operators import FlowOperators
from solvers.grids import graded, rectangle
from solvers.incompressible import FlowStepper
from solvers.linear import ITERATIVE
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problem import FlowCase, Force, Inflow, PressureDifference, at_rest, no_pressure
from solvers.problems.cylinder import Cylinder, CylinderSettings
from solvers.problems.taylor_green import TaylorGreen, TaylorGreenSettings
from solvers.quantities import FlowMonitor
from solvers.settings import TimeSettings

LENGTH, HEIGHT, VISCOSITY = 2.0, 1.0, 0.1


def channel() -> ReferenceMesh:
    return rectangle(np.linspace(0, LENGTH, 9), HEIGHT * graded(6, 1.0))


def along_x(values: FloatArray) -> FloatArray:
    return np.stack([values, np.zeros_like(values)], axis=1)


def couette(points: FloatArray, time: float) -> FloatArray:  # noqa: ARG001 - a Field
    return along_x(points[:, 1] / HEIGHT)


def poiseuille(points: FloatArray, time: float) -> FloatArray:  # noqa: ARG001 - a Field
    s = points[:, 1] / HEIGHT
    return along_x(6.0 * s * (1.0 - s))


def fall(points: FloatArray) -> FloatArray:
    """Return the pressure that drives `poiseuille`, zero at the outlet."""
    return 12.0 * VISCOSITY / HEIGHT**2 * (LENGTH - points[:, 0])


def steady(velocity: Any, pressure: Any, mesh: ReferenceMesh) -> dict[str, float]:
    """Return the quantities of a steady channel flow after a few steps from itself."""
    forces = [
        Force(f"{part}_{axis}", "", part, axis, 1.0)
        for part in ("bottom", "top")
        for axis in (0, 1)
    ]
    ends = [int(np.argmin(np.abs(mesh.points - [x, 0.0]).sum(axis=1))) for x in (0.0, LENGTH)]
    case = FlowCase(
        viscosity=VISCOSITY,
        conditions=tuple(Inflow(part, velocity) for part in ("left", "bottom", "top")),
        outflow=("right",),
        velocity=velocity,
        pressure=pressure,
        forces=tuple(forces),
        differences=(PressureDifference("drop", "", *ends),),
    )
    operators = FlowOperators(distribute(mesh, MPI.COMM_WORLD), case.outflow)
    stepper = FlowStepper(
        operators, VISCOSITY, case.conditions, options=ITERATIVE, rtol=1e-13, rotational=True
    )
    state = stepper.start(0.0, velocity, pressure)
    monitor = FlowMonitor(operators, case)
    for step in (0.05, 0.05, 0.07):
        values, _ = monitor.after_step(state, stepper.advance(state, step))
    return values


def test_friction_of_couette_flow_is_viscosity_times_shear() -> None:
    found = steady(couette, no_pressure, channel())
    friction = VISCOSITY * LENGTH / HEIGHT
    expected = {"bottom_0": friction, "top_0": -friction, "bottom_1": 0, "top_1": 0, "drop": 0}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-11), name


def test_friction_on_the_channel_walls_balances_the_pressure_drop() -> None:
    mesh = channel()
    found = steady(poiseuille, fall, mesh)
    drop = 12.0 * VISCOSITY * LENGTH / HEIGHT**2
    assert found["drop"] == pytest.approx(drop, rel=1e-11)
    # A wall's corner node also carries its share of the pressure on the inlet: the integral of
    # its basis function there, a sixth of the facet's length.
    facet = np.diff(np.unique(mesh.points[:, 1]))[0]
    walls = found["bottom_0"] + found["top_0"] + 2 * drop * facet / 6
    assert walls == pytest.approx(drop * HEIGHT, rel=1e-10)


def test_the_pressure_presses_the_walls_apart() -> None:
    found = steady(poiseuille, fall, channel())
    pressed = 6.0 * VISCOSITY * LENGTH**2 / HEIGHT**2
    assert found["top_1"] == pytest.approx(pressed, rel=1e-10)
    assert found["bottom_1"] == pytest.approx(-pressed, rel=1e-10)


def test_a_steady_flow_that_the_elements_contain_stays_steady() -> None:
    mesh = channel()
    operators = FlowOperators(distribute(mesh, MPI.COMM_WORLD), ("right",))
    conditions = [Inflow(part, poiseuille) for part in ("left", "bottom", "top")]
    stepper = FlowStepper(
        operators, VISCOSITY, conditions, options=ITERATIVE, rtol=1e-13, rotational=True
    )
    state, reader = stepper.start(0.0, poiseuille, fall), FieldReader(operators)
    before = reader.frame(state)
    for step in (0.1, 0.1, 0.05):
        stepper.advance(state, step)
    after = reader.frame(state)
    for name in ("velocity_x", "velocity_y", "pressure"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-11, err_msg=name)


@pytest.mark.parametrize("seed", [0, 1])
def test_energy_and_divergence_are_those_of_ufl(
    seed: int, crooked: Callable[[int, int], ReferenceMesh], integral: Callable[[Any], float]
) -> None:
    disc = distribute(crooked(2, seed), MPI.COMM_WORLD)
    operators, rng = FlowOperators(disc, ()), np.random.default_rng(seed)
    values = rng.normal(size=(disc.reference.n_nodes, 2))
    conditions = [Inflow("left", at_rest)]
    stepper = FlowStepper(
        operators, 1.0, conditions, options=ITERATIVE, rtol=1e-10, rotational=True
    )
    state = stepper.start(0.0, lambda points, _: values[: len(points)], no_pressure)
    components = [dolfinx.fem.Function(disc.quadratic) for _ in range(2)]
    for component, vector in zip(components, state.velocity[0], strict=True):
        component.x.array[:] = vector.array_r
    u = ufl.as_vector(components)
    frame = FieldReader(operators).frame(state)
    energy = integral(0.5 * ufl.dot(u, u) * ufl.dx)
    divergence = np.sqrt(integral(ufl.div(u) ** 2 * ufl.dx))
    assert frame["kinetic_energy"] == pytest.approx(energy, rel=1e-12)
    assert frame["divergence"] == pytest.approx(divergence, rel=1e-12)


def test_the_pressure_of_an_enclosed_flow_has_zero_mean() -> None:
    problem = TaylorGreen(TaylorGreenSettings(cells=4))
    mesh = problem.reference_mesh()
    case = problem.case(problem.defaults, mesh)
    operators = FlowOperators(distribute(mesh, MPI.COMM_WORLD), ())
    stepper = FlowStepper(
        operators, case.viscosity, case.conditions, options=ITERATIVE, rtol=1e-10, rotational=True
    )
    state = stepper.start(0.0, case.velocity, lambda points: case.pressure(points) + 7.0)
    pressure = FieldReader(operators).frame(state)["pressure"]
    areas = np.abs(np.linalg.det(mesh.points[mesh.cells[:, 1:]] - mesh.points[mesh.cells[:, :1]]))
    assert areas @ pressure[mesh.cells].mean(axis=1) == pytest.approx(0.0, abs=1e-14)


def test_steady_flow_around_a_cylinder_is_that_of_schaefer_and_turek(
    solve: Callable[..., dict[int, Trajectory]],
) -> None:
    """Benchmark 2D-1 of Schaefer and Turek (1996, 10.1007/978-3-322-89849-4_39).

    Published bounds: drag 5.57 to 5.59, lift 0.0104 to 0.0110, pressure difference 0.1172 to
    0.1176; the spectral reference of Nabh (1998) is 5.57954, 0.010619, 0.117520.
    """
    problem = Cylinder(CylinderSettings(size=0.004, far_size=0.08, mean_velocity=0.2))
    time = TimeSettings(end=9.0, frames=1, step=0.04, courant_limit=20.0)
    found = solve(problem, [{"reynolds": 20.0}], time, rtol=1e-8)[0].values
    drag, lift, drop = (float(found[name][0]) for name in ("drag", "lift", "pressure_difference"))
    assert 5.57 <= drag <= 5.59, f"drag {drag:.5f}"
    assert 0.0104 <= lift <= 0.0110, f"lift {lift:.6f}"
    assert 0.1172 <= drop <= 0.1176, f"pressure difference {drop:.6f}"
