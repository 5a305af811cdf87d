"""Names of what can go wrong in a solve, and what to do about it."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from solvers.sequence.method import Outcome, Target
from solvers.sequence.report import Work
from solvers.sequence.system import System

__all__ = ["advice", "attainable", "complaint", "conclusive"]

_ADVICE = {
    "indefinite": "The matrix is not positive definite: check the sign of the coefficients.",
    "singular": "The matrix is singular or nearly so: check boundary conditions and coefficients.",
    "not-finite": "Numbers became infinite or NaN: check the coefficients of this sample.",
    "tolerance-below-round-off": "The residual is at the level of rounding errors already: "
    "choose a larger linear.rtol.",
    "iteration-limit": "Choose linear.method: direct, or a finer mesh where convection dominates.",
    "stagnation": "The iteration makes no progress: choose linear.method: direct.",
    "pattern": "The pattern of the matrix changed in the middle of the sequence: keep zeros as "
    "entries, or start another sequence.",
    "not-constant": "The matrix has changed although the traits call it constant: leave that out.",
    "breakdown": "The iteration broke down: choose linear.method: direct.",
}
# What a factorisation proves; iterations may only have stagnated there.
_PROVEN = frozenset({"singular", "tolerance-below-round-off"})
# Residuals below this many rounding errors of the terms cannot be told from zero.
_ROUNDING = 50


def advice(reason: str) -> str:
    """Say what to do about a named reason."""
    return _ADVICE.get(reason, "Choose another linear.method, for example direct.")


def complaint(
    name: str, tried: Iterable[tuple[str, str]], outcome: Outcome, target: Target, work: Work
) -> str:
    """Say that the system called `name` was not solved, by what, and what to do about it."""
    names = ", ".join(f"{one} ({reason})" for one, reason in tried)
    return (
        f"the {name} system was not solved: expected a relative residual of {target.rtol:.1e}, "
        f"received {outcome.residual / target.norm:.1e} after {work.iterations} iterations of "
        f"{names}. " + advice(outcome.reason)
    )


def conclusive(reason: str, *, direct: bool) -> bool:
    """Return whether no other configuration can solve a system that ended with this reason.

    Parameters
    ----------
    reason : as in `Outcome`
    direct : whether a direct method says so
    """
    return reason == "indefinite" or (direct and reason in _PROVEN)


def attainable(system: System, x: Any, residual: float) -> bool:
    r"""Return whether a residual is as small as rounding errors allow.

    The bound is :math:`50 \, \epsilon \, \|A\|_\infty \|x\|_2` (Higham, 2002, "Accuracy and
    Stability of Numerical Algorithms", chapter 7, for the backward error of a stable method).
    """
    return bool(residual <= _ROUNDING * np.finfo(float).eps * system.norm() * x.norm())
