r"""Displacements converge with the square of the cell size in linear elements.

Exact: :math:`u = \nabla\varphi` with harmonic :math:`\varphi`, which is free of divergence and
needs no body force for any elastic constants; prescribed all around.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from solvers.laws.description import law_from
from solvers.laws.law import Law
from solvers.loads import LoadCase, Prescribed
from solvers.mesh import FloatArray
from solvers.problems.structures import structure_class
from solvers.structure_quadrature import shapes
from solvers.structures.state_files import History

# Kind, order in L2, numbers of cells along an edge.
ORDERS = (
    ("hexahedron", 2.0, (2, 4, 6)),
    ("tetrahedron", 2.0, (2, 4, 6)),
    ("tetrahedron10", 3.0, (1, 2, 3)),
)


def exact(points: FloatArray) -> FloatArray:
    """Return the gradient of x^3 y - x y^3 + e^x sin(z) + y z, times 1e-3 mm."""
    x, y, z = points.T
    gradient = (
        3 * x**2 * y - y**3 + np.exp(x) * np.sin(z),
        x**3 - 3 * x * y**2 + z,
        np.exp(x) * np.cos(z) + y,
    )
    return 1e-3 * np.stack(gradient, axis=1)


def held(mesh: Any) -> tuple[Any, LoadCase]:
    values = exact(mesh.points)
    nodes = {str(node): np.array([node]) for node in mesh.nodes["all"]}
    conditions = tuple(
        Prescribed(name, axis, float(values[node[0], axis]))
        for name, node in nodes.items()
        for axis in range(3)
    )
    return type(mesh)(mesh.points, mesh.cells, mesh.kind, {}, nodes), LoadCase(conditions)


def error_of(mesh: Any, displacement: FloatArray) -> float:
    """Return the L2 error, by a rule that is not where a harmonic error vanishes."""
    line, weight = np.polynomial.legendre.leggauss(3)
    grid = np.stack(np.meshgrid(line, line, line), axis=-1).reshape(-1, 3)
    points, weights = 0.5 + 0.5 * grid, np.prod(np.stack(np.meshgrid(*[weight / 2] * 3)), axis=0)
    if mesh.kind != "hexahedron":
        # The corner of the cube collapsed (Stroud): u v w -> tetrahedron.
        u, v, w = points.T
        points = np.stack([u, v * (1 - u), w * (1 - u) * (1 - v)], axis=1)
        weights = weights.ravel() * (1 - u) ** 2 * (1 - v)
    values, slopes = shapes(mesh.kind, points)
    corners = mesh.points[mesh.cells]
    volumes = np.linalg.det(np.einsum("cki,gkj->cgij", corners, slopes)) * weights.ravel()
    places = np.einsum("gk,cki->cgi", values, corners)
    found = np.einsum("gk,cki->cgi", values, displacement[mesh.cells])
    off = found - exact(places.reshape(-1, 3)).reshape(found.shape)
    return float(np.sqrt(np.einsum("cg,cgi,cgi->", volumes, off, off)))


@pytest.mark.parametrize(("kind", "order", "counts"), ORDERS)
def test_the_error_falls_with_its_order(
    box: Callable[..., Any],
    law: Callable[..., Law],
    solve: Callable[..., History],
    kind: str,
    order: float,
    counts: tuple[int, ...],
) -> None:
    errors = []
    for n in counts:
        mesh, loads = held(box((n, n, n), (1.0, 1.0, 1.0), kind))
        state = solve(mesh, law("thermoelastic"), loads, [0.0, 1.0], tolerance=1e-10).state(1)
        errors.append(error_of(mesh, state.displacement))
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.2), f"observed order {slope:.2f}, {errors}"


def test_plastic_displacements_converge_to_those_of_a_fine_mesh(
    solve: Callable[..., History],
) -> None:
    # Without reactions at the held edge the displacements are smooth.
    kind: Any = structure_class("cube")
    found = {}
    for cells in (2, 4, 8):
        case = kind(kind.Settings(cells=cells)).case({"speed": 0.0, "pressure": -150.0})
        state = solve(case.mesh, law_from(case.law), case.loads, [0.0, 0.5, 1.0], tolerance=1e-8)
        assert state.state(-1).internal[:, 6].mean() > 1e-4, "plastic flow"
        nodes = np.arange(case.mesh.n_nodes).reshape([cells + 1] * 3)
        step = cells // 2
        found[cells] = state.state(-1).displacement[nodes[::step, ::step, ::step].ravel()]
    coarse, middle = (np.linalg.norm(found[n] - found[8]) for n in (2, 4))
    assert middle < coarse / 2.5, f"errors {coarse:.2e}, {middle:.2e}"
    assert middle < 0.1 * np.linalg.norm(found[8])
