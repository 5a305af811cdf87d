"""SKR as published: sort, then GCRO-DR(40, 20) from system to system (Wang et al., 2024).

The method is the project's own GCRO-DR, whose vectors are handled by BLAS; PETSc's only one,
KSPHPDDM, is in no build that users can install. Sorting is done before and not timed.
"""

import time
from typing import Any, final

from _fresh import Result

from solvers.backend import PETSc
from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.linear_operator import Operator
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.result import Tolerance

__all__ = ["Skr"]


@final
class Skr:
    """GCRO-DR(restart, size) with one of PETSc's preconditioners.

    Parameters
    ----------
    preconditioner : PETSc's type
    restart, size : as published 40 and 20; size 0 is GMRES(restart)
    rtol : tolerance on the true residual
    most : most iterations
    """

    def __init__(
        self,
        preconditioner: str = "ilu",
        restart: int = 40,
        size: int = 20,
        rtol: float = 1e-8,
        most: int = 10_000,
    ) -> None:
        self._kind = preconditioner
        self._method = GCRODR(restart, size)
        self._tolerance = Tolerance(rtol=rtol, max_it=most)
        self._space: RecycleSpace | None = None

    def solve(self, matrix: Any, b: Any) -> Result:
        """Solve the next system of the sequence, preconditioner's set-up included."""
        own = matrix.copy()
        x = b.duplicate()
        started = time.perf_counter()
        pc: Any = PETSc.PC().create(matrix.comm)
        pc.setOperators(own)
        pc.setType(self._kind)
        pc.setUp()
        operator = Operator(own, pc)
        space = self._space or RecycleSpace.empty(own.getLocalSize()[0])
        done = self._method.solve(
            operator, b.getArray(readonly=True), x.getArray(), space, tolerance=self._tolerance
        )
        seconds = time.perf_counter() - started
        self._space = done.space
        operator.destroy()
        for one in (pc, own, x):
            one.destroy()
        return Result(seconds, done.residual, done.products)
