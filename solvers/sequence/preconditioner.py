r"""A preconditioner whose symbolic phase is done once, and which knows what it was made of.

The elimination order and the pattern of the factor depend on the pattern of the matrix only, so
that a sequence pays for them once (George and Liu, 1981, "Computer Solution of Large Sparse
Positive Definite Systems"). Smoothed aggregation (GAMG) keeps aggregates and prolongations and
recomputes the Galerkin products only (Vanek, Mandel and Brezina, 1996, 10.1007/BF02238511). Several
methods share one object: what a direct solve computed preconditions the next system.
"""

import time
from collections.abc import Mapping
from typing import Any, final

from solvers.backend import MPI, PETSc
from solvers.errors import LinearSolveError
from solvers.sequence.options import configured, unique_prefix
from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["GAMG", "Preconditioner", "mumps_options", "own_options"]

# Eigenvalue estimates of the smoothers are kept while the interpolation is.
GAMG = {
    "pc_type": "gamg",
    "pc_gamg_reuse_interpolation": "true",
    "pc_gamg_recompute_esteig": "false",
}
_FACTORS = ("cholesky", "lu")
# Preconditioners whose first set-up is as cheap as the later ones.
_AS_DEAR_AGAIN = ("icc", "ilu", "bjacobi")


def own_options(system: System) -> dict[str, str]:
    """Return PETSc options of the factorisation with the fastest substitutions.

    PETSc's own simplicial factors substitute three times as fast as those of MUMPS. On several
    ranks only MUMPS factors in parallel.
    """
    if system.matrix.comm.size > 1:
        return mumps_options(system)
    kind = "cholesky" if system.traits.definite else "lu"
    # METIS dissects meshes far better than PETSc's own "nd", which is quicker and as good on grids.
    dissection = "nd" if system.grid is not None else "metisnd"
    return {"pc_type": kind, "pc_factor_mat_ordering_type": dissection}


def mumps_options(system: System, *, careful: bool = False) -> dict[str, str]:
    """Return PETSc options of MUMPS: multifrontal, the fastest factorisation of large matrices.

    Parameters
    ----------
    system : matrix and traits
    careful : whether to permute and scale each matrix before, which helps pivoting and costs time
    """
    definite = system.traits.definite
    options = {
        "pc_type": "cholesky" if definite else "lu",
        "pc_factor_mat_solver_type": "mumps",
        "mat_mumps_icntl_14": "50",  # room for pivoting, percent
    }
    # Approximate minimum fill has the quickest analysis; PORD's, which is slow and which a sequence
    # pays for once, gives the better factors in three dimensions.
    options["mat_mumps_icntl_7"] = "2" if system.traits.dimension < 3 else "4"
    if not careful:
        options |= {"mat_mumps_icntl_6": "0", "mat_mumps_icntl_8": "0"}
    return options


