"""Competitors that start every system from nothing, with PETSc's own methods."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from solvers.backend import PETSc
from solvers.sequence.options import configured, unique_prefix

__all__ = ["DEFINITE", "GENERAL", "Fresh", "Result"]

_ILU = {"pc_type": "ilu"}
_GAMG = {"pc_type": "gamg"}
_MUMPS = {"pc_factor_mat_solver_type": "mumps"}
_ND = {"pc_factor_mat_ordering_type": "nd"}
# Approximate minimum degree, or fill: a quick analysis, which is most of what a solve alone costs.
_AMD, _AMF = {"mat_mumps_icntl_7": "0"}, {"mat_mumps_icntl_7": "2"}
# Every method stops at the true residual; GMRES and its relatives are preconditioned on the right.
DEFINITE: Mapping[str, Mapping[str, str]] = {
    "Cholesky (PETSc)": {"ksp_type": "preonly", "pc_type": "cholesky", **_ND},
    "Cholesky (MUMPS)": {"ksp_type": "preonly", "pc_type": "cholesky", **_MUMPS},
    "Cholesky (MUMPS, AMD)": {"ksp_type": "preonly", "pc_type": "cholesky", **_MUMPS, **_AMD},
    "Cholesky (MUMPS, AMF)": {"ksp_type": "preonly", "pc_type": "cholesky", **_MUMPS, **_AMF},
    "CG+GAMG": {"ksp_type": "cg", **_GAMG},
    "CG+ICC": {"ksp_type": "cg", "pc_type": "icc"},
    "GMRES(30)+ILU": {"ksp_type": "gmres", **_ILU},
    "LGMRES+ILU": {"ksp_type": "lgmres", **_ILU},
    "DGMRES+ILU": {"ksp_type": "dgmres", **_ILU},
}
GENERAL: Mapping[str, Mapping[str, str]] = {
    "LU (PETSc)": {"ksp_type": "preonly", "pc_type": "lu", **_ND},
    "LU (MUMPS)": {"ksp_type": "preonly", "pc_type": "lu", **_MUMPS},
    "LU (MUMPS, AMD)": {"ksp_type": "preonly", "pc_type": "lu", **_MUMPS, **_AMD},
    "LU (MUMPS, AMF)": {"ksp_type": "preonly", "pc_type": "lu", **_MUMPS, **_AMF},
    "BiCGStab+ILU": {"ksp_type": "bcgs", **_ILU},
    "GMRES(30)+ILU": {"ksp_type": "gmres", **_ILU},
    "GMRES(200)+ILU": {"ksp_type": "gmres", "ksp_gmres_restart": "200", **_ILU},
    "LGMRES+ILU": {"ksp_type": "lgmres", **_ILU},
    "DGMRES+ILU": {"ksp_type": "dgmres", **_ILU},
}
_RIGHT = ("gmres", "lgmres", "dgmres", "bcgs")


@final
@dataclass(frozen=True)
class Result:
    """One solve: seconds, relative true residual, iterations."""

    seconds: float
    residual: float
    iterations: int


@final
@dataclass(frozen=True)
class Fresh:
    """A KSP made, set up, used once and destroyed.

    Parameters
    ----------
    options : PETSc options
    definite : whether PETSc is told that the matrix is symmetric and positive definite
    rtol : tolerance on the true residual
    most : most iterations
    """

    options: Mapping[str, str]
    definite: bool = False
    rtol: float = 1e-8
    most: int = 3_000

    def solve(self, matrix: Any, b: Any) -> Result:
        """Solve once; making the KSP and setting it up are timed, copying the matrix is not."""
        own = matrix.copy()  # else PETSc might keep something of the matrix
        if self.definite:
            own.setOption(PETSc.Mat.Option.SYMMETRIC, True)
            own.setOption(PETSc.Mat.Option.SPD, True)
        x = b.duplicate()
        started = time.perf_counter()
        ksp: Any = PETSc.KSP().create(matrix.comm)
        ksp.setOperators(own)
        ksp.setTolerances(rtol=self.rtol, atol=1e-50, max_it=self.most)
        if self.options["ksp_type"] in _RIGHT:
            ksp.setPCSide(PETSc.PC.Side.RIGHT)
        if self.options["ksp_type"] == "cg":
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        with configured(ksp, unique_prefix("fresh"), self.options):
            ksp.setUp()
        ksp.solve(b, x)
        seconds = time.perf_counter() - started
        own.mult(x, r := b.duplicate())
        r.aypx(-1.0, b)
        result = Result(seconds, r.norm() / b.norm(), ksp.getIterationNumber())
        for one in (ksp, own, x, r):
            one.destroy()
        return result
