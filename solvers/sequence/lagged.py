r"""Krylov iteration preconditioned by the factor of another matrix of the sequence.

.. math::
   M^{-1} = S\, R^{-1} S, \qquad S = I \text{ (plain)}, \qquad
   S = (\operatorname{diag} R / \operatorname{diag} A)^{1/2} \text{ (rescaled)}

with the factor (or the AMG hierarchy) of whatever R was set up last, an earlier matrix of the
sequence, or once some samples have been seen the mean of the scaled ones (`ScaledMean`). Rescaling
makes the contrast of a smooth coefficient harmless; coefficients that jump gain nothing from it,
and the plain form then does better.

Refresh rule: the mean is factored when it is settled; otherwise a new factor is computed when the
iterations lost since the last one cost more than it, or at once when an iteration does not arrive.
"""

import time
from dataclasses import replace
from typing import Any, final

from solvers.backend import PETSc
from solvers.errors import LinearSolveError
from solvers.sequence.krylov_run import KrylovRun
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.preconditioner import Preconditioner
from solvers.sequence.report import Work
from solvers.sequence.scaling import ScaledMean
from solvers.sequence.system import System

__all__ = ["LaggedMethod"]

# Iterations after which a factor is known not to fit, and how a solve ends then.
_PATIENCE = 120
_MISFIT = frozenset({"iteration-limit", "stagnation", "breakdown", "indefinite-preconditioner"})
# What a factorisation costs in iterations, where clocks must not decide.
_WORTH = 20


@final
class _Scaled:
    """PETSc's Python preconditioner ``x -> S R^-1 S x``; S = I while `scale` is None."""

    def __init__(self, factor: Preconditioner) -> None:
        self._factor = factor
        self.scale: Any = None
        self._work: Any = None

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        """Apply to `x`, result in `y`; called by PETSc."""
        if self.scale is None:
            self._factor.apply(x, y)
            return
        if self._work is None:
            self._work = x.duplicate()
        self._work.pointwiseMult(x, self.scale)
        self._factor.apply(self._work, y)
        y.pointwiseMult(y, self.scale)


@final
class LaggedMethod(Method):
    """See the module.

    Parameters
    ----------
    system : matrix and traits
    kind : PETSc's name of the Krylov method
    factor : shared with other methods
    mean : mean of the scaled matrices, shared with other methods; None for the plain form
    clock : whether the refresh rule may look at the clock (else it counts iterations)
    """

    keeps_setup = True

    def __init__(
        self,
        system: System,
        kind: str,
        factor: Preconditioner,
        mean: ScaledMean | None = None,
        *,
        clock: bool,
    ) -> None:
        self._run = KrylovRun(system.matrix.comm, kind)
        self._factor = factor
        self._shell = _Scaled(factor)
        outer = self._run.ksp.getPC()
        outer.setType(PETSc.PC.Type.PYTHON)
        outer.setPythonContext(self._shell)
        self._mean = mean
        self._clock = clock
        # The version of the matrix, and the set-up of the factor, that were rescaled last.
        self._version, self._setup = -1, -1
        # The factor these iterations belong to, their best count, and what was lost since.
        self._content, self._best, self._lost = -1, 0, 0.0

    def prepare(self, system: System) -> Work:
        """Compute a factor if it is due, and rescale for the present values."""
        now = (system.version, self._factor.setups)
        if (self._version, self._setup) == now and self._factor.content >= 0:
            return Work()
        started, setups = time.perf_counter(), 0
        self._run.ksp.setOperators(system.matrix)
        if self._mean is not None:
            self._mean.add(system)
        if self._due(system):
            self._refresh(system)
            setups = 1
        if self._mean is not None:
            self._rescale(system)
        self._version, self._setup = system.version, self._factor.setups
        return Work(setups=setups, setup_seconds=time.perf_counter() - started)

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Iterate; see `Method.solve`. A factor that fits too badly is replaced on the way."""
        patience = replace(target, iterations=min(target.iterations, _PATIENCE))
        outcome = self._run.solve(system, b, x, patience)
        # A limit below that is a budget, which is not to be exceeded by a factorisation.
        ended = outcome.reason != "iteration-limit" or target.iterations > _PATIENCE
        if ended and outcome.reason in _MISFIT and self._factor.content != system.version:
            again = self._with_own_factor(system, b, x, target)
            again.work.add(outcome.work)
            return again
        if outcome.converged:
            self._watch(outcome.work)
        return outcome

    def destroy(self) -> None:
        """Free PETSc's objects, except the factor and the mean, which are their owner's."""
        self._run.destroy()
        if self._shell.scale is not None:
            self._shell.scale.destroy()

    def _with_own_factor(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Factor the present matrix and start again."""
        started = time.perf_counter()
        try:
            self._factor.compute(system.matrix, system.version)
        except LinearSolveError as error:
            return Outcome(error.reason, Work(setups=1))
        if self._mean is not None:
            self._rescale(system)
        self._setup = self._factor.setups
        seconds = time.perf_counter() - started
        x.zeroEntries()
        outcome = self._run.solve(system, b, x, target)
        outcome.work.add(Work(setups=1, setup_seconds=seconds))
        return outcome

    def _due(self, system: System) -> bool:
        if self._factor.content < 0:
            return True
        if self._factor.content == system.version:
            return False
        if self._mean is not None and self._mean.settled:
            return self._factor.content > 0  # a single sample is in its place
        due = self._lost > (self._factor.seconds if self._clock else _WORTH)
        # One clock for all ranks, or some would wait for the others for ever.
        return bool(system.comm.bcast(due)) if self._clock else due

    def _refresh(self, system: System) -> None:
        if self._mean is None or not self._mean.settled:
            self._factor.compute(system.matrix, system.version)
        else:
            mean = self._mean.matrix(system)
            self._factor.compute(mean, 0)
            mean.destroy()

    def _rescale(self, system: System) -> None:
        if self._shell.scale is None:
            self._shell.scale = system.diagonal().duplicate()
        self._shell.scale.pointwiseDivide(self._factor.diagonal, system.diagonal())
        self._shell.scale.sqrtabs()

    def _watch(self, work: Work) -> None:
        """Add up what iterations beyond the best count cost since the last factorisation."""
        if self._content != self._factor.content:
            self._content, self._best, self._lost = self._factor.content, 0, 0.0
        if not work.iterations:
            return
        self._best = min(self._best or work.iterations, work.iterations)
        each = work.solve_seconds / work.iterations if self._clock else 1.0
        self._lost += (work.iterations - self._best) * each
