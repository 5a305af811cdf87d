"""Time and solver settings of a study: validated text in, plain values out. No PETSc here."""

from collections.abc import Mapping
from typing import Literal, Self, final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from solvers.mesh import FloatArray

__all__ = ["LinearMethod", "LinearSettings", "SolverSettings", "TimeSettings"]

# Not all of them suit all matrices; `SequenceSolver` says which ones do.
LinearMethod = Literal[
    "auto",
    "direct",
    "direct-mumps",
    "fast-poisson",
    "gamg",
    "icc",
    "icc-recycled",
    "ilu-bcgs",
    "ilu-gmres",
    "ilu-recycled",
    "lagged-factor",
    "lagged-factor-rescaled",
    "lagged-gamg",
    "lagged-gamg-rescaled",
    "ssor",
]

# Shortest time to the first and between the output times, as a part of `end`: the adaptive steps
# that fit between them must stay above their minimum.
_SHORTEST = 2e-6
# Shortest fixed step as a part of `end`: far more steps than anyone waits for, and near the
# rounding errors of the time, which would then stand still.
_SHORTEST_STEP = 1e-9


@final
class TimeSettings(BaseModel):
    """Output times and time steps, in seconds.

    The simulation always begins at t = 0. Frames are stored at `frames` equally spaced times
    from `start` to `end`; the steps meet them. Give either `step` (fixed, rounded down so that
    it divides the output interval) or `cfl` (adaptive, the Courant number aimed at).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    end: FiniteFloat = Field(gt=0, description="last output time, s")
    start: FiniteFloat = Field(0.0, ge=0, description="first output time, s")
    frames: int = Field(ge=1, le=1_000_000, description="number of stored frames")
    step: FiniteFloat | None = Field(None, gt=0, description="fixed time step, s")
    cfl: FiniteFloat | None = Field(None, gt=0, le=10, description="Courant number aimed at")
    courant_limit: FiniteFloat = Field(
        2.0, gt=0, description="a step with a larger Courant number fails the sample"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.frames > 1 and self.start >= self.end:
            raise ValueError(
                f"expected start < end, received start = {self.start}, end = {self.end}"
            )
        if self.frames == 1 and self.start > 0:
            raise ValueError(
                f"expected no start with a single frame, which is stored at end; received start = "
                f"{self.start}"
            )
        shortest = min((gap for gap in self._gaps() if gap > 0), default=self.end)
        if shortest < _SHORTEST * self.end:
            raise ValueError(
                f"expected at least {_SHORTEST:g} of end to and between the output times, received "
                f"{shortest:g} s (start = {self.start}, end = {self.end}, frames = {self.frames})"
            )
        if (self.step is None) == (self.cfl is None):
            raise ValueError(
                "expected exactly one of step (fixed) and cfl (adaptive), received "
                f"step = {self.step}, cfl = {self.cfl}"
            )
        if self.step is not None and self.step < _SHORTEST_STEP * self.end:
            raise ValueError(
                f"expected step >= {_SHORTEST_STEP:g} of end = {self.end} s, received "
                f"step = {self.step} s"
            )
        if self.cfl is not None and self.cfl > self.courant_limit:
            raise ValueError(
                f"expected cfl <= courant_limit, received cfl = {self.cfl}, "
                f"courant_limit = {self.courant_limit}"
            )
        return self

    def _gaps(self) -> tuple[float, ...]:
        """Return the time to the first output time, and between two of them, s."""
        if self.frames == 1:
            return (self.end,)
        return self.start, (self.end - self.start) / (self.frames - 1)

    def times(self) -> FloatArray:
        """Return the (frames,) output times; a single frame is stored at `end`."""
        if self.frames == 1:
            return np.array([self.end])
        return np.linspace(self.start, self.end, self.frames)


@final
class SolverSettings(BaseModel):
    """Choices of the flow solver; the defaults suit steps near the Courant limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rtol: FiniteFloat = Field(
        1e-12, gt=0, lt=1e-2, description="relative residual tolerance of the momentum systems"
    )
    rotational: bool = Field(True, description="rotational form of the pressure correction")
    momentum: Mapping[str, str] = Field(
        default_factory=dict, description="PETSc options of the momentum systems, no prefix"
    )
    pressure: Mapping[str, str] = Field(
        default_factory=dict, description="PETSc options of the pressure systems, no prefix"
    )
    min_quality: FiniteFloat = Field(
        0.15,
        gt=0,
        lt=1,
        description="smallest mean-ratio quality a deformed cell may have (1: equilateral)",
    )


@final
class LinearSettings(BaseModel):
    """How the linear systems of steady problems and of linear ones in time are solved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rtol: FiniteFloat = Field(
        1e-8, gt=0, lt=1, description="tolerance on the true residual, relative"
    )
    method: LinearMethod = Field(
        "auto", description="auto (learned while solving), or the name of one configuration"
    )
    cost: Literal["seconds", "operations"] = Field(
        "seconds",
        description="what auto minimises: time, or counted operations (the same choices each time)",
    )
