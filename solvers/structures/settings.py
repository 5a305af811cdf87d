"""Settings of the full-order model of structures: validated text in. No PETSc here."""

from typing import Literal, final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from solvers.settings import LinearSettings

__all__ = ["StructureSettings"]


@final
class StructureSettings(BaseModel):
    """How increments are solved and cut, and what solves their linear systems."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: FiniteFloat = Field(
        1e-8, gt=0, lt=1, description="residual forces, relative to the largest scale of forces"
    )
    max_iterations: int = Field(25, ge=1, le=1000, description="Newton iterations of an increment")
    line_search: Literal["energy", "none"] = Field(
        "energy", description="energy: the work of the residual along the direction must fall"
    )
    max_cuts: int = Field(
        8, ge=0, le=40, description="how often an increment may be halved before the run stops"
    )
    tangent: Literal["symmetric-part", "full"] = Field(
        "symmetric-part",
        description="symmetric-part: systems are positive definite, also where a law's tangent "
        "is not symmetric; full: the exact tangent",
    )
    linear: LinearSettings | None = Field(
        None,
        description="of the linear systems; none: a method without memory that suits the size, so "
        "that a resumed run has the bits of an uninterrupted one",
    )
