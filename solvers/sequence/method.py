"""The interface of a way to solve the systems of a sequence."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, Self, final

from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["Method", "Outcome", "Target"]


@final
@dataclass(frozen=True)
class Target:
    """What a solve has to reach, and what it may cost.

    Attributes
    ----------
    norm : norm of the right-hand side
    rtol : tolerance on the true residual, relative to `norm`
    budget : seconds after which the solve is given up; None for no limit. Factorisations and
        triangular solves are not interrupted
    iterations : most iterations
    """

    norm: float
    rtol: float
    budget: float | None = None
    iterations: int = 10_000

    @property
    def residual(self) -> float:
        """Largest admissible norm of the true residual."""
        return self.rtol * self.norm

    def within(self, seconds: float) -> Self:
        """Return the target with a limit on the time."""
        return self._limited(seconds) if seconds < float("inf") else self

    def after(self, setup: float) -> Self:
        """Return the target with what a set-up of so many seconds has left of the budget.

        A quarter is always left: a solve that can start costs little beside what is paid already.
        """
        if self.budget is None:
            return self
        return self._limited(max(self.budget - setup, 0.25 * self.budget))

    def counted(self, products: float, each: float) -> Self:
        """Return the target with a limit on iterations that cost `each`, at least one of them."""
        if not products < float("inf"):
            return self
        return replace(self, iterations=max(int(products / each), 1))

    def _limited(self, seconds: float) -> Self:
        # Not `replace`, which is ten times slower: this runs in each solve of milliseconds.
        return type(self)(self.norm, self.rtol, seconds, self.iterations)


@final
@dataclass
class Outcome:
    """How a solve ended.

    Attributes
    ----------
    reason : ``converged``, ``budget``, or the name of what went wrong
    work : what was done
    residual : norm of the true residual; NaN where `GivenMethod` does not measure it
    """

    reason: str = "converged"
    work: Work = field(default_factory=Work)
    residual: float = float("inf")

    @property
    def converged(self) -> bool:
        """Whether the target was reached."""
        return self.reason == "converged"


class Method(ABC):
    """One configuration: it keeps factors, hierarchies and spaces from solve to solve.

    Attributes
    ----------
    keeps_setup : whether a set-up serves several matrices, so that its cost is shared
    begins : whether the first set-up does what later ones find done
    uses_guess : whether a good initial guess saves work
    """

    keeps_setup: bool = False
    begins: bool = True
    uses_guess: bool = True

    @abstractmethod
    def prepare(self, system: System) -> Work:
        """Bring the method up to the present version of the matrix; collective.

        Nothing is done twice for the same version.

        Raises
        ------
        LinearSolveError
            If the matrix cannot be used, for example because a factor breaks down.
        """

    @abstractmethod
    def solve(self, system: System, b: Any, x: Any, target: Target) -> Outcome:
        """Solve into `x`, which holds an initial guess; collective.

        `prepare` was called for this version. The outcome's residual is the true one.
        """

    @abstractmethod
    def destroy(self) -> None:
        """Free PETSc's objects."""
