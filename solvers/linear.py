"""Linear solvers of a flow step: an iterative one refilled each step, a factor kept for good."""

import math
from collections.abc import Mapping
from typing import Any, final

from infra.errors import UserError
from solvers.backend import PETSc
from solvers.errors import LinearSolveError

__all__ = ["DIRECT", "ITERATIVE", "LinearSolver", "with_choices"]

# PETSC_ERR_MEM of petscerror.h.
_OUT_OF_MEMORY = 55
# Every rank factors the whole matrix with PETSc's own Cholesky: for two-dimensional pressure
# systems the triangular solves take a fraction of a millisecond, and unlike the distributed
# factorisations the result has the same bits each time.
DIRECT = {
    "ksp_type": "preonly",
    "pc_type": "redundant",
    "redundant_ksp_type": "preonly",
    "redundant_pc_type": "cholesky",
    "redundant_pc_factor_mat_ordering_type": "nd",
}
# Time steps near the CFL limit make the mass matrix dominate: a local SOR sweep is enough.
# Right preconditioning makes the tolerance one on the true residual. (Eisenstat's trick gains
# nothing here: five iterations do not pay for its transformations, and it needs one rank.)
ITERATIVE = {"ksp_type": "bcgs", "pc_type": "sor", "ksp_pc_side": "right", "ksp_max_it": "500"}


# Largest relative residual that a method without iterations may leave; factors leave about 1e-14.
_EXACT = 1e-8


def with_choices(defaults: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return `defaults` changed by `given`.

    Another preconditioner drops the default's options, and ``ksp_type: preonly`` those of the
    default's iteration.
    """
    dropped = [f"{defaults['pc_type']}_"] if "pc_type" in given else []
    dropped += ["ksp_"] if given.get("ksp_type") == "preonly" else []
    return {**{k: v for k, v in defaults.items() if not k.startswith(tuple(dropped))}, **given}


@final
class LinearSolver:
    """A PETSc KSP with named options, counters and errors that say what to do.

    Parameters
    ----------
    matrix : PETSc matrix; may be refilled between solves (then call `refilled`)
    name : options prefix without ``romflow_``; also named in errors
    options : PETSc options without prefix
    rtol : relative tolerance on the residual, for iterative methods

    Raises
    ------
    UserError
        If PETSc does not know an option; also later, when a method without iterations
        (``preonly``) turns out not to solve the system.
    """

    def __init__(self, matrix: Any, name: str, options: Mapping[str, str], rtol: float) -> None:
        self.name = name
        self.iterations = 0
        self.solves = 0
        self.setups = 0
        self._matrix = matrix
        self._ksp: Any = PETSc.KSP().create(matrix.comm)
        self._ksp.setTolerances(rtol=rtol, atol=1e-50)
        self._options = dict(options)
        self._once = options.get("ksp_type") == "preonly"
        self._ksp.setInitialGuessNonzero(not self._once)
        self.refilled()
        self._configure(f"romflow_{name}_", options)

    def _configure(self, prefix: str, options: Mapping[str, str]) -> None:
        """Hand the options over, set up, and take them out of the global database again."""
        database: Any = PETSc.Options()
        self._ksp.setOptionsPrefix(prefix)
        for key, value in options.items():
            database[prefix + key] = value
        try:
            self._ksp.setFromOptions()
            self._ksp.setUp()  # nested solvers read their options only now
            unused = [key for key in options if not database.used(prefix + key)]
        except PETSc.Error as error:
            if (
                getattr(error, "ierr", 0) == _OUT_OF_MEMORY
            ):  # may strike one rank only: a crash, for all
                raise
            said = str(error).strip().splitlines()[-1]
            raise self._wrong_options(options, f"PETSc refuses them ({said})") from error
        finally:
            for key in options:
                database.delValue(prefix + key)
        if unused:
            raise self._wrong_options(options, f"PETSc does not know {', '.join(unused)}")

    def _wrong_options(self, options: Mapping[str, str], reason: str) -> UserError:
        return UserError(
            f"solver options of the {self.name} system: expected PETSc options without prefix, "
            f"such as pc_type: bjacobi; received {dict(options)}: {reason}"
        )

    @property
    def true_norm(self) -> bool:
        """Whether the norm of an iteration is that of the true residual, not a preconditioned one.

        Never for a method without iterations, which computes no norm.
        """
        return bool(self._ksp.getNormType() == PETSc.KSP.NormType.UNPRECONDITIONED)

    @property
    def residual(self) -> float:
        """Norm with which the last iteration ended; NaN where it was not that of the residual."""
        return float(self._ksp.getResidualNorm()) if self.true_norm else math.nan

    def refilled(self) -> None:
        """Tell the solver that the matrix has new values (and the old pattern)."""
        self._ksp.setOperators(self._matrix)
        self.setups += 1
        self._proven = not self._once

    def aim(self, rtol: float) -> None:
        """Set another relative tolerance for the next solves."""
        self._ksp.setTolerances(rtol=rtol)

    def solve(self, right: Any, solution: Any) -> None:
        """Solve in place; `solution` holds the initial guess of an iterative method.

        Raises
        ------
        LinearSolveError
            If the method stops without reaching the tolerance, or, with reason ``not-finite``, if
            a method without iterations leaves NaN or infinite numbers.
        """
        self._ksp.solve(right, solution)
        self.solves += 1
        self.iterations += self._ksp.getIterationNumber()
        reason = self._ksp.getConvergedReason()
        if reason < 0:
            raise LinearSolveError(self._advice(reason))
        if not self._proven:
            self._prove(right, solution)

    def destroy(self) -> None:
        """Free the PETSc object."""
        self._ksp.destroy()

    def _prove(self, right: Any, solution: Any) -> None:
        """Measure the residual once per matrix: PETSc accepts whatever `preonly` returns."""
        residual = right.duplicate()
        self._matrix.mult(solution, residual)
        residual.axpy(-1.0, right)
        left, size = residual.norm(), right.norm()
        residual.destroy()
        if not math.isfinite(left):
            raise LinearSolveError(
                f"the {self.name} system has a residual of {left}: expected finite numbers. Check "
                "the coefficients and the data of this sample.",
                "not-finite",
            )
        if not left <= _EXACT * size:
            raise self._wrong_options(
                self._options,
                f"applied once they leave a relative residual of {left / size:.1e}. "
                "Choose an iteration (ksp_type: cg), or a direct method (pc_type: lu)",
            )
        self._proven = size > 0  # a system without a right-hand side proves nothing

    def _advice(self, reason: int) -> str:
        names = {v: k for k, v in vars(PETSc.KSP.ConvergedReason).items() if k.isupper()}
        return (
            f"the {self.name} system stopped with {names.get(reason, reason)} after "
            f"{self._ksp.getIterationNumber()} iterations at residual "
            f"{self._ksp.getResidualNorm():.2e}: expected convergence. "
            "Reduce the time step (time.step or time.cfl), or choose a stronger preconditioner "
            f"in solver.{self.name}, for example pc_type: bjacobi."
        )
