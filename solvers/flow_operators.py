"""Constant operators of the incompressible flow equations on one geometry."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from solvers.backend import PETSc, dolfinx
from solvers.discretisation import Discretisation
from solvers.linear import DIRECT
from solvers.mesh import FloatArray
from solvers.operators import MatrixPattern
from solvers.outflow import Backflow, facet_cells
from solvers.sequence.solver import SequenceSolver
from solvers.sequence.traits import Traits
from solvers.settings import LinearSettings
from solvers.tensors import cell_geometry, reference_tensors

__all__ = ["FlowOperators"]


@final
class FlowOperators:
    """Mass, stiffness and divergence matrices, and the factors of the pressure systems.

    Patterns and symbolic factorisations are made once for a mesh; `refill` computes new values
    when the geometry changes.

    Parameters
    ----------
    disc : mesh and spaces
    outflow : names of the boundary parts where the pressure increment vanishes
    options : PETSc options of the pressure solvers
    """

    def __init__(
        self, disc: Discretisation, outflow: tuple[str, ...], options: Mapping[str, str] = DIRECT
    ) -> None:
        self.disc = disc
        gdim = disc.reference.gdim
        self.tensors = reference_tensors(gdim)
        self.geometry = cell_geometry(self._corners())
        velocity, pressure = disc.quadratic, disc.linear
        self.cell_nodes = velocity.dofmap.list[: len(self.geometry.determinant)]
        self.pattern = MatrixPattern(velocity, velocity)
        self.mass, self.stiffness = (self.pattern.matrix(e) for e in self._square())
        coupling = MatrixPattern(pressure, velocity)
        self.divergence = [coupling.matrix(self._coupling(d)) for d in range(gdim)]
        scalar = MatrixPattern(pressure, pressure)
        self.pressure_mass, self._poisson = (scalar.matrix(e) for e in self._scalar())
        self.enclosed = not outflow
        self.pressure_rows = self._constrained_pressure(outflow)
        self._constrain()
        self.poisson = _sequence(self._poisson, "pressure", options)
        self.projection = _sequence(self.pressure_mass, "pressure_mass", options)
        facets = [disc.facets.find(disc.reference.names[name]) for name in outflow]
        open_facets = np.concatenate([np.empty(0, np.int64), *facets])
        self._backflow = Backflow(*facet_cells(disc.mesh, open_facets), gdim)

    def refill(self) -> None:
        """Recompute everything for the mesh's present vertex positions."""
        self.geometry = cell_geometry(self._corners())
        square, scalar = self._square(), self._scalar()
        pairs = zip(
            (self.mass, self.stiffness, self.pressure_mass, self._poisson),
            (*square, *scalar),
            strict=True,
        )
        for matrix, elements in pairs:
            matrix.setValuesCOO(elements.ravel(), PETSc.InsertMode.INSERT_VALUES)
        for axis, matrix in enumerate(self.divergence):
            matrix.setValuesCOO(self._coupling(axis).ravel(), PETSc.InsertMode.INSERT_VALUES)
        self._constrain()
        self.poisson.refilled()
        self.projection.refilled()

    def convection(self, velocity: FloatArray) -> tuple[FloatArray, float]:
        r"""Return the convection matrices of a velocity and its Courant rate on this rank.

        Parameters
        ----------
        velocity : (n_cells, n, gdim) nodal values w, m/s

        Returns
        -------
        elements : (n_cells, n, n) matrices
        rate : largest :math:`|J^{-1} w|_\infty`, 1/s; times the step it is the Courant number,
            the part of a cell's edge crossed in a step
        """
        crossing = velocity @ np.swapaxes(self.geometry.inverse, 1, 2)
        elements = self.tensors.convections(self.geometry, crossing)
        self._backflow.add_to(elements, self.geometry, velocity)
        return elements, float(np.abs(crossing).max(initial=0.0))

    def cell_values(self, vectors: list[Any]) -> FloatArray:
        """Return the (n_cells, n, gdim) nodal values of ghosted vectors, one per component."""
        columns = []
        for vector in vectors:
            with vector.localForm() as local:
                columns.append(local.getArray(readonly=True).copy())
        # Whole rows at once: several times as fast as fancy indexing component by component.
        return np.stack(columns, axis=-1).take(self.cell_nodes, axis=0)

    def volume(self) -> float:
        """Return the volume of this rank's cells, m^gdim."""
        return float(self.geometry.determinant.sum() * self.tensors.linear_mass.sum())

    def _corners(self) -> FloatArray:
        mesh = self.disc.mesh
        cells = mesh.topology.index_map(mesh.topology.dim).size_local
        nodes = mesh.geometry.dofmaps[0][:cells]
        return np.asarray(mesh.geometry.x[nodes][..., : self.disc.reference.gdim])

    def _square(self) -> tuple[FloatArray, FloatArray]:
        return self.tensors.masses(self.geometry), self.tensors.stiffnesses(self.geometry)

    def _scalar(self) -> tuple[FloatArray, FloatArray]:
        tensors, cells = self.tensors, self.geometry
        return tensors.linear_masses(cells), tensors.linear_stiffnesses(cells)

    def _coupling(self, axis: int) -> FloatArray:
        return self.tensors.divergences(self.geometry, axis)

    def _constrained_pressure(self, outflow: tuple[str, ...]) -> Any:
        """Return the global rows that this rank constrains to a zero pressure increment.

        Without an outlet the pressure is known up to a constant; canonical vertex 0 is fixed,
        the same one on any number of ranks.
        """
        space = self.disc.linear
        owned = space.dofmap.index_map.size_local
        start = space.dofmap.index_map.local_range[0]
        if outflow:
            names = self.disc.reference.names
            facets = np.concatenate([self.disc.facets.find(names[name]) for name in outflow])
            dim = self.disc.mesh.topology.dim
            dofs = dolfinx.fem.locate_dofs_topological(space, dim - 1, facets)
        else:
            dofs = np.flatnonzero(self.disc.corners == 0)
        return (dofs[dofs < owned] + start).astype(PETSc.IntType)

    def _constrain(self) -> None:
        self._poisson.zeroRowsColumns(self.pressure_rows, 1.0)


def _sequence(matrix: Any, name: str, options: Mapping[str, str]) -> SequenceSolver:
    return SequenceSolver(
        matrix,
        name=name,
        settings=LinearSettings(rtol=1e-12),
        traits=Traits(symmetric=True),
        guess="given",
        options=options,
    )
