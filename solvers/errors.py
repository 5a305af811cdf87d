"""Numerical events that end a sample, by name.

::

    RomflowError (infra.errors)
    └── SampleError            this sample cannot be computed; the others go on
        ├── DivergedError          the flow or a linear system left the finite numbers
        ├── LinearSolveError       a linear system did not converge
        ├── StepError              the time step breaks the CFL limit or falls below its minimum
        └── GeometryError          the parameters give an impossible or too distorted mesh
"""

from typing import ClassVar, final

from infra.errors import RomflowError

__all__ = ["DivergedError", "GeometryError", "LinearSolveError", "SampleError", "StepError"]


class SampleError(RomflowError):
    """A sample cannot be computed with these parameters; `reason` is its short name."""

    reason: ClassVar[str] = "failed"


@final
class DivergedError(SampleError):
    """A field became infinite or NaN."""

    reason: ClassVar[str] = "diverged"


@final
class LinearSolveError(SampleError):
    """A linear system did not reach its tolerance."""

    reason: ClassVar[str] = "linear-solve"


@final
class StepError(SampleError):
    """The time step cannot satisfy the CFL condition."""

    reason: ClassVar[str] = "time-step"


@final
class GeometryError(SampleError):
    """The deformed mesh is impossible or too distorted."""

    reason: ClassVar[str] = "geometry"
