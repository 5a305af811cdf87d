"""Solve the systems of steady cases, one by one or in blocks, and certify each solution."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from infra.errors import UserError
from solvers.backend import PETSc
from solvers.errors import LinearSolveError
from solvers.mesh import FloatArray
from solvers.sequence.report import Work
from solvers.sequence.solver import SequenceSolver
from solvers.settings import LinearSettings
from solvers.steady_case import SteadyCase
from solvers.steady_system import SteadySystem
from solvers.tuning.context import ContextBins

__all__ = ["Solved", "SteadySolver"]

# Where the best configuration changes: rescaled factors serve small contrasts best.
_EDGES = {"log_contrast": (math.log(50.0),)}
# Rounding between the solver's residual and this one.
_SLACK = 1.01


@final
@dataclass(frozen=True, eq=False)
class Solved:
    """The owned part of a solution.

    Attributes
    ----------
    values : (n_owned,) unknowns
    residual : true relative residual
    work : what it cost; of a block, the share of one column
    configuration : what solved it
    """

    values: FloatArray
    residual: float
    work: Work
    configuration: str


@final
class SteadySolver:
    """One solver object for all samples.

    Parameters
    ----------
    system : makes matrices and right-hand sides
    case : a case of the sequence; it gives the traits
    name : how the systems are called in errors
    settings : tolerance and method
    horizon : solves expected
    seed : seed of the solver's choices
    """

    def __init__(
        self,
        system: SteadySystem,
        case: SteadyCase,
        name: str,
        settings: LinearSettings,
        horizon: int,
        seed: int,
    ) -> None:
        self.system = system
        self._settings = settings
        self._name = name
        self._right: Any = system.matrix.createVecLeft()
        self._solution: Any = system.matrix.createVecRight()
        self._filled = False
        system.refill(case)
        self._solver = _make_solver(system.matrix, name, settings, case, horizon, seed)

    @property
    def blocks(self) -> bool:
        """Whether several right-hand sides of one matrix are solved together."""
        return self._settings.method in ("auto", "direct")

    def solve(self, case: SteadyCase) -> Solved:
        """Solve one case; collective.

        Raises
        ------
        LinearSolveError
            If the tolerance is not met; the next case starts clean.
        """
        self._refill(case)
        self._right.setArray(self.system.right(case))
        self._solution.zeroEntries()
        context = [case.context[name] for name in sorted(case.context)]
        report = self._solver.solve(self._right, self._solution, context)
        residual = self._residual()
        if not residual <= _SLACK * self._settings.rtol:
            raise LinearSolveError(
                f"the {self._name} system: expected a relative true residual of at most "
                f"{self._settings.rtol:.1e}, received {residual:.1e}. Choose another "
                "linear.method, or a larger linear.rtol."
            )
        values = self._solution.array_r.copy()
        return Solved(values, residual, report.work, report.configuration)

    def solve_block(self, cases: Sequence[SteadyCase]) -> list[Solved | None]:
        """Solve cases that have one operator together; collective.

        Returns
        -------
        list
            None in the place of a case that misses the tolerance: solve it by itself. One such
            case may leave all of them to be solved so, for a block ends as a whole.
        """
        columns = [self.system.right(case) for case in cases]
        try:
            self._refill(cases[0])
            values, work = self._substituted(columns)
        except LinearSolveError:
            # Who is to blame, and why, shows when each is solved by itself.
            return [None] * len(cases)
        share = _share(work, len(cases))
        first = replace(share, setups=work.setups, setup_seconds=work.setup_seconds)
        return [
            self._certified(column, answer, share if place else first)
            for place, (column, answer) in enumerate(zip(columns, values.T, strict=True))
        ]

    def state(self) -> Mapping[str, Any]:
        """Return what has been learned, see `SequenceSolver.state`."""
        return self._solver.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with it; what does not fit is not used."""
        with suppress(UserError):
            self._solver.restore(state)

    def destroy(self) -> None:
        """Free PETSc's objects; collective."""
        self._solver.destroy()
        self.system.destroy()
        self._right.destroy()
        self._solution.destroy()

    def _refill(self, case: SteadyCase) -> None:
        if case.traits.constant and self._filled:
            return
        self._filled = False
        self.system.refill(case)
        self._solver.refilled()
        self._filled = True

    def _substituted(self, columns: Sequence[FloatArray]) -> tuple[FloatArray, Work]:
        """Return the solutions (n_owned, m) for m right-hand sides, and what they cost."""
        right, solution = (self._dense(len(columns)) for _ in range(2))
        try:
            right.getDenseArray()[:] = np.stack(columns, axis=1)
            right.assemble()
            work = self._solver.solve_many(right, solution)
            return solution.getDenseArray().copy(), work
        finally:
            right.destroy()
            solution.destroy()

    def _certified(self, right: FloatArray, answer: FloatArray, work: Work) -> Solved | None:
        self._right.setArray(right)
        self._solution.setArray(answer)
        residual = self._residual()
        if not residual <= _SLACK * self._settings.rtol:
            return None
        return Solved(answer.copy(), residual, work, "direct")

    def _residual(self) -> float:
        """Return the relative true residual of the present right-hand side and solution."""
        size = self._right.norm()
        if size == 0.0:
            return float(self._solution.norm())
        difference = self._right.duplicate()
        self.system.matrix.mult(self._solution, difference)
        difference.aypx(-1.0, self._right)
        left = difference.norm()
        difference.destroy()
        return float(left / size)

    def _dense(self, columns: int) -> Any:
        rows = self._right.getSizes()
        matrix: Any = PETSc.Mat().createDense((rows, (None, columns)), comm=self._right.comm)
        matrix.setUp()
        matrix.assemble()
        return matrix


def _make_solver(
    matrix: Any, name: str, settings: LinearSettings, case: SteadyCase, horizon: int, seed: int
) -> SequenceSolver:
    return SequenceSolver(
        matrix,
        name=name,
        settings=settings,
        traits=case.traits,
        horizon=horizon,
        seed=seed,
        bins=ContextBins(tuple(_EDGES.get(context, ()) for context in sorted(case.context))),
    )


def _share(work: Work, columns: int) -> Work:
    """Return the part of one column; set-ups belong to the first one."""
    return Work(
        iterations=work.iterations // columns,
        operator=work.operator // columns,
        preconditioner=work.preconditioner // columns,
        solve_seconds=work.solve_seconds / columns,
    )
