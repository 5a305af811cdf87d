r"""Conjugate gradients with symmetric successive over-relaxation, its factor learned on the way.

.. math::
   M = \frac{1}{2 - \omega} \left(\frac D\omega + L\right)
       \left(\frac D\omega\right)^{-1} \left(\frac D\omega + L\right)^T, \qquad A = L + D + L^T

Eisenstat's trick (1981, 10.1137/0902001) makes an iteration cost hardly more than one product with
A; PETSc has it on one rank only, several ranks sweep over their own rows without it. The best
factor depends on the family of matrices: starting from Young's value for the model problem,
:math:`\omega_0 = 2 / (1 + 2 \sin(\pi h / 2))` with :math:`h = n^{-1/d}`, the factors
:math:`2 - (2 - \omega_0) s` compete by their iteration counts (Khodak et al., 2024,
arXiv:2310.02246, where a bandit sets omega).
"""

import math
import time
from typing import Any, final

from solvers.backend import PETSc
from solvers.errors import LinearSolveError
from solvers.sequence.krylov_run import KrylovRun
from solvers.sequence.method import Method, Outcome, Target
from solvers.sequence.options import configured, unique_prefix
from solvers.sequence.report import Work
from solvers.sequence.system import System
from solvers.tuning.rules import Arm, TuningRules
from solvers.tuning.tuner import Tuner

__all__ = ["SsorMethod", "omega_candidates"]

# Multiples of 2 - omega_0; the model problem's own value first.
_FACTORS = (1.0, 1.6, 0.7, 2.5)


def omega_candidates(size: int, dimension: int) -> tuple[float, ...]:
    """Return relaxation factors to try, the expected best first.

    Parameters
    ----------
    size : unknowns
    dimension : of the mesh
    """
    h = max(size, 2) ** (-1.0 / dimension)
    best = 2.0 / (1.0 + 2.0 * math.sin(math.pi * h / 2.0))
    found = (min(max(2.0 - (2.0 - best) * s, 0.5), 1.99) for s in _FACTORS)
    # Fine grids put several at the limit.
    return tuple(dict.fromkeys(round(omega, 4) for omega in found))


@final
class SsorMethod(Method):
    """See the module.

    Parameters
    ----------
    system : matrix and traits, symmetric positive definite
    omegas : candidates, the expected best first
    horizon : solves expected
    seed : seed of the choice among them
    """

    def __init__(
        self, system: System, omegas: tuple[float, ...], *, horizon: int, seed: int
    ) -> None:
        self._omegas = omegas
        # PETSc 3.25 lacks a product with the diagonal block that Eisenstat's trick needs on ranks.
        self._trick = system.matrix.comm.size == 1
        if self._trick:
            # PETSc 3.25 crashes in the trick where rows with one pattern are grouped; assembling
            # again, without new values, gives the groups up.
            system.matrix.setOption(PETSc.Mat.Option.USE_INODES, False)
            system.matrix.assemble()
        self._run = KrylovRun(system.matrix.comm, "cg", true_norm=not self._trick)
        arms = [Arm(f"{omega:.4f}", 1.0 + 0.01 * i) for i, omega in enumerate(omegas)]
        rules = TuningRules(horizon=horizon)
        self.tuner = Tuner(arms, seed=seed, cost="operations", rules=rules)
        self._version = -1
        self._omega = 0.0
        self._prefix = unique_prefix("ssor")

    def prepare(self, system: System) -> Work:
        """Take the present values; SSOR needs no other set-up."""
        if self._version != system.version:
            self._run.ksp.setOperators(system.matrix)
            self._version = system.version
            lowest = system.diagonal().min()[1]
            if not lowest > 0:
                raise LinearSolveError(
                    f"a diagonal entry is {lowest:.3g}: expected a positive definite matrix. "
                    "Check the sign of the coefficients.",
                    "indefinite",
                )
        return Work()

    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Iterate with the chosen factor; see `Method.solve`."""
        started = time.perf_counter()
        choice = self.tuner.choose()
        # A factor is not given up in the middle of a solve: the iterations would be lost.
        self._set_omega(self._omegas[choice.arm])
        outcome = self._run.solve(system, b, x, target)
        if outcome.converged:
            self.tuner.tell(choice, float(max(outcome.work.iterations, 1)))
        outcome.work.solve_seconds = time.perf_counter() - started
        return outcome

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self._run.destroy()

    def _set_omega(self, omega: float) -> None:
        if omega == self._omega:
            return
        options = {"pc_type": "sor", "pc_sor_local_symmetric": "", "pc_sor_omega": repr(omega)}
        if self._trick:
            options = {"pc_type": "eisenstat", "pc_eisenstat_omega": repr(omega)}
        with configured(self._run.ksp.getPC(), self._prefix, options):
            self._run.ksp.setUp()
        self._omega = omega
