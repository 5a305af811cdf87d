r"""Time stepping of linear problems: Crank-Nicolson, begun with damped steps.

Crank-Nicolson is of second order but hardly damps short waves: data that jump, such as an initial
temperature that differs from that of the boundary, would ring for ever. The first two steps are
therefore taken as two half steps of backward Euler each; they damp short waves, and the order
stays two. All of them have one matrix, see `solvers.transient_system`.

Source: Rannacher (1984), 10.1007/BF01390130.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, final

from infra.errors import UserError
from solvers.linear_space import LinearSpace
from solvers.mesh import FloatArray
from solvers.sequence.report import Work
from solvers.sequence.solver import SequenceSolver
from solvers.settings import LinearSettings
from solvers.transient_case import TransientCase
from solvers.transient_system import HalfStepSystem

__all__ = ["TransientStepper"]

# Steps that are taken as two half steps of backward Euler each.
_DAMPED = 2


@final
class TransientStepper:
    """One solver object for all steps of all samples.

    Parameters
    ----------
    space : P1 space on the mesh
    case : a case of the sequence; it gives the traits and the boundary parts
    step : time step, s
    name : how the systems are called in errors
    settings : tolerance and method
    horizon : solves expected
    seed : seed of the solver's choices

    Attributes
    ----------
    done : steps of the present sample
    residual : largest true relative residual of the present sample
    work, solved_by : what the present sample has cost, and how many systems each configuration
        has solved
    """

    def __init__(
        self,
        space: LinearSpace,
        case: TransientCase,
        step: float,
        name: str,
        settings: LinearSettings,
        horizon: int,
        seed: int,
    ) -> None:
        self._system = HalfStepSystem(space, case, 0.5 * step)
        self._right: Any = self._system.matrix.createVecLeft()
        self._present, self._middle = (self._system.matrix.createVecRight() for _ in range(2))
        self._filled = False
        self._system.refill(case)
        self._solver = SequenceSolver(
            self._system.matrix,
            name=name,
            settings=settings,
            traits=case.traits,
            horizon=horizon,
            seed=seed,
            guess="given",
        )
        self._clear()

    def start(self, case: TransientCase) -> None:
        """Go to t = 0 of a sample; collective."""
        if not (case.traits.constant and self._filled):
            self._filled = False
            self._system.refill(case)
            self._solver.refilled()
            self._filled = True
        self._present.setArray(self._system.begin(case))
        self._clear()

    def advance_to(self, step: int) -> None:
        """Take steps until so many are done; collective.

        Raises
        ------
        LinearSolveError
            If a system is not solved to the tolerance; the next sample starts clean.
        """
        while self.done < step:
            self._advance()
            self.done += 1

    def gather(self) -> FloatArray:
        """Return the present values (n_vertices, 1) on rank 0; collective."""
        return self._system.gather(self._present.array_r.copy())

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
        self._system.destroy()
        for vector in (self._right, self._present, self._middle):
            vector.destroy()

    def _clear(self) -> None:
        self.done, self.residual = 0, 0.0
        self.work, self.solved_by = Work(), Counter[str]()

    def _advance(self) -> None:
        self._half_step()
        if self.done < _DAMPED:
            self._middle.copy(self._present)
            self._half_step()
            self._middle.copy(self._present)
        else:
            # The middle of the step lies on the line from its beginning to its end.
            self._present.axpby(2.0, -1.0, self._middle)

    def _half_step(self) -> None:
        """Take half a step of backward Euler from the present to the middle."""
        self._system.right(self._present, self._right)
        self._present.copy(self._middle)
        report = self._solver.solve(self._right, self._middle)
        self._system.hold(self._middle)
        self.residual = max(self.residual, report.residual)
        self.work.add(report.work)
        self.solved_by[report.configuration] += 1
