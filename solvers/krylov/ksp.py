"""`RecyclingKSP`: the recycling methods as a PETSc Krylov solver.

Usable from the options database, ``-ksp_type python -ksp_python_type
solvers.krylov.ksp.RecyclingKSP``, and by ``ksp.setPythonContext(RecyclingKSP())``.
"""

from dataclasses import replace
from typing import Any, final

import numpy as np

from solvers.backend import PETSc
from solvers.krylov.linear_operator import Operator
from solvers.krylov.method import RecyclingMethod
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import KrylovResult, Reason, Tolerance
from solvers.krylov.settings import RecyclingSettings, from_database

__all__ = ["RecyclingKSP"]

_INDEFINITE = (Reason.INDEFINITE, Reason.INDEFINITE_PRECONDITIONER)
_CODES = {
    Reason.CONVERGED: "CONVERGED_RTOL",
    Reason.ZERO_RIGHT_HAND_SIDE: "CONVERGED_ATOL",
    Reason.ITERATION_LIMIT: "DIVERGED_MAX_IT",
    Reason.STAGNATION: "DIVERGED_BREAKDOWN",
    Reason.BREAKDOWN: "DIVERGED_BREAKDOWN",
    Reason.SINGULAR: "DIVERGED_BREAKDOWN",
    Reason.INDEFINITE: "DIVERGED_INDEFINITE_MAT",
    Reason.INDEFINITE_PRECONDITIONER: "DIVERGED_INDEFINITE_PC",
    Reason.NOT_FINITE: "DIVERGED_NANORINF",
    Reason.BELOW_ROUND_OFF: "DIVERGED_BREAKDOWN",
}


