r"""What both competitors share: pressure correction with Crank-Nicolson and Adams-Bashforth.

.. math::
   \tfrac{1}{\Delta t}(u^* - u^n, v) + (w \cdot \nabla \bar u, v) + \nu(\nabla \bar u, \nabla v)
     - (p^{n-1/2}, \nabla \cdot v) = 0, \quad w = \tfrac32 u^n - \tfrac12 u^{n-1}, \quad
     \bar u = \tfrac12 (u^* + u^n)

then :math:`\Delta \varphi = \nabla \cdot u^* / \Delta t`, :math:`p^{n+1/2} = p^{n-1/2} + \varphi`
and :math:`u^{n+1} = u^* - \Delta t \nabla \varphi` by an L2 projection. This is the scheme of the
DOLFINx tutorial on flow past a cylinder (J. S. Dokken, jsdokken.com/dolfinx-tutorial,
chapter2/ns_code2), written anew here.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from solvers.backend import PETSc, dolfinx
from solvers.discretisation import Discretisation
from solvers.problem import FlowCase

__all__ = ["PRESSURE", "Splitting", "add_ghosts", "fem", "matrix_of"]

fem = dolfinx.fem

# Ways to solve for the pressure; the matrix never changes, PETSc keeps factors and hierarchies.
PRESSURE: Mapping[str, Mapping[str, str]] = {
    "LU": {"ksp_type": "preonly", "pc_type": "lu"},
    "LU (MUMPS)": {
        "ksp_type": "preonly",
        "pc_type": "lu",
        "pc_factor_mat_solver_type": "mumps",
    },
    "Cholesky, nested dissection": {
        "ksp_type": "preonly",
        "pc_type": "redundant",
        "redundant_ksp_type": "preonly",
        "redundant_pc_type": "cholesky",
        "redundant_pc_factor_mat_ordering_type": "nd",
    },
    "CG + GAMG": {"ksp_type": "cg", "pc_type": "gamg"},
    "MINRES + GAMG": {"ksp_type": "minres", "pc_type": "gamg"},
}


class Splitting(ABC):
    """Spaces, boundary rows, clock and Krylov methods.

    Parameters
    ----------
    disc, case : our discretisation (its mesh and facet tags are used) and the flow
    step : fixed time step, s
    rtol : relative tolerance of the Krylov methods
    pressure : PETSc options of the pressure solver
    """

    def __init__(
        self,
        disc: Discretisation,
        case: FlowCase,
        step: float,
        rtol: float,
        pressure: Mapping[str, str],
    ) -> None:
        self.disc, self.case, self.step, self.rtol = disc, case, step, rtol
        self.time = 0.0
        self.pressure, self.phi = fem.Function(disc.linear), fem.Function(disc.linear)
        self.gdim = disc.reference.gdim
        self.k = fem.Constant(disc.mesh, step)
        self.nu = fem.Constant(disc.mesh, case.viscosity)
        self.Q = disc.linear
        self._pressure_options = pressure
        tags, names = disc.facets, disc.reference.names
        self._outlet = np.concatenate([tags.find(names[part]) for part in case.outflow])
        self._open = self._rows(self.Q, self._outlet)

    @abstractmethod
    def load(self, now: list[Any], before: list[Any], pressure: Any, time: float) -> None:
        """Continue from two velocity levels (local arrays by component) and a pressure (owned)."""

    def advance(self) -> None:
        """Do one step."""
        self.solve()
        self.shift()

    @abstractmethod
    def solve(self) -> None:
        """Compute the new fields and keep the old ones, so that `reaction` can be asked for."""

    @abstractmethod
    def shift(self) -> None:
        """Make the new velocity the present one."""

    @abstractmethod
    def reaction(self, part: str, axis: int) -> float:
        """Return the force on `part` between `solve` and `shift`, at half a step; collective.

        It is the reaction of the discrete momentum equation, the functional that our solver
        uses (see `solvers.quantities`).
        """

    def _load_pressure(self, pressure: Any, time: float) -> None:
        self.pressure.x.array[: len(pressure)] = pressure
        self.pressure.x.scatter_forward()
        self.time = time

    def _rows(self, space: Any, facets: Any) -> Any:
        return fem.locate_dofs_topological(space, self.disc.mesh.topology.dim - 1, facets)

    def _part_rows(self, space: Any, part: str) -> Any:
        return self._rows(space, self.disc.facets.find(self.disc.reference.names[part]))

    def _krylov(self, matrix: Any, options: Mapping[str, str], *, guess: bool = False) -> Any:
        ksp = PETSc.KSP().create(matrix.comm)
        prefix = f"plain_{id(ksp)}_"
        ksp.setOptionsPrefix(prefix)
        database = PETSc.Options()
        for key, value in options.items():
            database[prefix + key] = value
        ksp.setTolerances(rtol=self.rtol)
        ksp.setErrorIfNotConverged(True)
        ksp.setOperators(matrix)
        ksp.setInitialGuessNonzero(guess)
        ksp.setFromOptions()
        for key in options:
            database.delValue(prefix + key)
        return ksp


def matrix_of(form: Any, conditions: Any = ()) -> Any:
    """Assemble a bilinear form, with boundary conditions in rows and columns."""
    matrix = fem.petsc.assemble_matrix(form, bcs=list(conditions))
    matrix.assemble()
    return matrix


def add_ghosts(vector: Any) -> None:
    """Send ghost contributions to their owners and add them there."""
    vector.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