@final
class Preconditioner:
    """A PETSc preconditioner, or factor, of some matrix with the pattern of the sequence.

    Parameters
    ----------
    system : matrix and traits
    options : PETSc options

    Attributes
    ----------
    content : what it was made of: a version of the matrix, 0 for anything else, -1 for nothing
    setups : number of set-ups so far
    seconds : duration of the last set-up
    """

    def __init__(self, system: System, options: Mapping[str, str]) -> None:
        self._options = dict(options)
        # PETSc's own LU does not pivot, and MUMPS pivots better with scaled matrices.
        general = options["pc_type"] == "lu"
        self._pivoting = mumps_options(system, careful=True) if general else {}
        self._pc: Any = None
        # PETSc keeps the symbolic phase for the same matrix object only: values are copied here.
        self._matrix: Any = None
        self._diagonal: Any = None
        self._definite = system.traits.definite
        self._symmetric = system.traits.symmetric
        self.content = -1
        self.setups = 0
        self.seconds = 0.0

    @property
    def begins(self) -> bool:
        """Whether the first set-up does what later ones find done: an ordering, a hierarchy."""
        return self._options["pc_type"] not in _AS_DEAR_AGAIN

    @property
    def diagonal(self) -> Any:
        """Diagonal of the matrix it was made of; do not change it."""
        return self._diagonal

    def compute(self, matrix: Any, content: int) -> Work:
        """Set up for a matrix.

        Raises
        ------
        LinearSolveError
            If that is impossible; reason ``singular``, or ``indefinite`` for a factorisation that
            shows that a matrix is not definite where the traits say so, or ``preconditioner``.
        """
        started = time.perf_counter()
        self.content = -1
        try:
            self._try(matrix)
        except LinearSolveError:
            if not self.pivot():
                raise
            self._try(matrix)
        self._matrix.getDiagonal(self._diagonal)
        self.content = content
        self.setups += 1
        self.seconds = time.perf_counter() - started
        return Work(setups=1, setup_seconds=self.seconds)

    def pivot(self) -> bool:
        """Exchange a factorisation for one that pivots better; False if there is none.

        The next `compute` and all later ones use it.
        """
        if not self._pivoting:
            return False
        self.destroy()
        self._options, self._pivoting = self._pivoting, {}
        return True

    def apply(self, x: Any, y: Any) -> None:
        """Apply once: for a factor ``y = A^-1 x``."""
        self._pc.apply(x, y)

    def apply_many(self, right: Any, solution: Any) -> None:
        """Substitute for all columns of a dense PETSc matrix; factors only."""
        self._pc.getFactorMatrix().matSolve(right, solution)

    def destroy(self) -> None:
        """Free PETSc's objects."""
        for owned in (self._pc, self._matrix, self._diagonal):
            if owned is not None:
                owned.destroy()
        self._pc = self._matrix = self._diagonal = None
        self.content = -1

    @property
    def _failure(self) -> str:
        return "singular" if self._options["pc_type"] in _FACTORS else "preconditioner"

    def _try(self, matrix: Any) -> None:
        try:
            self._set_up(matrix)
        except PETSc.Error as error:
            said = str(error).splitlines()[-1]
            raise self._broken(f"a zero pivot ({said})", self._failure) from error

    def _set_up(self, matrix: Any) -> None:
        if self._pc is not None:
            matrix.copy(self._matrix, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
            self._pc.setUp()
        else:
            self._first(matrix)
        # Blocks may fail on some ranks only.
        if matrix.comm.tompi4py().allreduce(bool(self._pc.getFailedReason()), MPI.LOR):
            raise self._broken("a zero pivot", self._failure)
        if self._definite and self._options["pc_type"] in _FACTORS:
            negative = self._negative_pivots()
            if negative:
                raise self._broken(f"{negative} negative pivots", "indefinite")

    def _first(self, matrix: Any) -> None:
        self._matrix = matrix.copy()
        self._matrix.setOption(PETSc.Mat.Option.SYMMETRIC, self._symmetric)
        self._matrix.setOption(PETSc.Mat.Option.SPD, self._definite)
        self._diagonal = matrix.createVecLeft()
        self._pc = PETSc.PC().create(matrix.comm)
        self._pc.setOperators(self._matrix)
        with configured(self._pc, unique_prefix("sequence"), self._options):
            self._pc.setUp()

    def _negative_pivots(self) -> int:
        factor = self._pc.getFactorMatrix()
        if self._options.get("pc_factor_mat_solver_type") == "mumps":
            # MatGetInertia would need MUMPS's search for null pivots, which costs time.
            return int(factor.getMumpsInfog(12))
        return int(factor.getInertia()[0])

    def _broken(self, what: str, reason: str) -> LinearSolveError:
        expected = "a positive definite" if self._definite else "a regular"
        self.destroy()
        return LinearSolveError(
            f"the matrix has {what} in {self._options['pc_type']}: expected {expected} one. Check "
            "the boundary conditions and the coefficients of this sample.",
            reason,
        )
