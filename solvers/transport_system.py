r"""Linear systems of the scalar transport equation in linear elements, refilled in place.

Complex systems are stored as real ones with two unknowns per vertex, real and imaginary part:

.. math:: a + ib \;\mapsto\; \begin{pmatrix} a & -b \\ b & a \end{pmatrix}

Prescribed values are eliminated symmetrically: their rows and columns keep their entries as
zeros, so that the pattern is that of all samples.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from solvers.backend import PETSc
from solvers.linear_space import LinearSpace
from solvers.mesh import FloatArray, IntArray, ReferenceMesh
from solvers.steady_case import Robin, SteadyCase, TransportEquation
from solvers.steady_system import SteadySystem, coo_matrix, fill
from solvers.transport_elements import CellCoefficients, TransportElements, facet_masses

__all__ = ["TransportSystem"]


@final
class TransportSystem(SteadySystem):
    """See the module.

    Parameters
    ----------
    space : P1 space on the mesh
    case : a case of the sequence; it gives the boundary parts and whether it is complex

    Attributes
    ----------
    elements : geometry of the cells of this rank
    """

    def __init__(self, space: LinearSpace, case: SteadyCase) -> None:
        equation = _equation(case)
        self._space = space
        self._parts = len(case.unknowns)
        self.elements = TransportElements.of(space.corners)
        self._prescribed = [space.on_part(condition.part) for condition in equation.prescribed]
        self._facets = {r.part: space.facets(r.part) for r in equation.robin}
        self._fixed = np.zeros(len(space.vertices), dtype=np.bool_)
        for dofs in self._prescribed:
            self._fixed[dofs] = True
        self._edge = np.flatnonzero(self._fixed[space.dofs].any(axis=1))
        self._edge_elements = self.elements.subset(self._edge)
        self._scale = _diagonal_scale(space.reference)
        self._make_matrix()
        self._load = self._ghosted_vector()

    def refill(self, case: SteadyCase) -> None:
        """Give the matrix the values of a case; see `SteadySystem.refill`."""
        equation = _equation(case)
        given = CellCoefficients.of(equation, self._space.cells)
        blocks = [self.elements.matrices(given)]
        blocks += [self._exchange(condition) for condition in equation.robin]
        values = [self._expanded(block).ravel() for block in blocks]
        values.append(np.full(self._n_fixed * self._parts, self._scale))
        # Not a product with the mask: NaN must stay visible, even where it would be eliminated.
        merged = np.concatenate(values)
        merged[self._eliminated & np.isfinite(merged)] = 0.0
        fill(self.matrix, merged)

    def right(self, case: SteadyCase) -> FloatArray:
        """Return the owned right-hand side, prescribed values eliminated."""
        equation = _equation(case)
        given = CellCoefficients.of(equation, self._space.cells)
        loads = [(self._space.dofs, self.elements.loads(given))]
        loads += [self._flux(condition) for condition in equation.robin]
        values = self._prescribed_values(equation)
        loads += self._eliminated_loads(equation, values)
        vector = self._summed(loads)
        fixed = self._fixed[: self._space.n_owned]
        vector[fixed] = self._scale * self._as_parts(values[: self._space.n_owned][fixed])
        return vector.ravel()

    def gather(self, owned: FloatArray) -> FloatArray:
        """Return the solution on rank 0; see `SteadySystem.gather`."""
        columns = owned.reshape(-1, self._parts).T
        return np.stack([self._space.gather(column) for column in columns], axis=1)

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        super().destroy()
        self._load.destroy()

    def _make_matrix(self) -> None:
        """Collect rows and columns of all contributions: cells, exchange, prescribed values."""
        groups = [self._space.dofs, *self._facets.values()]
        pairs = [self._pairs(group) for group in groups]
        own = np.flatnonzero(self._fixed[: self._space.n_owned])
        self._n_fixed = len(own)
        diagonal = self._interleaved(own).ravel()
        rows, columns = (np.concatenate([p[i] for p in pairs]) for i in (0, 1))
        fixed = np.repeat(self._fixed, self._parts)
        eliminated = fixed[rows] | fixed[columns]
        kept = np.zeros(len(diagonal), dtype=np.bool_)
        self._eliminated = np.concatenate([eliminated, kept])
        self.matrix = coo_matrix(
            self._space.comm,
            self._parts * self._space.n_owned,
            self._global(np.concatenate([rows, diagonal])),
            self._global(np.concatenate([columns, diagonal])),
        )

    def _interleaved(self, dofs: IntArray) -> IntArray:
        """Return local unknowns (..., parts) of local degrees of freedom (...)."""
        return np.asarray(self._parts * dofs[..., None] + np.arange(self._parts))

    def _pairs(self, group: IntArray) -> tuple[IntArray, IntArray]:
        """Return flat local rows and columns of the element matrices on (n, m) dofs."""
        # The width is given, for a rank may have no cells.
        unknowns = self._interleaved(group).reshape(len(group), self._parts * group.shape[1])
        shape = (*unknowns.shape, unknowns.shape[1])
        rows = np.broadcast_to(unknowns[:, :, None], shape).ravel()
        return rows, np.broadcast_to(unknowns[:, None, :], shape).ravel()

    def _global(self, unknowns: IntArray) -> IntArray:
        dofs, part = np.divmod(unknowns, self._parts)
        return self._parts * self._space.global_numbers(dofs) + part

    def _expanded(self, elements: NDArray[Any]) -> FloatArray:
        """Return real element matrices (n, 2 m, 2 m) of complex ones (n, m, m)."""
        if self._parts == 1:
            return elements
        n, m, _ = elements.shape
        blocks = np.empty((n, m, 2, m, 2))
        blocks[:, :, 0, :, 0] = blocks[:, :, 1, :, 1] = elements.real
        blocks[:, :, 1, :, 0] = elements.imag
        blocks[:, :, 0, :, 1] = -elements.imag
        return blocks.reshape(n, 2 * m, 2 * m)

    def _as_parts(self, values: NDArray[Any]) -> FloatArray:
        """Return (n, parts) real numbers of (n,) values."""
        if self._parts == 1:
            return values[:, None]
        return np.stack([values.real, values.imag], axis=1)

    def _positions(self, dofs: IntArray) -> FloatArray:
        return self._space.reference.points[self._space.vertices[dofs]]

    def _exchange(self, condition: Robin) -> NDArray[Any]:
        facets = self._facets[condition.part]
        corners = self._positions(facets)
        if condition.exchange is None:
            return np.zeros((len(facets), corners.shape[1], corners.shape[1]))
        strength = condition.exchange(corners.mean(axis=1))
        return strength[:, None, None] * facet_masses(corners)

    def _flux(self, condition: Robin) -> tuple[IntArray, NDArray[Any]]:
        facets = self._facets[condition.part]
        corners = self._positions(facets)
        flat = corners.reshape(-1, corners.shape[2])
        data = condition.data(flat).reshape(facets.shape)
        return facets, np.einsum("nij,nj->ni", facet_masses(corners), data)

    def _prescribed_values(self, equation: TransportEquation) -> NDArray[Any]:
        """Return the prescribed values on all local degrees of freedom, zero elsewhere."""
        values = np.zeros(len(self._fixed), dtype=np.complex128 if self._parts == 2 else np.float64)
        for condition, dofs in zip(equation.prescribed, self._prescribed, strict=True):
            values[dofs] = condition.value(self._positions(dofs))
        return values

    def _eliminated_loads(
        self, equation: TransportEquation, values: NDArray[Any]
    ) -> list[tuple[IntArray, NDArray[Any]]]:
        """Return minus the products of cells and facets at prescribed values with these values."""
        given = CellCoefficients.of(equation, self._space.cells[self._edge])
        pairs = [(self._space.dofs[self._edge], self._edge_elements.matrices(given))]
        pairs += [(self._facets[r.part], self._exchange(r)) for r in equation.robin if r.exchange]
        return [(dofs, -np.einsum("nij,nj->ni", e, values[dofs])) for dofs, e in pairs]

    def _summed(self, loads: list[tuple[IntArray, NDArray[Any]]]) -> FloatArray:
        """Return the sums (n_owned, parts) over all cells of all ranks."""
        total = np.zeros((len(self._fixed), self._parts))
        for dofs, values in loads:
            parts = self._as_parts(values.ravel())
            for part in range(self._parts):
                total[:, part] += np.bincount(dofs.ravel(), parts[:, part], len(self._fixed))
        with self._load.localForm() as local:
            local.setArray(total.ravel())
        self._load.ghostUpdate(PETSc.InsertMode.ADD_VALUES, PETSc.ScatterMode.REVERSE)
        return np.asarray(self._load.array_r.reshape(-1, self._parts).copy())

    def _ghosted_vector(self) -> Any:
        index_map = self._space.space.dofmap.index_map
        size = (self._parts * index_map.size_local, self._parts * index_map.size_global)
        return PETSc.Vec().createGhost(
            index_map.ghosts.astype(PETSc.IntType), size, self._parts, self._space.comm
        )


def _equation(case: SteadyCase) -> TransportEquation:
    assert isinstance(case.equation, TransportEquation), "the first case of the sequence had one"
    return case.equation


def _diagonal_scale(reference: ReferenceMesh) -> float:
    """Return the size of the diagonal entries of D = 1: cells of edge h have h^(gdim - 2)."""
    extent = float(np.prod(np.ptp(reference.points, axis=0)))
    size = (extent / reference.n_vertices) ** (1.0 / reference.gdim)
    return float(size ** (reference.gdim - 2))
