"""Element matrices of the transport equation against UFL, on crooked meshes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from solvers.backend import MPI, dolfinx, ufl
from solvers.linear_space import LinearSpace, distribute_linear
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.steady_case import Prescribed, TransportEquation, constant
from solvers.transport_elements import CellCoefficients, TransportElements


@pytest.fixture(scope="module", params=[2, 3])
def space(request: pytest.FixtureRequest, crooked: Callable[..., ReferenceMesh]) -> LinearSpace:
    return distribute_linear(crooked(request.param, 5), MPI.COMM_SELF)


def assembled_here(space: LinearSpace, elements: FloatArray) -> FloatArray:
    size = space.reference.n_vertices
    matrix = np.zeros((size, size))
    np.add.at(matrix, (space.dofs[:, :, None], space.dofs[:, None, :]), elements)
    return matrix


def cellwise(space: LinearSpace, values: FloatArray) -> Any:
    """Return values in canonical order of the cells as a DG0 coefficient."""
    shape = values.shape[1:]
    function = dolfinx.fem.Function(
        dolfinx.fem.functionspace(space.space.mesh, ("Discontinuous Lagrange", 0, shape))
    )
    function.x.array[:] = values[space.cells].ravel()
    return function


def coefficients(space: LinearSpace, **given: Any) -> CellCoefficients:
    n = len(space.cells)
    given = {"diffusion": np.ones(n), "source": np.zeros(n), **given}
    return CellCoefficients.of(TransportEquation(**given), space.cells)


def test_matrices_are_those_of_the_weak_form(
    space: LinearSpace, assembled: Callable[[Any], FloatArray]
) -> None:
    rng, n, gdim = np.random.default_rng(1), len(space.cells), space.reference.gdim
    diffusion, reaction = rng.uniform(1, 5, n), rng.uniform(-1, 1, n)
    wind = rng.uniform(-1, 1, (n, gdim))
    u, v = ufl.TrialFunction(space.space), ufl.TestFunction(space.space)
    form = (
        cellwise(space, diffusion) * ufl.inner(ufl.grad(u), ufl.grad(v))
        + ufl.dot(cellwise(space, wind), ufl.grad(u)) * v
        + cellwise(space, reaction) * u * v
    ) * ufl.dx
    given = coefficients(space, diffusion=diffusion, reaction=reaction, wind=wind)
    found = assembled_here(space, TransportElements.of(space.corners).matrices(given))
    np.testing.assert_allclose(found, assembled(form), rtol=1e-12, atol=1e-13)


def test_streamline_diffusion_is_that_of_its_formula(
    space: LinearSpace, assembled: Callable[[Any], FloatArray]
) -> None:
    rng, n, gdim = np.random.default_rng(2), len(space.cells), space.reference.gdim
    diffusion, wind = 10.0 ** rng.uniform(-3, 1, n), rng.uniform(-1, 1, (n, gdim))
    reaction = rng.uniform(0, 1, n)
    elements = TransportElements.of(space.corners)
    speed = np.linalg.norm(wind[space.cells], axis=1)
    direction = wind[space.cells] / speed[:, None]
    length = 2.0 / np.abs(np.einsum("nid,nd->ni", elements.gradients, direction)).sum(axis=1)
    peclet = speed * length / (2 * diffusion[space.cells])
    assert (peclet > 1).any()
    assert (peclet < 1).any()
    tau = np.empty(n)
    tau[space.cells] = np.where(peclet > 1, length / (2 * speed) * (1 - 1 / peclet), 0.0)
    u, v = ufl.TrialFunction(space.space), ufl.TestFunction(space.space)
    w = cellwise(space, wind)
    residual = ufl.dot(w, ufl.grad(u)) + cellwise(space, reaction) * u
    form = cellwise(space, tau) * ufl.dot(w, ufl.grad(v)) * residual * ufl.dx
    given = {"diffusion": diffusion, "wind": wind, "reaction": reaction}
    plain, stable = (
        elements.matrices(coefficients(space, **given, streamline=on)) for on in (False, True)
    )
    np.testing.assert_allclose(
        assembled_here(space, stable - plain), assembled(form), rtol=1e-9, atol=1e-12
    )


def test_cells_without_wind_are_no_special_case(space: LinearSpace) -> None:
    n, gdim = len(space.cells), space.reference.gdim
    elements = TransportElements.of(space.corners)
    still = coefficients(space, wind=np.zeros((n, gdim)), streamline=True)
    np.testing.assert_array_equal(elements.matrices(still), elements.stiffness)


def test_loads_sum_to_the_integral_of_the_source(space: LinearSpace) -> None:
    source = np.random.default_rng(3).uniform(-1, 1, len(space.cells))
    elements = TransportElements.of(space.corners)
    total = elements.loads(coefficients(space, source=source)).sum()
    assert total == pytest.approx(source[space.cells] @ elements.measure, rel=1e-13)


def test_constants_are_in_the_kernel_without_reaction(space: LinearSpace) -> None:
    wind = np.random.default_rng(4).uniform(-1, 1, (len(space.cells), space.reference.gdim))
    given = coefficients(
        space, wind=wind, diffusion=np.full(len(space.cells), 1e-3), streamline=True
    )
    rows = TransportElements.of(space.corners).matrices(given).sum(axis=2)
    np.testing.assert_allclose(rows, 0.0, atol=1e-13)


def test_parts_are_found_in_local_numbers(space: LinearSpace) -> None:
    mesh = space.reference
    for name, tag in mesh.names.items():
        wanted = {tuple(sorted(f)) for f in mesh.facets[mesh.tags == tag].tolist()}
        found = {tuple(sorted(f)) for f in space.vertices[space.facets(name)].tolist()}
        assert found == wanted
        vertices = set(space.vertices[space.on_part(name)].tolist())
        assert vertices == {v for facet in wanted for v in facet}
    assert Prescribed("left", constant(2.0)).value(np.zeros((3, 2))).tolist() == [2.0] * 3
