"""What a Krylov solve returns: the reason it stopped, what it cost, and the space it leaves."""

from dataclasses import dataclass
from enum import Enum
from typing import final

from solvers.krylov.recycle_space import RecycleSpace

__all__ = ["KrylovResult", "KrylovStop", "Reason", "Tolerance"]


@final
class Reason(Enum):
    """Why a solve stopped; `advice` says what to try."""

    CONVERGED = "converged"
    ZERO_RIGHT_HAND_SIDE = "zero-right-hand-side"
    ITERATION_LIMIT = "iteration-limit"
    STAGNATION = "stagnation"
    BREAKDOWN = "breakdown"
    SINGULAR = "singular"
    INDEFINITE = "indefinite"
    INDEFINITE_PRECONDITIONER = "indefinite-preconditioner"
    NOT_FINITE = "not-finite"
    BELOW_ROUND_OFF = "tolerance-below-round-off"

    @property
    def success(self) -> bool:
        """Whether the solution can be used."""
        return self in (Reason.CONVERGED, Reason.ZERO_RIGHT_HAND_SIDE)

    @property
    def advice(self) -> str:
        """One sentence that says what to try."""
        return _ADVICE[self]


_ADVICE = {
    Reason.CONVERGED: "Nothing to do: the true residual is below the tolerance.",
    Reason.ZERO_RIGHT_HAND_SIDE: "Nothing to do: the solution of A x = 0 is zero.",
    Reason.ITERATION_LIMIT: "Allow more iterations (max_it), or choose a stronger preconditioner.",
    Reason.STAGNATION: (
        "Choose a stronger preconditioner or a larger restart length; "
        "for deflated CG check that matrix and preconditioner are symmetric."
    ),
    Reason.BREAKDOWN: (
        "The Krylov space stopped growing before the tolerance was met: check the preconditioner, "
        "which may map vectors to zero."
    ),
    Reason.SINGULAR: (
        "The matrix (or the preconditioner) is singular and the right-hand side is not in its "
        "range: fix the boundary conditions, or remove the null space from the right-hand side."
    ),
    Reason.INDEFINITE: (
        "Conjugate gradients need a positive definite matrix: check the coefficient's sign, or "
        "choose the method gcrodr."
    ),
    Reason.INDEFINITE_PRECONDITIONER: (
        "Conjugate gradients need a positive definite preconditioner: choose another (jacobi, "
        "icc with a positive-definite shift), or the method gcrodr."
    ),
    Reason.NOT_FINITE: (
        "NaN, infinity, or squares beyond the floating-point numbers, in matrix, right-hand side, "
        "initial guess or preconditioner: check the coefficients of this sample and their units."
    ),
    Reason.BELOW_ROUND_OFF: (
        "The residual is as small as rounding allows: loosen the tolerance (rtol, atol)."
    ),
}


@final
@dataclass(frozen=True)
class Tolerance:
    r"""When to stop: :math:`\|b - A x\| \le \max(rtol \|b\|, atol)`, or after `max_it` iterations.

    The residual is the true one, computed with the matrix, whatever the preconditioner.
    """

    rtol: float = 1e-8
    atol: float = 0.0
    max_it: int = 10_000


@final
@dataclass(frozen=True)
class KrylovResult:
    """Result of one solve.

    Parameters
    ----------
    reason : why it stopped
    iterations : Krylov steps
    products : products with the matrix, all of them
    recycle_products : those of them that carried the recycle space over to a new matrix
    preconditioned : applications of the preconditioner
    reductions : global reductions, all of them
    broadcasts : broadcasts of small matrices, one or two a cycle
    inner_reductions : those of the reductions in Krylov steps
    cycles : restarts of GCRO-DR, or starts of CG
    residual : relative true residual ||b - A x|| / ||b||
    norm_b : ||b||
    history : relative residual at the start and after each step, as the recurrence estimates it
    stale : mean sine of the principal angles between the space that came in and what the new
        matrix makes of it; 0 for the same matrix
    space : recycle space for the next solve
    """

    reason: Reason
    iterations: int
    products: int
    recycle_products: int
    preconditioned: int
    reductions: int
    broadcasts: int
    inner_reductions: int
    cycles: int
    residual: float
    norm_b: float
    history: tuple[float, ...]
    stale: float
    space: RecycleSpace

    @property
    def advice(self) -> str:
        """What happened and what to try, in a sentence or two."""
        return (
            f"{self.reason.value} after {self.iterations} iterations at relative residual "
            f"{self.residual:.1e}. {self.reason.advice}"
        )


class KrylovStop(Exception):  # noqa: N818 - an event inside a solve, caught before it returns
    """A solve cannot go on; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
