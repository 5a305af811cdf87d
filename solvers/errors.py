"""Numerical events that end a sample, by name.

::

    RomflowError (infra.errors)
    └── SampleError            this sample cannot be computed; the others go on
        ├── DivergedError          the flow or a linear system left the finite numbers
        ├── LinearSolveError       a linear system did not converge
        ├── StepError              the time step breaks the CFL limit or falls below its minimum
        ├── CoefficientError       the parameters give coefficients or data that are not finite
        └── GeometryError          the parameters give an impossible or too distorted mesh
"""

from typing import final

from infra.errors import RomflowError

__all__ = [
    "CoefficientError",
    "DivergedError",
    "GeometryError",
    "LinearSolveError",
    "SampleError",
    "StepError",
]


class SampleError(RomflowError):
    """A sample cannot be computed with these parameters; `reason` is its short name."""

    reason: str = "failed"


@final
class CoefficientError(SampleError):
    """The parameters give coefficients that are impossible, infinite or NaN."""

    reason: str = "coefficients"


@final
class DivergedError(SampleError):
    """A field became infinite or NaN."""

    reason: str = "diverged"


@final
class LinearSolveError(SampleError):
    """A linear system did not reach its tolerance.

    Parameters
    ----------
    message : what happened and what to do
    reason : short name of the cause, such as ``indefinite`` or ``pattern``
    """

    def __init__(self, message: str, reason: str = "linear-solve") -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


@final
class StepError(SampleError):
    """The time step cannot satisfy the CFL condition."""

    reason: str = "time-step"


@final
class GeometryError(SampleError):
    """The deformed mesh is impossible or too distorted."""

    reason: str = "geometry"
