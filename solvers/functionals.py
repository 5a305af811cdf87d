"""Quantities of interest of steady problems, from a whole solution; plain NumPy."""

from collections.abc import Callable
from functools import cached_property
from typing import final

import numpy as np

from solvers.mesh import FloatArray, ReferenceMesh
from solvers.steady_case import Quantity, TransportEquation
from solvers.transport_elements import CellCoefficients, TransportElements

__all__ = ["Functionals", "Remembered"]


@final
class Remembered[T]:
    """What was computed for the last mesh; a study has one, so that it is computed once.

    Parameters
    ----------
    compute : maps a mesh to the value
    """

    def __init__(self, compute: Callable[[ReferenceMesh], T]) -> None:
        self._compute = compute
        self._last: tuple[ReferenceMesh, T] | None = None

    def __call__(self, mesh: ReferenceMesh) -> T:
        """Return the value for a mesh."""
        if self._last is None or self._last[0] is not mesh:
            self._last = mesh, self._compute(mesh)
        return self._last[1]


@final
class Functionals:
    """Integrals over one mesh.

    Parameters
    ----------
    mesh : the reference mesh
    """

    def __init__(self, mesh: ReferenceMesh) -> None:
        self._mesh = mesh

    @cached_property
    def centres(self) -> FloatArray:
        """(n_cells, gdim) centres of the cells, metres."""
        return np.asarray(self._mesh.points[self._mesh.cells].mean(axis=1))

    @cached_property
    def elements(self) -> TransportElements:
        """Geometry of all cells."""
        return TransportElements.of(self._mesh.points[self._mesh.cells])

    @cached_property
    def measure(self) -> float:
        """Area or volume of the domain, m^gdim."""
        return float(self.elements.measure.sum())

    @cached_property
    def weights(self) -> FloatArray:
        """(n_vertices,) integrals of the basis functions over the volume of the domain."""
        m = self._mesh.cells.shape[1]
        shares = np.repeat(self.elements.measure / m, m)
        sums = np.bincount(self._mesh.cells.ravel(), shares, self._mesh.n_vertices)
        return np.asarray(sums / sums.sum())

    def mean(self, name: str, units: str, long_name: str) -> Quantity:
        """Return the mean of the first unknown over the domain."""
        return Quantity(name, units, long_name, lambda u: float(self.weights @ u[:, 0]))

    def outflow(
        self, name: str, units: str, long_name: str, part: str, equation: TransportEquation
    ) -> Quantity:
        r"""Return the diffusive flux :math:`-\int D\,\partial_n u` out of the domain at a part.

        It is the reaction of the discrete equations at prescribed values, of twice the order of
        an integral of the gradient (Babuska and Miller, 1984, 10.1002/nme.1620200610).
        """

        def evaluate(u: FloatArray) -> float:
            mesh = self._mesh
            on_part = np.zeros(mesh.n_vertices, dtype=np.bool_)
            on_part[mesh.facets[mesh.tags == mesh.names[part]]] = True
            chosen = on_part[mesh.cells]
            near = np.flatnonzero(chosen.any(axis=1))
            elements, given = self.elements.subset(near), CellCoefficients.of(equation, near)
            products = np.einsum("nij,nj->ni", elements.matrices(given), u[mesh.cells[near], 0])
            return -float((products - elements.loads(given))[chosen[near]].sum())

        return Quantity(name, units, long_name, evaluate)
