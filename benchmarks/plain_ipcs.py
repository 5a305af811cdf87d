r"""Competitors: pressure correction with DOLFINx forms, as textbooks and tutorials write it.

Crank-Nicolson with Adams-Bashforth convection,

.. math::
   \tfrac{1}{\Delta t}(u^* - u^n, v) + (w \cdot \nabla \bar u, v) + \nu(\nabla \bar u, \nabla v)
     - (p^{n-1/2}, \nabla \cdot v) = 0, \quad w = \tfrac32 u^n - \tfrac12 u^{n-1}, \quad
     \bar u = \tfrac12 (u^* + u^n)

then :math:`\Delta \varphi = \nabla \cdot u^* / \Delta t`, :math:`p^{n+1/2} = p^{n-1/2} + \varphi`
and :math:`u^{n+1} = u^* - \Delta t \nabla \varphi` by an L2 projection. This is the scheme of the
DOLFINx tutorial on flow past a cylinder (J. S. Dokken, jsdokken.com/dolfinx-tutorial,
chapter2/ns_code2), written anew here.

`PlainIPCS` does it in the tutorial's manner: vector-valued forms, everything re-assembled each
step. `ComponentIPCS` does it as well as DOLFINx forms allow, in the manner of Oasis (Mortensen
and Valen-Sendstad, 2015, 10.1016/j.cpc.2014.10.026): scalar matrices, constant ones assembled
once, only convection assembled each step, good initial guesses.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from solvers.backend import PETSc, dolfinx, ufl
from solvers.discretisation import Discretisation
from solvers.problem import FlowCase

__all__ = ["PRESSURE", "ComponentIPCS", "PlainIPCS"]

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


class _Splitting(ABC):
    """What both competitors share: spaces, boundary rows, clock.

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


def _matrix(form: Any, conditions: Any = ()) -> Any:
    matrix = fem.petsc.assemble_matrix(form, bcs=list(conditions))
    matrix.assemble()
    return matrix


def _add(vector: Any) -> None:
    vector.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)


