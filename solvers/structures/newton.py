r"""Newton's method in one increment.

.. math:: K_{ff}\,\Delta u_f = R_f - K_{fc}\,\Delta u_c, \qquad u \leftarrow u + s\,\Delta u

Prescribed components c take their values in the first iteration, by way of the tangent there, so
that they do not tear the elements beside them; later ones search along the direction.
"""

from dataclasses import dataclass, field
from typing import final

import numpy as np

from solvers.errors import LinearSolveError
from solvers.mesh import FloatArray
from solvers.sequence.report import Work
from solvers.structures.distribution import Distribution
from solvers.structures.elements import Elements
from solvers.structures.equilibrium import Balance, Equilibrium, Increment
from solvers.structures.errors import IncrementError
from solvers.structures.line_search import Trial, search
from solvers.structures.settings import StructureSettings
from solvers.structures.stiffness import Stiffness

__all__ = ["Effort", "Newton"]

# A residual this many times the scale of forces leads nowhere.
_HOPELESS = 1e6


@final
@dataclass
class Effort:
    """What has been done; it counts on while an increment is solved or fails.

    Attributes
    ----------
    iterations, evaluations : of Newton's method and of the law at all points
    linear : work of the linear systems
    residual : last residual relative to its scale
    """

    iterations: int = 0
    evaluations: int = 0
    linear: Work = field(default_factory=Work)
    residual: float = 0.0


@final
class Newton:
    """Solves increments on the ranks of a communicator.

    Parameters
    ----------
    distribution, elements, equilibrium, stiffness : of one structure
    settings : tolerance, iterations, line search and tangent
    """

    def __init__(
        self,
        distribution: Distribution,
        elements: Elements,
        equilibrium: Equilibrium,
        stiffness: Stiffness,
        settings: StructureSettings,
    ) -> None:
        self._distribution, self._elements = distribution, elements
        self._equilibrium, self._stiffness = equilibrium, stiffness
        self._settings = settings

    def solve(self, increment: Increment, effort: Effort) -> Balance:
        """Return the forces in equilibrium at the end of an increment; collective.

        Raises
        ------
        IncrementError
            If the iteration does not arrive.
        """
        balance = self._balance(increment, increment.before.displacement, effort)
        jump = np.where(increment.held, increment.prescribed - balance.displacement, 0.0)
        jumps = self._distribution.any(bool(jump.any()))
        for _ in range(self._settings.max_iterations):
            if not jumps and balance.relative <= self._settings.tolerance:
                return balance
            direction = self._direction(balance, jump, effort, jumps=jumps)
            effort.iterations += 1
            if jumps:
                there = balance.displacement + direction
                balance = self._balance(increment, there, effort)
                jump, jumps = np.zeros_like(jump), False
            else:
                balance = self._along(increment, balance, direction, effort)
            if balance.relative > _HOPELESS:
                break
        if not jumps and balance.relative <= self._settings.tolerance:
            return balance
        raise IncrementError(
            f"Newton's method left a relative residual of {balance.relative:.1e} after "
            f"{self._settings.max_iterations} iterations at most: expected at most "
            f"{self._settings.tolerance:.1e}"
        )

    def _balance(self, increment: Increment, displacement: FloatArray, effort: Effort) -> Balance:
        effort.evaluations += 1
        balance = self._equilibrium.balance(increment, displacement)
        effort.residual = balance.relative
        return balance

    def _direction(
        self, balance: Balance, jump: FloatArray, effort: Effort, *, jumps: bool
    ) -> FloatArray:
        symmetric = self._settings.tangent == "symmetric-part"
        matrices = self._elements.stiffness(balance.response.tangent, symmetric=symmetric)
        forces = balance.residual
        if jumps:
            of_jump = self._elements.products(matrices, jump)
            forces = forces - self._equilibrium.assembled(of_jump)
        self._stiffness.refill(matrices)
        try:
            direction, report = self._stiffness.solve(forces)
        except LinearSolveError as error:
            raise IncrementError(str(error)) from error
        effort.linear.add(report.work)
        return direction + jump if jumps else direction

    def _along(
        self, increment: Increment, before: Balance, direction: FloatArray, effort: Effort
    ) -> Balance:
        """Return the forces after a step along a direction."""
        if self._settings.line_search == "none":
            return self._balance(increment, before.displacement + direction, effort)

        def evaluate(length: float) -> Trial[Balance] | None:
            there = before.displacement + length * direction
            try:
                balance = self._balance(increment, there, effort)
            except IncrementError:
                return None
            return Trial(length, self._distribution.dot(direction, balance.residual), balance)

        start = self._distribution.dot(direction, before.residual)
        found = search(evaluate, start)
        if found is None:
            raise IncrementError("the law cannot be integrated anywhere along Newton's direction")
        effort.residual = found.result.relative
        return found.result
