r"""Manufactured solutions of every steady equation, with the observed order.

Each case of the table gives the PDE, its exact solution and the meshes; errors are measured in the
discrete L2 norm over the vertices, and the order is the slope of their logarithms.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from solvers.boxes import box_mesh, cell_centres, grid_mesh
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.published_matrices import darcy_5_point, darcy_7_point
from solvers.sequence.traits import Traits
from solvers.steady_case import (
    MatrixEquation,
    Prescribed,
    Robin,
    SteadyCase,
    TransportEquation,
    Unknown,
    constant,
)

PI = np.pi
U = (Unknown("u", "1", "u"),)
COMPLEX = (Unknown("re", "1", "real part"), Unknown("im", "1", "imaginary part"))


def centres(mesh: ReferenceMesh) -> FloatArray:
    return np.asarray(mesh.points[mesh.cells].mean(axis=1))


def bump(x: FloatArray) -> FloatArray:
    return np.asarray(np.prod(np.sin(PI * x), axis=1))


def on_all_sides(mesh: ReferenceMesh, u: Callable[[FloatArray], FloatArray]) -> tuple:
    return tuple(Prescribed(name, u) for name in mesh.names)


def variable_diffusion(mesh: ReferenceMesh) -> SteadyCase:
    r"""-div(K grad u) = f with K = exp(x), u = prod sin(pi x_d)."""
    x = centres(mesh)
    K = np.exp(x[:, 0])
    slope = PI * np.cos(PI * x[:, 0]) * np.prod(np.sin(PI * x[:, 1:]), axis=1)
    source = K * (mesh.gdim * PI**2 * bump(x) - slope)
    equation = TransportEquation(K, source, prescribed=on_all_sides(mesh, bump))
    return SteadyCase(U, equation, Traits(), exact=bump)


def mixed_conditions(mesh: ReferenceMesh) -> SteadyCase:
    r"""-lap u = 0, u = exp(pi x) sin(pi y): values left, a flux right, exchange bottom and top."""

    def u(p: FloatArray) -> FloatArray:
        return np.asarray(np.exp(PI * p[:, 0]) * np.sin(PI * p[:, 1]))

    def across(p: FloatArray) -> FloatArray:
        return np.asarray(PI * np.exp(PI * p[:, 0]) * np.cos(PI * p[:, 1]))

    def strength(p: FloatArray) -> FloatArray:
        return 2.0 + p[:, 0]

    n = len(mesh.cells)
    robin = (
        Robin("right", lambda p: PI * u(p)),
        Robin("bottom", lambda p: strength(p) * u(p) - across(p), strength),
        Robin("top", lambda p: strength(p) * u(p) + across(p), strength),
    )
    values = (Prescribed("left", u),)
    equation = TransportEquation(np.ones(n), np.zeros(n), prescribed=values, robin=robin)
    return SteadyCase(U, equation, Traits(symmetric=True, definite=True), exact=u)


def convection(diffusivity: float) -> Callable[[ReferenceMesh], SteadyCase]:
    r"""-D lap u + w.grad u + u = f, w = (y, -x), u = sin(pi x) sin(pi y), with upwinding."""

    def make(mesh: ReferenceMesh) -> SteadyCase:
        x = centres(mesh)
        wind = np.stack([x[:, 1], -x[:, 0]], axis=1)
        s, c = np.sin(PI * x), np.cos(PI * x)
        source = (2 * PI**2 * diffusivity + 1.0) * bump(x) + PI * (
            wind[:, 0] * c[:, 0] * s[:, 1] + wind[:, 1] * s[:, 0] * c[:, 1]
        )
        n = len(mesh.cells)
        equation = TransportEquation(
            np.full(n, diffusivity), source, np.ones(n), wind,
            on_all_sides(mesh, bump), streamline=True,
        )  # fmt: skip
        return SteadyCase(U, equation, Traits(), exact=bump)

    return make


def plane_wave(mesh: ReferenceMesh) -> SteadyCase:
    r"""-lap u - k^2 u = 0, d_n u - i k u = g with u = exp(i k d.x), k = 8."""
    k, direction = 8.0, np.array([np.cos(0.4), np.sin(0.4)])
    normals = {"left": (-1, 0), "right": (1, 0), "bottom": (0, -1), "top": (0, 1)}

    def u(p: FloatArray) -> NDArray[np.complex128]:
        return np.asarray(np.exp(1j * k * (p @ direction)))

    def data(name: str) -> Callable[[FloatArray], NDArray[np.complex128]]:
        across = 1j * k * (direction @ np.array(normals[name]) - 1.0)
        return lambda p: across * u(p)

    n = len(mesh.cells)
    robin = tuple(Robin(name, data(name), constant(-1j * k)) for name in mesh.names)
    equation = TransportEquation(np.ones(n), np.zeros(n), np.full(n, -(k**2)), robin=robin)
    return SteadyCase(COMPLEX, equation, Traits(), exact=u)


def lossy_wave(mesh: ReferenceMesh) -> SteadyCase:
    r"""-div(D grad u) - k^2 u = f with D = 1 - 0.2 i, u = (1 + i x) sin(pi x) sin(pi y), u = 0."""
    x, D, k = centres(mesh), 1.0 - 0.2j, 4.0

    def u(p: FloatArray) -> NDArray[np.complex128]:
        return np.asarray((1.0 + 1j * p[:, 0]) * bump(p))

    slope = PI * np.cos(PI * x[:, 0]) * np.sin(PI * x[:, 1])
    source = D * (2 * PI**2 * u(x) - 2j * slope) - k**2 * u(x)
    n = len(x)
    equation = TransportEquation(
        np.full(n, D), source, np.full(n, -(k**2)), prescribed=on_all_sides(mesh, u)
    )
    return SteadyCase(COMPLEX, equation, Traits(), exact=u)


TABLE: dict[str, tuple[Callable[[ReferenceMesh], SteadyCase], int, Sequence[int]]] = {
    "diffusion": (variable_diffusion, 2, (8, 16, 32)),
    "diffusion in space": (variable_diffusion, 3, (4, 8, 12)),
    "flux and exchange": (mixed_conditions, 2, (8, 16, 32)),
    "convection": (convection(0.1), 2, (8, 16, 32)),
    "waves": (plane_wave, 2, (12, 24, 48)),
    "waves with losses": (lossy_wave, 2, (8, 16, 32)),
}


def slope(cells: Sequence[int], errors: Sequence[float]) -> float:
    return float(-np.polyfit(np.log(cells), np.log(errors), 1)[0])


def error(mesh: ReferenceMesh, case: SteadyCase, found: FloatArray) -> float:
    assert case.exact is not None
    values = found[:, 0] if found.shape[1] == 1 else found[:, 0] + 1j * found[:, 1]
    expected = case.exact(mesh.points)
    return float(np.linalg.norm(values - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("name", TABLE)
def test_linear_elements_are_of_second_order(
    name: str, solution: Callable[[ReferenceMesh, SteadyCase], FloatArray]
) -> None:
    make, dimension, cells = TABLE[name]
    errors = []
    for n in cells:
        mesh = box_mesh(dimension, n)
        case = make(mesh)
        errors.append(error(mesh, case, solution(mesh, case)))
    order = slope(cells, errors)
    # The leading term alone would give two; coarse meshes see the next one.
    assert 1.8 < order < 2.4, f"{name}: order {order:.2f} of errors {errors}"
    assert errors[-1] < 0.03


def test_streamline_diffusion_keeps_convection_from_oscillating(
    solution: Callable[[ReferenceMesh, SteadyCase], FloatArray],
) -> None:
    mesh = box_mesh(2, 16)
    case = convection(1e-4)(mesh)
    assert error(mesh, case, solution(mesh, case)) < 0.05


def finite_volumes(n: int, dimension: int) -> tuple[FloatArray, FloatArray]:
    """Return finite-volume and exact values for K = exp(x), u = prod sin(pi x_d)."""
    axes = [cell_centres(n)] * dimension
    mesh = grid_mesh(axes)
    x = mesh.points
    K = np.exp(x[:, 0])
    slope = PI * np.cos(PI * x[:, 0]) * np.prod(np.sin(PI * x[:, 1:]), axis=1)
    source = K * (dimension * PI**2 * bump(x) - slope)
    assemble = darcy_5_point if dimension == 2 else darcy_7_point
    equation = MatrixEquation(assemble(K.reshape((n,) * dimension)), source / n**2)
    return equation, bump(x)  # type: ignore[return-value]


@pytest.mark.parametrize(("dimension", "cells"), [(2, (8, 16, 32)), (3, (5, 8, 12))])
def test_finite_volumes_are_of_second_order(
    dimension: int,
    cells: Sequence[int],
    solution: Callable[[ReferenceMesh, SteadyCase], FloatArray],
) -> None:
    errors = []
    for n in cells:
        equation, exact = finite_volumes(n, dimension)
        mesh = grid_mesh([cell_centres(n)] * dimension)
        found = solution(mesh, SteadyCase(U, equation, Traits()))[:, 0]
        errors.append(float(np.linalg.norm(found - exact) / np.linalg.norm(exact)))
    order = slope(cells, errors)
    assert 1.8 < order < 2.3, f"order {order:.2f} of errors {errors}"


def sine_series(points: FloatArray) -> FloatArray:
    """Return the solution of -lap u = 1 on the unit square, u = 0 on its boundary."""
    j = np.arange(1, 200, 2)
    waves = np.sin(PI * points[:, :, None] * j)
    weights = 16.0 / (PI**4 * np.outer(j, j) * (j[:, None] ** 2 + j**2))
    return np.asarray(np.einsum("nj,nk,jk->n", waves[:, 0], waves[:, 1], weights))


def test_finite_volumes_converge_to_the_series_of_the_uniform_medium(
    solution: Callable[[ReferenceMesh, SteadyCase], FloatArray],
) -> None:
    cells, errors = (10, 20, 40), []
    for n in cells:
        mesh = grid_mesh([cell_centres(n)] * 2)
        equation = MatrixEquation(darcy_5_point(np.ones((n, n))), np.full(n * n, 1.0 / n**2))
        found = solution(mesh, SteadyCase(U, equation, Traits()))[:, 0]
        errors.append(float(np.abs(found - sine_series(mesh.points)).max()))
    # Half a cell at the boundary leaves h^2 / 8 everywhere.
    np.testing.assert_allclose(errors, [1 / (8 * n**2) for n in cells], rtol=0.15)
