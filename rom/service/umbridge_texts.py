"""Requests and replies of the UM-Bridge protocol 1.0, whose schemes allow no further entries.

Source: Seelinger et al. (2023), "UM-Bridge: Uncertainty quantification and modeling bridge",
doi:10.21105/joss.04748.
"""

from typing import Annotated, Literal, final

from pydantic import BaseModel, ConfigDict, Field

from rom.service.texts import Number, SelectText, TimeText

__all__ = [
    "ConfigText",
    "EvaluateReply",
    "EvaluateText",
    "HessianText",
    "InfoReply",
    "InputSizesReply",
    "JacobianText",
    "ModelInfoReply",
    "OutputSizesReply",
    "ProductReply",
    "SensitivityText",
    "SizesText",
    "SupportReply",
    "UmNameText",
]

type Vector = tuple[Number, ...]
type Place = Annotated[int, Field(strict=True, ge=0, lt=1 << 31)]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class ConfigText(_Text):
    """What a client may choose in ``config``.

    Attributes
    ----------
    select
        As in queries of the service's own routes; by default the quantities of interest.
    time
        s; by default the output times of the training.
    version
        Of the model; by default the newest.
    level
        Of fidelity: 0, the reduced model, is the only one.
    """

    select: SelectText = "quantities"
    time: TimeText = None
    version: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    level: Literal[0] = 0


@final
class UmNameText(_Text):
    """A model by name."""

    name: str


@final
class SizesText(_Text):
    """A model and its configuration."""

    name: str
    config: ConfigText = ConfigText()


@final
class EvaluateText(_Text):
    """One evaluation; `input` holds one vector: the free parameters in units."""

    name: str
    input: tuple[Vector, ...]
    config: ConfigText = ConfigText()


@final
class SensitivityText(_Text):
    """The product of `sens` with the Jacobian of an output."""

    name: str
    outWrt: Place  # noqa: N815 - the protocol's name
    inWrt: Place  # noqa: N815 - the protocol's name
    input: tuple[Vector, ...]
    sens: Vector
    config: ConfigText = ConfigText()


@final
class JacobianText(_Text):
    """The product of the Jacobian of an output with `vec`."""

    name: str
    outWrt: Place  # noqa: N815 - the protocol's name
    inWrt: Place  # noqa: N815 - the protocol's name
    input: tuple[Vector, ...]
    vec: Vector
    config: ConfigText = ConfigText()


@final
class HessianText(_Text):
    """Second derivatives, which are not offered."""

    name: str
    outWrt: Place  # noqa: N815 - the protocol's name
    inWrt1: Place  # noqa: N815 - the protocol's name
    inWrt2: Place  # noqa: N815 - the protocol's name
    input: tuple[Vector, ...]
    sens: Vector
    vec: Vector
    config: ConfigText = ConfigText()


@final
class InfoReply(_Text):
    """Version of the protocol, and names of the models."""

    protocolVersion: float  # noqa: N815 - the protocol's name
    models: list[str]


@final
class SupportReply(_Text):
    """What is offered."""

    Evaluate: bool
    Gradient: bool
    ApplyJacobian: bool
    ApplyHessian: bool


@final
class ModelInfoReply(_Text):
    """What a model offers."""

    support: SupportReply


@final
class InputSizesReply(_Text):
    """Lengths of the input vectors."""

    inputSizes: list[int]  # noqa: N815 - the protocol's name


@final
class OutputSizesReply(_Text):
    """Lengths of the output vectors."""

    outputSizes: list[int]  # noqa: N815 - the protocol's name


@final
class EvaluateReply(_Text):
    """The output vectors."""

    output: list[list[float]]


@final
class ProductReply(_Text):
    """One vector."""

    output: list[float]
