"""A whole Darcy sample, assembly and solution, here and with DOLFINx's `LinearProblem`."""

import time
from typing import Any

import numpy as np
from _families import of_problem
from _report import Report, middle

from solvers.backend import MPI, PETSc, dolfinx, ufl
from solvers.sequence.solver import SequenceSolver
from solvers.settings import LinearSettings

__all__ = ["whole_sample"]


def whole_sample(report: Report, cells: int, samples: int) -> None:
    """Time assembly and solution of samples of the same size both ways, interleaved."""
    settings = {"cells": cells, "tau": 7.0, "alpha": 2.5, "modes": 400}
    family = of_problem("darcy", settings, samples)
    theirs = _Theirs(cells)
    solver = SequenceSolver(
        family.matrix, name="darcy", settings=LinearSettings(), traits=family.traits,
        horizon=samples,
    )  # fmt: skip
    ours, others = [], []
    x: Any = family.b.duplicate()
    for index in family.tour[:samples]:
        started = time.perf_counter()
        family.fill(int(index))
        solver.refilled()
        solver.solve(family.b, x)
        ours.append(time.perf_counter() - started)
        if len(others) < 10:
            others.append(theirs.solve())
    solver.destroy()
    report.section(f"A whole sample: P1 Darcy on {cells} x {cells} squares, {family.size} unknowns")
    mean, median = float(np.mean(ours)), middle(others)
    report.table(
        ["method", "ms per sample", "samples"],
        [
            ["DOLFINx LinearProblem (LU), made once, solved per sample", f"{1e3 * median:.1f}",
             len(others)],
            ["**assembly and SequenceSolver** (mean with all set-ups and trials; the permeability "
             "field is evaluated too)", f"**{1e3 * mean:.1f}**", samples],
        ],
    )  # fmt: skip
    report.at_least(f"whole_sample_n{family.size}_against_linear_problem", median / mean, 2.5)


class _Theirs:
    """The tutorial's way: forms, a `LinearProblem`, and its `solve` for each coefficient."""

    def __init__(self, cells: int) -> None:
        mesh = dolfinx.mesh.create_unit_square(MPI.COMM_SELF, cells, cells)
        space = dolfinx.fem.functionspace(mesh, ("Lagrange", 1))
        constants = dolfinx.fem.functionspace(mesh, ("DG", 0))
        self._permeability = dolfinx.fem.Function(constants)
        u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
        facets = dolfinx.mesh.locate_entities_boundary(mesh, 1, lambda x: np.full(x.shape[1], True))
        dofs = dolfinx.fem.locate_dofs_topological(space, 1, facets)
        zero = dolfinx.fem.dirichletbc(PETSc.ScalarType(0), dofs, space)
        one = dolfinx.fem.Constant(mesh, PETSc.ScalarType(1))
        self._problem = dolfinx.fem.petsc.LinearProblem(
            self._permeability * ufl.inner(ufl.grad(u), ufl.grad(v)) * ufl.dx,
            one * v * ufl.dx,
            bcs=[zero],
            petsc_options_prefix="tutorial_",
            petsc_options={"ksp_type": "preonly", "pc_type": "lu"},
        )
        self._rng = np.random.default_rng(1)

    def solve(self) -> float:
        """Solve for another coefficient; return seconds."""
        values = self._permeability.x.array
        values[:] = np.exp(0.5 * self._rng.standard_normal(len(values)))
        started = time.perf_counter()
        self._problem.solve()
        return time.perf_counter() - started
