"""The directional do-nothing term is that of UFL, and only where fluid comes back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from solvers.backend import MPI, dolfinx, ufl
from solvers.discretisation import Discretisation, distribute
from solvers.flow_operators import FlowOperators
from solvers.mesh import FloatArray, ReferenceMesh
from solvers.outflow import facet_cells

type NewMesh = Callable[[int, int], ReferenceMesh]


def added(disc: Discretisation, outflow: tuple[str, ...], velocity: FloatArray) -> FloatArray:
    """Return the term's element matrices: with an outflow minus without one."""
    cells = velocity[disc.quadratic.dofmap.list]
    with_term, _ = FlowOperators(disc, outflow).convection(cells)
    without, _ = FlowOperators(disc, ()).convection(cells)
    return with_term - without


@pytest.mark.parametrize("gdim", [2, 3])
def test_the_term_is_that_of_ufl(
    gdim: int,
    crooked: NewMesh,
    assembled: Callable[[Any], FloatArray],
    dense: Callable[[Any], FloatArray],
) -> None:
    disc = distribute(crooked(gdim, 11), MPI.COMM_WORLD)
    velocity = np.random.default_rng(1).normal(size=(disc.reference.n_nodes, gdim))
    wind = [dolfinx.fem.Function(disc.quadratic) for _ in range(gdim)]
    for axis, component in enumerate(wind):
        component.x.array[:] = velocity[:, axis]
    u, v = ufl.TrialFunction(disc.quadratic), ufl.TestFunction(disc.quadratic)
    # The integrand has a kink, so that both sides must use the same quadrature points.
    out = ufl.Measure("ds", disc.mesh, subdomain_data=disc.facets)(
        (disc.reference.names["left"], disc.reference.names["right"]),
        metadata={"quadrature_degree": 6},
    )
    flux = ufl.dot(ufl.as_vector(wind), ufl.FacetNormal(disc.mesh))
    expected = assembled(-0.5 * ufl.min_value(flux, 0) * u * v * out)
    operators = FlowOperators(disc, ("left", "right"))
    matrix = dense(operators.pattern.matrix(added(disc, ("left", "right"), velocity)))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(matrix, expected, atol=1e-13)


def test_the_term_vanishes_where_the_flow_leaves(crooked: NewMesh) -> None:
    disc = distribute(crooked(2, 12), MPI.COMM_WORLD)
    mesh = disc.reference
    ends = mesh.points[mesh.facets[mesh.tags == mesh.names["right"]]]
    outwards = ends.mean(axis=(0, 1)) - mesh.points.mean(axis=0)
    velocity = np.broadcast_to(outwards, (mesh.n_nodes, 2))
    assert not added(disc, ("right",), velocity).any()
    assert added(disc, ("right",), -velocity).any()


def test_the_term_takes_energy_out_of_whatever_comes_in(crooked: NewMesh) -> None:
    disc = distribute(crooked(2, 13), MPI.COMM_WORLD)
    velocity = np.random.default_rng(2).normal(size=(disc.reference.n_nodes, 2))
    term = added(disc, ("right",), velocity)
    np.testing.assert_allclose(term, np.swapaxes(term, 1, 2), atol=1e-14)
    assert np.linalg.eigvalsh(term).min() > -1e-14


def test_facets_are_found_in_the_cell_behind_them(crooked: NewMesh) -> None:
    disc = distribute(crooked(2, 14), MPI.COMM_WORLD)
    facets = disc.facets.find(disc.reference.names["top"])
    cells, sides = facet_cells(disc.mesh, facets)
    ends = dolfinx.mesh.entities_to_geometry(disc.mesh, 1, facets)
    for cell, side, pair in zip(cells, sides, ends, strict=True):
        # Side i of a simplex lies opposite to its corner i.
        corners = disc.mesh.geometry.dofmaps[0][cell]
        assert set(np.delete(corners, side)) == set(pair)
