r"""Manufactured solutions of linear problems in time, with the observed order.

Each case gives its PDE and exact solution; errors are those of the last time in the discrete L2
norm over the vertices. In space and time together the step shrinks like the cells.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from solvers.backend import MPI
from solvers.boxes import box_mesh
from solvers.chunk import make_problem
from solvers.linear_space import distribute_linear
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problems.advection import Advection, AdvectionSettings
from solvers.sequence.traits import Traits
from solvers.settings import LinearSettings
from solvers.steady_case import Prescribed, Robin, TransportEquation, Unknown, constant
from solvers.transient_case import TransientCase
from solvers.transient_stepper import TransientStepper

PI = np.pi
U = Unknown("u", "1", "u")

type Exact = Callable[[FloatArray, float], FloatArray]
type Made = tuple[TransientCase, Exact]


def bump(x: FloatArray) -> FloatArray:
    return np.asarray(np.prod(np.sin(PI * x), axis=1))


def zero_on_all_sides(mesh: ReferenceMesh) -> tuple[Prescribed, ...]:
    return tuple(Prescribed(name, constant(0.0)) for name in mesh.names)


def decay(mesh: ReferenceMesh) -> Made:
    """u_t - D lap u = 0, u = exp(-d pi^2 D t) prod sin(pi x_d), D = 0.3, zero on the boundary."""
    n, D = len(mesh.cells), 0.3
    equation = TransportEquation(np.full(n, D), np.zeros(n), prescribed=zero_on_all_sides(mesh))
    case = TransientCase(U, equation, np.ones(n), bump, Traits(dimension=mesh.gdim))
    return case, lambda x, t: bump(x) * np.exp(-mesh.gdim * PI**2 * D * t)


def capacity(mesh: ReferenceMesh) -> Made:
    """C u_t - lap u + c u = C phi, C = 1 + x, c = C - 2 pi^2, u = (1 + exp(-t)) phi."""
    x = mesh.points[mesh.cells].mean(axis=1)
    C = 1.0 + x[:, 0]
    equation = TransportEquation(
        np.ones(len(x)), C * bump(x), C - 2 * PI**2, prescribed=zero_on_all_sides(mesh)
    )
    case = TransientCase(U, equation, C, lambda p: 2 * bump(p), Traits())
    return case, lambda p, t: (1.0 + np.exp(-t)) * bump(p)


def exchange(mesh: ReferenceMesh) -> Made:
    """u_t - lap u = 0, u = exp(-t) cos(x): exchange on the right, no flux elsewhere."""
    n = len(mesh.cells)
    robin = (Robin("right", constant(0.0), constant(np.tan(1.0))),)
    equation = TransportEquation(np.ones(n), np.zeros(n), robin=robin)

    def exact(p: FloatArray, t: float) -> FloatArray:
        return np.asarray(np.exp(-t) * np.cos(p[:, 0]))

    return TransientCase(U, equation, np.ones(n), lambda p: exact(p, 0.0), Traits()), exact


def pulse(diffusivity: float, cells: int = 8) -> Callable[[ReferenceMesh], Made]:
    """Return the problem `advection`: cells of Peclet number 78 and more for D = 1e-4."""
    problem = Advection(AdvectionSettings(cells=cells))
    mu = {
        "wind_speed": 1.0, "wind_angle": 0.6, "pulse_x": 0.35, "pulse_y": 0.4,
        "pulse_width": 0.1, "diffusivity": diffusivity,
    }  # fmt: skip

    def make(mesh: ReferenceMesh) -> Made:
        return problem.case(mu, mesh), lambda p, t: problem.exact(mu, p, t)

    return make


def final(mesh: ReferenceMesh, case: TransientCase, end: float, steps: int) -> FloatArray:
    """Return the solution (n_vertices,) at the time `end`."""
    space = distribute_linear(mesh, MPI.COMM_SELF)
    settings = LinearSettings(method="direct", rtol=1e-10)
    stepper = TransientStepper(space, case, end / steps, "test", settings, steps, 0)
    stepper.start(case)
    stepper.advance_to(steps)
    values = stepper.gather()[:, 0]
    stepper.destroy()
    return values


def order(numbers: Sequence[int], errors: Sequence[float]) -> float:
    return float(-np.polyfit(np.log(numbers), np.log(errors), 1)[0])


TABLE: dict[str, tuple[Callable[[ReferenceMesh], Made], int, Sequence[int], float, float]] = {
    "decay": (decay, 2, (8, 16, 32), 0.2, 1.0),
    "decay in space": (decay, 3, (6, 9, 12), 0.1, 1.0),
    "capacity and source": (capacity, 2, (8, 16, 32), 0.5, 1.0),
    "exchange": (exchange, 2, (8, 16, 32), 0.5, 1.0),
    "pulse with streamline diffusion": (pulse(1e-4), 2, (32, 48, 64), 0.2, 0.5),
    "pulse without": (pulse(0.02), 2, (24, 32, 48), 0.05, 0.5),
}


@pytest.mark.parametrize("name", TABLE)
def test_space_and_time_together_are_of_second_order(name: str) -> None:
    make, dimension, cells, end, steps_per_cell = TABLE[name]
    errors = []
    for n in cells:
        mesh = box_mesh(dimension, n)
        case, exact = make(mesh)
        found = final(mesh, case, end, round(steps_per_cell * n))
        expected = exact(mesh.points, end)
        errors.append(float(np.linalg.norm(found - expected) / np.linalg.norm(expected)))
    observed = order(cells, errors)
    # The leading term alone would give two; coarse meshes see the next one.
    assert 1.9 < observed < 2.6, f"{name}: order {observed:.2f} of errors {errors}"
    assert errors[-1] < 0.05


@pytest.mark.parametrize("name", ["heat", "advection"])
def test_time_steps_are_of_second_order_even_from_data_that_jump(name: str) -> None:
    problem = make_problem(name, {"cells": 12})
    mesh = problem.reference_mesh()
    case = problem.case(problem.defaults, mesh)
    assert isinstance(case, TransientCase)
    numbers = (20, 40, 80)
    best = final(mesh, case, 0.1, 1280)
    errors = [float(np.linalg.norm(final(mesh, case, 0.1, n) - best)) for n in numbers]
    observed = order(numbers, errors)
    assert 1.9 < observed < 2.4, f"{name}: order {observed:.2f} of errors {errors}"


def test_jumps_do_not_ring() -> None:
    """With steps of 40 h^2 undamped Crank-Nicolson would swing about the walls' temperatures."""
    problem = make_problem("heat", {"cells": 32})
    mesh = problem.reference_mesh()
    mu = {**dict.fromkeys(problem.defaults, 100.0), "temperature_initial": 500.0}
    case = problem.case(mu, mesh)
    assert isinstance(case, TransientCase)
    means = []
    for steps in range(1, 11):
        values = final(mesh, case, 0.04 * steps, steps)
        assert values.min() > 100.0 - 4.0
        assert values.max() < 500.0 + 4.0
        means.append(values.mean())
    assert (np.diff(means) < 0).all()
    assert means[-1] == pytest.approx(100.0, abs=0.5)
