"""What one solve of a sequence cost and how it ended."""

from dataclasses import dataclass, field
from typing import final

__all__ = ["LinearReport", "Work"]


@final
@dataclass
class Work:
    """Operations of a solve.

    They are counted, except the reductions of PETSc's own methods, which follow from iterations.

    Attributes
    ----------
    iterations : inner iterations
    operator : products with the matrix, those of recycle spaces and residual checks included
    preconditioner : applications of a preconditioner or of a factor
    setups : factorisations, hierarchies and the like that were computed
    reductions : global reductions of the iteration
    setup_seconds, solve_seconds : wall-clock time
    """

    iterations: int = 0
    operator: int = 0
    preconditioner: int = 0
    setups: int = 0
    reductions: int = 0
    setup_seconds: float = 0.0
    solve_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Set-up and solve."""
        return self.setup_seconds + self.solve_seconds

    def counts(self) -> dict[str, int]:
        """Return what is counted, under the names that reports of samples have."""
        return {
            "iterations": self.iterations,
            "operator_applications": self.operator,
            "preconditioner_applications": self.preconditioner,
            "setups": self.setups,
            "reductions": self.reductions,
        }

    def add(self, other: "Work") -> None:
        """Count other operations as well."""
        # Written out: this runs several times in each time step of a flow.
        self.iterations += other.iterations
        self.operator += other.operator
        self.preconditioner += other.preconditioner
        self.setups += other.setups
        self.reductions += other.reductions
        self.setup_seconds += other.setup_seconds
        self.solve_seconds += other.solve_seconds


@final
@dataclass(frozen=True)
class LinearReport:
    """One solved system.

    Attributes
    ----------
    configuration : what solved it in the end
    reason : ``converged`` or ``zero-right-hand-side``
    residual : true relative residual ``||b - A x|| / ||b||``; NaN where given options name a method
        without iterations, which is proven once for each matrix instead
    work : everything that was done for it, trials that were given up included
    tried : configurations that were given up before, with their reasons
    """

    configuration: str
    reason: str
    residual: float
    work: Work
    tried: tuple[tuple[str, str], ...] = field(default=())
