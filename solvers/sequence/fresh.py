"""A Krylov method with a preconditioner that is set up for each matrix, reusing what it can."""

from typing import Any, final

from solvers.backend import PETSc
from solvers.sequence.krylov_run import KrylovRun
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.preconditioner import Preconditioner
from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["FreshMethod"]


@final
class _Shell:
    """PETSc's Python preconditioner around a shared one."""

    def __init__(self, inner: Preconditioner) -> None:
        self._inner = inner

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        """Apply to `x`, result in `y`; called by PETSc."""
        self._inner.apply(x, y)


@final
class FreshMethod(Method):
    """See the module.

    Parameters
    ----------
    system : matrix and traits
    kind : PETSc's name of the Krylov method
    preconditioner : shared with other methods
    """

    def __init__(self, system: System, kind: str, preconditioner: Preconditioner) -> None:
        self._run = KrylovRun(system.matrix.comm, kind)
        self._preconditioner = preconditioner
        self.begins = preconditioner.begins
        outer = self._run.ksp.getPC()
        outer.setType(PETSc.PC.Type.PYTHON)
        outer.setPythonContext(_Shell(preconditioner))

    def prepare(self, system: System) -> Work:
        """Set the preconditioner up for the present values."""
        self._run.ksp.setOperators(system.matrix)
        if self._preconditioner.content == system.version:
            return Work()
        return self._preconditioner.compute(system.matrix, system.version)

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Iterate; see `Method.solve`."""
        return self._run.solve(system, b, x, target)

    def destroy(self) -> None:
        """Free the iteration; the preconditioner is its owner's."""
        self._run.destroy()
