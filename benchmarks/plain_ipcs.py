"""The plain competitor: vector-valued forms, everything re-assembled each step.

The manner of the DOLFINx tutorial on flow past a cylinder (see `_splitting`): momentum with
BiCGStab and Jacobi, the velocity's update with CG and SOR, the pressure as the caller says.
"""

from typing import Any, final

import numpy as np
from _splitting import Splitting, add_ghosts, fem, matrix_of

from solvers.backend import ufl

__all__ = ["PlainIPCS"]


@final
class PlainIPCS(Splitting):
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
        """See `Splitting.load`."""
        for function, parts in ((self.now, now), (self.before, before)):
            function.x.array[:] = np.stack(parts, axis=1)[self._order].ravel()
        self._load_pressure(pressure, time)

    def solve(self) -> None:
        """See `Splitting.solve`."""
        self.time += self.step
        self._impose()
        self._solve_momentum()
        self._solve_pressure()
        self._solve_update()

    def shift(self) -> None:
        """See `Splitting.shift`."""
        self.before.x.array[:] = self.now.x.array
        self.now.x.array[:] = self.velocity.x.array

    def reaction(self, part: str, axis: int) -> float:
        """See `Splitting.reaction`."""
        residual = fem.petsc.assemble_vector(self._residual)
        add_ghosts(residual)
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
        self._A2 = matrix_of(self._a2, [self._outlet_bc])
        self._b2 = fem.petsc.create_vector(self.Q)
        self._ksp2 = self._krylov(self._A2, self._pressure_options)

    def _update_step(self) -> None:
        self.velocity = fem.Function(self.V)
        u, v = ufl.TrialFunction(self.V), ufl.TestFunction(self.V)
        right = ufl.dot(self.tentative, v) - self.k * ufl.dot(ufl.grad(self.phi), v)
        self._l3 = fem.form(right * ufl.dx)
        self._A3 = matrix_of(fem.form(ufl.dot(u, v) * ufl.dx))
        self._b3 = fem.petsc.create_vector(self.V)
        self._ksp3 = self._krylov(self._A3, {"ksp_type": "cg", "pc_type": "sor"})

    def _solve_momentum(self) -> None:
        self._A1.zeroEntries()
        fem.petsc.assemble_matrix(self._A1, self._a1, bcs=self._conditions)
        self._A1.assemble()
        self._assemble(self._b1, self._l1)
        fem.petsc.apply_lifting(self._b1, [self._a1], [self._conditions])
        add_ghosts(self._b1)
        fem.petsc.set_bc(self._b1, self._conditions)
        self._ksp1.solve(self._b1, self.tentative.x.petsc_vec)
        self.tentative.x.scatter_forward()

    def _solve_pressure(self) -> None:
        self._assemble(self._b2, self._l2)
        fem.petsc.apply_lifting(self._b2, [self._a2], [[self._outlet_bc]])
        add_ghosts(self._b2)
        fem.petsc.set_bc(self._b2, [self._outlet_bc])
        self._ksp2.solve(self._b2, self.phi.x.petsc_vec)
        self.phi.x.scatter_forward()
        self.pressure.x.petsc_vec.axpy(1.0, self.phi.x.petsc_vec)
        self.pressure.x.scatter_forward()

    def _solve_update(self) -> None:
        self._assemble(self._b3, self._l3)
        add_ghosts(self._b3)
        self._ksp3.solve(self._b3, self.velocity.x.petsc_vec)
        self.velocity.x.scatter_forward()

    @staticmethod
    def _assemble(vector: Any, form: Any) -> None:
        with vector.localForm() as local:
            local.set(0.0)
        fem.petsc.assemble_vector(vector, form)