@final
class PlainIPCS(_Splitting):
    """Vector-valued forms; the momentum matrix and all right-hand sides assembled each step."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.V = fem.functionspace(self.disc.mesh, ("Lagrange", 2, (self.gdim,)))
        self.tentative, self.now, self.before = (fem.Function(self.V) for _ in range(3))
        self._boundary = [self._prescribe(c.part, c.velocity) for c in self.case.conditions]
        self._conditions = [bc for bc, *_ in self._boundary]
        self._momentum_step()
        self._pressure_step()
        self._update_step()
        # Our scalar space may number its nodes differently.
        self._order = np.empty(len(self.disc.nodes), dtype=np.int64)
        self._order[self.V.dofmap.list] = self.disc.quadratic.dofmap.list

    def load(self, now: list[Any], before: list[Any], pressure: Any, time: float) -> None:
        """See `_Splitting.load`."""
        for function, parts in ((self.now, now), (self.before, before)):
            function.x.array[:] = np.stack(parts, axis=1)[self._order].ravel()
        self._load_pressure(pressure, time)

    def solve(self) -> None:
        """See `_Splitting.solve`."""
        self.time += self.step
        self._impose()
        self._solve_momentum()
        self._solve_pressure()
        self._solve_update()

    def shift(self) -> None:
        """See `_Splitting.shift`."""
        self.before.x.array[:] = self.now.x.array
        self.now.x.array[:] = self.velocity.x.array

    def reaction(self, part: str, axis: int) -> float:
        """See `_Splitting.reaction`."""
        residual = fem.petsc.assemble_vector(self._residual)
        _add(residual)
        rows = self._part_rows(self.V, part)
        rows = rows[rows < self.V.dofmap.index_map.size_local]
        force = -float(residual.array_r[rows * self.gdim + axis].sum())
        residual.destroy()
        return float(self.disc.mesh.comm.allreduce(force))

    def _prescribe(self, part: str, velocity: Any) -> Any:
        value = fem.Function(self.V)
        rows = self._part_rows(self.V, part)
        points = self.V.tabulate_dof_coordinates()[rows, : self.gdim].copy()
        return fem.dirichletbc(value, rows), value, rows, points, velocity

    def _impose(self) -> None:
        for _, value, rows, points, velocity in self._boundary:
            value.x.array.reshape(-1, self.gdim)[rows] = velocity(points, self.time)

    def _momentum_step(self) -> None:
        u, v = ufl.TrialFunction(self.V), ufl.TestFunction(self.V)
        mean = 0.5 * (u + self.now)
        convecting = 1.5 * self.now - 0.5 * self.before
        form = ufl.dot(u - self.now, v) / self.k * ufl.dx
        form += ufl.inner(ufl.dot(convecting, ufl.nabla_grad(mean)), v) * ufl.dx
        form += self.nu * ufl.inner(ufl.grad(mean), ufl.grad(v)) * ufl.dx
        form -= self.pressure * ufl.div(v) * ufl.dx
        left, right = ufl.system(form)
        self._a1, self._l1 = fem.form(left), fem.form(right)
        self._residual = fem.form(ufl.action(left, self.tentative) - right)
        self._A1 = fem.petsc.create_matrix(self._a1)
        self._b1 = fem.petsc.create_vector(self.V)
        self._ksp1 = self._krylov(self._A1, {"ksp_type": "bcgs", "pc_type": "jacobi"})

    def _pressure_step(self) -> None:
        p, q = ufl.TrialFunction(self.Q), ufl.TestFunction(self.Q)
        self._outlet_bc = fem.dirichletbc(0.0, self._open, self.Q)
        self._a2 = fem.form(ufl.dot(ufl.grad(p), ufl.grad(q)) * ufl.dx)
        self._l2 = fem.form(-ufl.div(self.tentative) * q / self.k * ufl.dx)
        self._A2 = _matrix(self._a2, [self._outlet_bc])
        self._b2 = fem.petsc.create_vector(self.Q)
        self._ksp2 = self._krylov(self._A2, self._pressure_options)

    def _update_step(self) -> None:
        self.velocity = fem.Function(self.V)
        u, v = ufl.TrialFunction(self.V), ufl.TestFunction(self.V)
        right = ufl.dot(self.tentative, v) - self.k * ufl.dot(ufl.grad(self.phi), v)
        self._l3 = fem.form(right * ufl.dx)
        self._A3 = _matrix(fem.form(ufl.dot(u, v) * ufl.dx))
        self._b3 = fem.petsc.create_vector(self.V)
        self._ksp3 = self._krylov(self._A3, {"ksp_type": "cg", "pc_type": "sor"})

    def _solve_momentum(self) -> None:
        self._A1.zeroEntries()
        fem.petsc.assemble_matrix(self._A1, self._a1, bcs=self._conditions)
        self._A1.assemble()
        self._assemble(self._b1, self._l1)
        fem.petsc.apply_lifting(self._b1, [self._a1], [self._conditions])
        _add(self._b1)
        fem.petsc.set_bc(self._b1, self._conditions)
        self._ksp1.solve(self._b1, self.tentative.x.petsc_vec)
        self.tentative.x.scatter_forward()

    def _solve_pressure(self) -> None:
        self._assemble(self._b2, self._l2)
        fem.petsc.apply_lifting(self._b2, [self._a2], [[self._outlet_bc]])
        _add(self._b2)
        fem.petsc.set_bc(self._b2, [self._outlet_bc])
        self._ksp2.solve(self._b2, self.phi.x.petsc_vec)
        self.phi.x.scatter_forward()
        self.pressure.x.petsc_vec.axpy(1.0, self.phi.x.petsc_vec)
        self.pressure.x.scatter_forward()

    def _solve_update(self) -> None:
        self._assemble(self._b3, self._l3)
        _add(self._b3)
        self._ksp3.solve(self._b3, self.velocity.x.petsc_vec)
        self.velocity.x.scatter_forward()

    @staticmethod
    def _assemble(vector: Any, form: Any) -> None:
        with vector.localForm() as local:
            local.set(0.0)
        fem.petsc.assemble_vector(vector, form)


@final
class ComponentIPCS(_Splitting):
    """Scalar matrices shared by the components; only convection is assembled, with a UFL form."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.V = self.disc.quadratic
        self.tentative, self.now, self.before, self._convecting = (
            [fem.Function(self.V) for _ in range(self.gdim)] for _ in range(4)
        )
        self._boundary = [self._locate(c.part, c.velocity) for c in self.case.conditions]
        self._fixed = np.unique(np.concatenate([rows for rows, *_ in self._boundary]))
        self._constant_matrices()
        self._convection()
        self._solvers()

    def load(self, now: list[Any], before: list[Any], pressure: Any, time: float) -> None:
        """See `_Splitting.load`."""
        for axis in range(self.gdim):
            self.now[axis].x.array[:] = now[axis]
            self.before[axis].x.array[:] = before[axis]
        self._load_pressure(pressure, time)

    def solve(self) -> None:
        """See `_Splitting.solve`."""
        self.time += self.step
        self._refill()
        for axis in range(self.gdim):
            self._solve_momentum(axis)
        self._solve_pressure()
        for axis in range(self.gdim):
            self._solve_update(axis)

    def shift(self) -> None:
        """See `_Splitting.shift`."""
        self.before, self.now = self.now, self.before
        for now, new, change in zip(self.now, self.tentative, self._changes, strict=True):
            now.x.petsc_vec.waxpy(1.0, new.x.petsc_vec, change)
            now.x.scatter_forward()

    def reaction(self, part: str, axis: int) -> float:
        """See `_Splitting.reaction`."""
        residual = self._full.createVecLeft()
        work = residual.duplicate()
        mean = self.tentative[axis].x.petsc_vec + self.now[axis].x.petsc_vec
        self._full.mult(mean, residual)
        self._mass.mult(self.now[axis].x.petsc_vec, work)
        residual.axpy(-2.0 / self.step, work)
        self._gradients[axis].mult(self.pressure.x.petsc_vec, work)
        residual.axpy(-1.0, work)
        rows = self._part_rows(self.V, part)
        rows = rows[rows < self.V.dofmap.index_map.size_local]
        return float(self.disc.mesh.comm.allreduce(-float(residual.array_r[rows].sum())))

    def _locate(self, part: str, velocity: Any) -> Any:
        rows = self._part_rows(self.V, part)
        rows = rows[rows < self.V.dofmap.index_map.size_local]
        return rows, self.V.tabulate_dof_coordinates()[rows, : self.gdim].copy(), velocity

    def _constant_matrices(self) -> None:
        u, v = ufl.TrialFunction(self.V), ufl.TestFunction(self.V)
        p, q = ufl.TrialFunction(self.Q), ufl.TestFunction(self.Q)
        self._mass = _matrix(fem.form(u * v * ufl.dx))
        stiffness = _matrix(fem.form(ufl.inner(ufl.grad(u), ufl.grad(v)) * ufl.dx))
        axes = range(self.gdim)
        self._gradients = [_matrix(fem.form(p * v.dx(d) * ufl.dx)) for d in axes]
        self._weak = [_matrix(fem.form(p.dx(d) * v * ufl.dx)) for d in axes]
        self._divergences = [_matrix(fem.form(u.dx(d) * q * ufl.dx)) for d in axes]
        outlet = fem.dirichletbc(0.0, self._open, self.Q)
        self._poisson = _matrix(fem.form(ufl.inner(ufl.grad(p), ufl.grad(q)) * ufl.dx), [outlet])
        self._constant = self._mass.copy()
        self._constant.scale(1.0 / self.step)
        same = PETSc.Mat.Structure.SAME_NONZERO_PATTERN
        self._constant.axpy(0.5 * self.case.viscosity, stiffness, structure=same)

    def _convection(self) -> None:
        u, v = ufl.TrialFunction(self.V), ufl.TestFunction(self.V)
        convecting = ufl.as_vector(self._convecting)
        self._form = fem.form(0.5 * ufl.dot(convecting, ufl.grad(u)) * v * ufl.dx)
        self._full = fem.petsc.create_matrix(self._form)
        self._matrix = self._constant.copy()
        self._matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        start = self.V.dofmap.index_map.local_range[0]
        self._rows_global = (self._fixed + start).astype(PETSc.IntType)

    def _solvers(self) -> None:
        momentum = {"ksp_type": "bcgs", "pc_type": "sor"}
        self._ksp1 = self._krylov(self._matrix, momentum, guess=True)
        self._ksp2 = self._krylov(self._poisson, self._pressure_options)
        self._ksp3 = self._krylov(self._mass, {"ksp_type": "cg", "pc_type": "jacobi"}, guess=True)
        self._right, self._work = self._mass.createVecLeft(), self._mass.createVecLeft()
        self._changes = [self._mass.createVecLeft() for _ in range(self.gdim)]
        self._source, self._part = self._poisson.createVecLeft(), self._poisson.createVecLeft()

    def _refill(self) -> None:
        """Make ``M / dt + nu K / 2 + C(w) / 2`` and keep a copy without boundary rows."""
        for w, now, before in zip(self._convecting, self.now, self.before, strict=True):
            w.x.array[:] = 1.5 * now.x.array - 0.5 * before.x.array
        self._full.zeroEntries()
        fem.petsc.assemble_matrix(self._full, self._form)
        self._full.assemble()
        same = PETSc.Mat.Structure.SAME_NONZERO_PATTERN
        self._full.axpy(1.0, self._constant, structure=same)
        self._full.copy(self._matrix, structure=same)
        self._matrix.zeroRows(self._rows_global, 1.0)

    def _solve_momentum(self, axis: int) -> None:
        now, new = self.now[axis].x.petsc_vec, self.tentative[axis].x
        self._mass.mult(now, self._right)
        self._right.scale(2.0 / self.step)
        self._full.mult(now, self._work)
        self._right.axpy(-1.0, self._work)
        self._gradients[axis].multAdd(self.pressure.x.petsc_vec, self._right, self._right)
        new.array[:] = 2.0 * self.now[axis].x.array - self.before[axis].x.array
        for rows, points, velocity in self._boundary:
            values = velocity(points, self.time)[:, axis]
            self._right.array[rows] = values
            new.array[rows] = values
        self._ksp1.solve(self._right, new.petsc_vec)
        new.scatter_forward()

    def _solve_pressure(self) -> None:
        self._source.set(0.0)
        for matrix, new in zip(self._divergences, self.tentative, strict=True):
            matrix.multAdd(new.x.petsc_vec, self._source, self._source)
        self._source.scale(-1.0 / self.step)
        self._source.array[self._open[self._open < self._source.local_size]] = 0.0
        self._ksp2.solve(self._source, self.phi.x.petsc_vec)
        self.phi.x.scatter_forward()
        self.pressure.x.petsc_vec.axpy(1.0, self.phi.x.petsc_vec)
        self.pressure.x.scatter_forward()

    def _solve_update(self, axis: int) -> None:
        self._weak[axis].mult(self.phi.x.petsc_vec, self._right)
        self._right.scale(-self.step)
        self._ksp3.solve(self._right, self._changes[axis])
