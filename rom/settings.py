"""Settings of a reduced model at the text boundary."""

from typing import Literal, final

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from infra.records import Json

__all__ = ["Policy", "ReducedModelSettings"]

type Policy = Literal["flag", "refuse"]


@final
class ReducedModelSettings(BaseModel):
    """How a reduced model is built.

    Attributes
    ----------
    product
        Inner product of the fields: ``mass`` (L2), ``h1`` or ``euclidean``.
    length
        Length of the gradients in ``h1``, m.
    scales
        Scale of each field in its units, or ``auto``: measured.
    tolerance
        Relative root mean square projection error that is allowed.
    rank
        At most so many modes.
    centre
        Whether the mean snapshot is taken off.
    method
        ``batch``: all snapshots in memory. ``hierarchical``: one trajectory at a time.
    memory
        Bytes that snapshots may take; None: no limit.
    precision
        Type of the stored modes. ``auto``: 32 bits where they cost no digit that the modes have.
    time
        ``modes`` (`rom.time_modes`) or ``autoregressive`` (`rom.operator_inference`).
    time_tolerance
        Tolerance of the time modes; None: that of the projection.
    regressor, options
        Name and settings of the regressor over parameters.
    local
        ``never``: one basis for all parameters. ``auto``: local bases (`rom.local`) where the
        criterion says that they pay and predictions become better. ``always``: wherever they are
        possible.
    level
        Probability with which errors shall be below the indicator.
    range_factor
        How many spacings of the training set a query may be away from it.
    policy
        Queries out of range: ``flag`` or ``refuse``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: Literal["mass", "h1", "euclidean"] = "mass"
    length: PositiveFloat = 1.0
    scales: dict[str, PositiveFloat] | Literal["auto"] = "auto"
    tolerance: float = Field(1e-4, gt=0.0, lt=1.0)
    rank: PositiveInt | None = None
    centre: bool = True
    method: Literal["batch", "hierarchical"] = "batch"
    memory: PositiveInt | None = None
    precision: Literal["auto", "float64", "float32"] = "auto"
    time: Literal["modes", "autoregressive"] = "modes"
    time_tolerance: float | None = Field(None, ge=0.0, lt=1.0)
    regressor: str = "gp"
    options: dict[str, Json] = Field(default_factory=dict)
    local: Literal["auto", "never", "always"] = "auto"
    level: float = Field(0.95, gt=0.0, lt=1.0)
    range_factor: PositiveFloat = 2.0
    policy: Policy = "flag"
