r"""Orders of convergence on decaying Taylor-Green vortices.

.. math::
   \partial_t u + (u \cdot \nabla) u - \nu \Delta u + \nabla p = 0, \quad \nabla \cdot u = 0

on the unit square, with the exact solution on the boundary and at the start:

.. math::
   u = (-\cos \pi x \sin \pi y, \; \sin \pi x \cos \pi y) \, e^{-2 \pi^2 \nu t}, \quad
   p = -\tfrac14 (\cos 2 \pi x + \cos 2 \pi y) \, e^{-4 \pi^2 \nu t}

Sources: Taylor and Green (1937, 10.1098/rspa.1937.0036); Chorin (1968,
10.1090/S0025-5718-1968-0242392-2). Quadratic velocities converge with the third power of the
cell size in L2, BDF2 with the square of the step.
"""

from collections.abc import Callable

import numpy as np
import pytest

from infra.stream import Trajectory
from solvers.backend import basix
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.problems.taylor_green import (
    TaylorGreen,
    TaylorGreenSettings,
    exact_pressure,
    exact_velocity,
)
from solvers.settings import TimeSettings

type Solve = Callable[..., dict[int, Trajectory]]


def l2_error(
    mesh: ReferenceMesh, nodes: FloatArray, degree: int, exact: Callable[[FloatArray], FloatArray]
) -> float:
    """Return the L2 norm of (n, k) nodal values minus `exact`, by quadrature of degree 8."""
    points, weights = basix.make_quadrature(basix.CellType.triangle, 8)
    variant = basix.LagrangeVariant.gll_warped
    element = basix.create_element(basix.ElementFamily.P, basix.CellType.triangle, degree, variant)
    corners = mesh.points[mesh.cells]
    cells = mesh.cells
    if degree == 2:
        edges = [mesh.edge_nodes(cells[:, pair]) for pair in ([1, 2], [0, 2], [0, 1])]
        cells = np.column_stack([cells, *edges])
    found = element.tabulate(0, points)[0, :, :, 0] @ nodes[cells]
    places = corners[:, :1] + points @ (corners[:, 1:] - corners[:, :1])
    expected = exact(places.reshape(-1, 2)).reshape(found.shape)
    volumes = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    return float(np.sqrt(np.einsum("q,c,cqk->", weights, volumes, (found - expected) ** 2)))


def errors(solve: Solve, cells: int, step: float, end: float, viscosity: float) -> list[float]:
    """Return the L2 errors of velocity and pressure at the time `end`."""
    problem = TaylorGreen(TaylorGreenSettings(cells=cells))
    time = TimeSettings(end=end, frames=1, step=step, courant_limit=100.0)
    found = solve(problem, [{"viscosity": viscosity}], time)[0].values
    mesh = problem.reference_mesh()
    velocity = np.stack([found["velocity_x"][0], found["velocity_y"][0]], axis=1)
    pressure = found["pressure"][0][:, None]
    return [
        l2_error(mesh, velocity, 2, lambda x: exact_velocity(x, end, viscosity)),
        l2_error(mesh, pressure, 1, lambda x: exact_pressure(x, end, viscosity)[:, None]),
    ]


def order(sizes: list[float], found: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(found), 1)[0])


def test_velocity_is_of_third_order_in_space(solve: Solve) -> None:
    cells = [4, 8, 16]
    found = [errors(solve, n, step=0.005, end=0.1, viscosity=0.01)[0] for n in cells]
    observed = order([1 / n for n in cells], found)
    assert observed >= 2.8, f"observed order {observed:.2f}, expected 3; errors {found}"


def test_velocity_is_of_second_order_in_time(solve: Solve) -> None:
    steps = [0.1, 0.05, 0.025]
    found = [errors(solve, 24, step, end=1.0, viscosity=0.05)[0] for step in steps]
    observed = order(steps, found)
    assert observed >= 1.9, f"observed order {observed:.2f}, expected 2; errors {found}"


@pytest.mark.parametrize("rotational", [True, False])
def test_both_pressure_updates_converge_to_the_exact_pressure(
    solve: Solve, rotational: bool
) -> None:
    problem = TaylorGreen(TaylorGreenSettings(cells=16))
    mesh = problem.reference_mesh()
    time = TimeSettings(end=0.2, frames=1, step=0.01)
    found = solve(problem, [{"viscosity": 0.02}], time, rotational=rotational)[0].values
    error = l2_error(
        mesh, found["pressure"][0][:, None], 1, lambda x: exact_pressure(x, 0.2, 0.02)[:, None]
    )
    assert error < 5e-3