@final
class RecyclingKSP:
    r"""Context of a PETSc Python KSP that recycles Krylov spaces from solve to solve.

    It obeys the KSP's tolerances (``rtol``, ``atol``, ``max_it``; on the TRUE residual, whatever
    the side of the preconditioner), its initial guess, its monitors and its null space, and uses
    its preconditioner, which may vary from step to step with GCRO-DR. The recycle space is a value:
    read it from `space` after a solve, and set it before another, here or elsewhere. A matrix that
    is the same object in the same state as in the last solve costs no products to recycle; a shell
    matrix does not tell PETSc when it changes: call `tell`.

    Parameters
    ----------
    settings : defaults, which the options database overrides

    Attributes
    ----------
    settings : what is in force
    result : what the last solve did, with its named reason and advice; None before the first
    """

    def __init__(self, settings: RecyclingSettings | None = None) -> None:
        self.settings = settings or RecyclingSettings()
        self.result: KrylovResult | None = None
        self._space: RecycleSpace | None = None
        self._method: RecyclingMethod | None = None
        self._operator: Operator | None = None
        self._state: tuple[Any, ...] = ()
        self._told: bool | None = None
        self._symmetric = True

    @property
    def space(self) -> RecycleSpace | None:
        """The recycle space on this rank; None before the first solve."""
        return self._space

    @space.setter
    def space(self, space: RecycleSpace | None) -> None:
        self._space, self._state = space, ()

    @property
    def method(self) -> RecyclingMethod | None:
        """The method in force; None before the first solve."""
        return self._method

    def tell(self, *, same: bool) -> None:
        """Say whether the next solve's matrix is the one that `space` comes from."""
        self._told = same

    def create(self, ksp: Any) -> None:
        """Choose side and norm as they are: preconditioner on the right, true residual."""
        ksp.setPCSide(PETSc.PC.Side.RIGHT)
        ksp.setNormType(PETSc.KSP.NormType.NORM_UNPRECONDITIONED)

    def setFromOptions(self, ksp: Any) -> None:  # noqa: N802 - PETSc's name
        """Read the options under the KSP's prefix.

        Raises
        ------
        UserError
            For an unknown ``recycling_`` option or a value that does not fit.
        """
        self.settings = from_database(self.settings, ksp.getOptionsPrefix() or "")
        self._method = None

    def setUp(self, ksp: Any) -> None:
        """Get ready for the KSP's operators."""
        matrix, _ = ksp.getOperators()
        if self._operator is None or not self._operator.uses(matrix, ksp.getPC()):
            self._free()
            self._operator = Operator(matrix, ksp.getPC())
        rows = self._operator.n_local
        if self._space is None or self._space.n_local != rows:
            self._space = RecycleSpace.empty(rows)

    def reset(self, ksp: Any) -> None:  # noqa: ARG002 - PETSc's signature
        """Free work vectors; the recycle space stays, its matrix is forgotten."""
        self._free()
        self._state = ()

    def _free(self) -> None:
        if self._operator is not None:
            self._operator.destroy()
        self._operator = None

    def view(self, ksp: Any, viewer: Any) -> None:  # noqa: ARG002 - PETSc's signature
        """Print the settings."""
        viewer.printfASCII(f"  recycling: {self.settings.model_dump()}\n")

    def solve(self, ksp: Any, b: Any, x: Any) -> None:
        """Solve; PETSc calls this."""
        self.setUp(ksp)
        assert self._operator is not None
        before = self._state
        same = self._same(self._operator.matrix)
        rtol, atol, _, max_it = ksp.getTolerances()
        tolerance = Tolerance(rtol, atol, max_it)

        def monitor(iteration: int, norm: float) -> None:
            ksp.logConvergenceHistory(norm)
            ksp.monitor(iteration, norm)

        guess = ksp.getInitialGuessNonzero()
        right, values = b.getArray(readonly=True), x.getArray()
        self.result = self._run(right, values, same, tolerance, monitor, guess)
        if self.result.space is self._space and not same:
            # It ended before the space was carried over: its image is still the old one.
            self._state = before
        self._space = self.result.space
        ksp.setIterationNumber(self.result.iterations)
        norm = self.result.residual * self.result.norm_b
        ksp.setResidualNorm(norm if norm >= 0.0 else np.inf)  # PETSc takes no NaN
        ksp.setConvergedReason(getattr(PETSc.KSP.ConvergedReason, _CODES[self.result.reason]))

    def _run(
        self, b: Any, x: Any, same: bool, tolerance: Tolerance, monitor: Any, guess: bool
    ) -> KrylovResult:
        """Solve with the method in force; fall back from CG to GCRO-DR where "auto" erred."""
        operator, space = self._operator, self._space
        assert operator is not None
        assert space is not None
        method = self._choose(operator.matrix)
        start = x.copy() if guess else np.zeros_like(x)
        how = {"same": same, "tolerance": tolerance, "monitor": monitor, "guess": guess}
        result = method.solve(operator, b, x, space, **how)
        if self.settings.method != "auto" or result.reason not in _INDEFINITE:
            return result
        self._symmetric, self._method = False, None
        x[:] = start
        again = self._choose(operator.matrix).solve(operator, b, x, space, **how)
        return _both(result, again)

    def _choose(self, matrix: Any) -> RecyclingMethod:
        """Return the method, made anew when the settings changed."""
        if self._method is None:
            known, symmetric = matrix.isSymmetricKnown()
            self._method = self.settings.make(bool(known and symmetric and self._symmetric))
        return self._method

    def _same(self, matrix: Any) -> bool:
        """Return whether the matrix is the one of the last solve, and remember it."""
        now = (matrix.handle, matrix.stateGet())
        same = now == self._state if self._told is None else self._told
        self._state, self._told = now, None
        return same


def _both(first: KrylovResult, second: KrylovResult) -> KrylovResult:
    """Return the second result with the costs of both."""
    costs = (
        "iterations",
        "products",
        "recycle_products",
        "preconditioned",
        "reductions",
        "broadcasts",
    )
    total = {name: getattr(first, name) + getattr(second, name) for name in costs}
    return replace(second, **total)
