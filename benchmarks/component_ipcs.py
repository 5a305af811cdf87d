"""The strongest competitor with DOLFINx forms, in the manner of Oasis.

Scalar matrices shared by the components, constant ones assembled once, only convection assembled
each step (with a compiled UFL form), good initial guesses (Mortensen and Valen-Sendstad, 2015,
10.1016/j.cpc.2014.10.026). The scheme is that of `_splitting`.
"""

from typing import Any, final

import numpy as np
from _splitting import Splitting, fem, matrix_of

from solvers.backend import PETSc, ufl

__all__ = ["ComponentIPCS"]


@final
class ComponentIPCS(Splitting):
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
        """See `Splitting.load`."""
        for axis in range(self.gdim):
            self.now[axis].x.array[:] = now[axis]
            self.before[axis].x.array[:] = before[axis]
        self._load_pressure(pressure, time)

    def solve(self) -> None:
        """See `Splitting.solve`."""
        self.time += self.step
        self._refill()
        for axis in range(self.gdim):
            self._solve_momentum(axis)
        self._solve_pressure()
        for axis in range(self.gdim):
            self._solve_update(axis)

    def shift(self) -> None:
        """See `Splitting.shift`."""
        self.before, self.now = self.now, self.before
        for now, new, change in zip(self.now, self.tentative, self._changes, strict=True):
            now.x.petsc_vec.waxpy(1.0, new.x.petsc_vec, change)
            now.x.scatter_forward()

    def reaction(self, part: str, axis: int) -> float:
        """See `Splitting.reaction`."""
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
        self._mass = matrix_of(fem.form(u * v * ufl.dx))
        stiffness = matrix_of(fem.form(ufl.inner(ufl.grad(u), ufl.grad(v)) * ufl.dx))
        axes = range(self.gdim)
        self._gradients = [matrix_of(fem.form(p * v.dx(d) * ufl.dx)) for d in axes]
        self._weak = [matrix_of(fem.form(p.dx(d) * v * ufl.dx)) for d in axes]
        self._divergences = [matrix_of(fem.form(u.dx(d) * q * ufl.dx)) for d in axes]
        outlet = fem.dirichletbc(0.0, self._open, self.Q)
        self._poisson = matrix_of(fem.form(ufl.inner(ufl.grad(p), ufl.grad(q)) * ufl.dx), [outlet])
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
