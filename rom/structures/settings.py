"""Settings of a reduced structure at the text boundary."""

from typing import final

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

__all__ = ["StructureSettings"]


@final
class StructureSettings(BaseModel):
    """How a reduced structure is built.

    Attributes
    ----------
    displacement_tolerance
        Relative root mean square projection error of the displacements in L2.
    rank
        At most so many displacement modes.
    stress_tolerance
        Likewise of the stresses whose work the cubature integrates.
    cubature_tolerance
        Relative residual of the cubature rule. Errors of displacements are ten to thirty times as
        large (measured), so that it is smaller than the other tolerances.
    dual_tolerance
        Relative projection error of the fields that can be reconstructed.
    fields
        ``stress`` and internal variables of the law that can be reconstructed; None: the stress
        and, where the law has it, the accumulated plasticity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    displacement_tolerance: float = Field(1e-6, gt=0.0, lt=1.0)
    rank: PositiveInt | None = None
    stress_tolerance: float = Field(1e-5, gt=0.0, lt=1.0)
    cubature_tolerance: float = Field(1e-6, gt=0.0, lt=1.0)
    dual_tolerance: float = Field(1e-5, gt=0.0, lt=1.0)
    fields: tuple[str, ...] | None = None
