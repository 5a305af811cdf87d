"""Requests and replies of the Open Inference protocol, version 2.

Source: the protocol's REST specification, https://github.com/open-inference-protocol.
"""

from typing import Annotated, Any, final

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "InferReply",
    "InferText",
    "InputText",
    "LiveReply",
    "MetadataReply",
    "ModelReadyReply",
    "OutputText",
    "ReadyReply",
    "ServerReply",
    "TensorInfo",
    "TensorReply",
]

type Parameters = dict[str, str | bool | int | float]
type Size = Annotated[int, Field(strict=True, ge=0, lt=1 << 31)]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class InputText(_Text):
    """An input tensor; without data they follow the JSON as bytes."""

    name: str
    shape: Annotated[tuple[Size, ...], Field(max_length=8)]
    datatype: str
    parameters: Parameters = Field(default_factory=dict)
    data: list[Any] | None = None


@final
class OutputText(_Text):
    """An output that is asked for."""

    name: str
    parameters: Parameters = Field(default_factory=dict)


@final
class InferText(_Text):
    """One request."""

    id: str | None = None
    parameters: Parameters = Field(default_factory=dict)
    inputs: tuple[InputText, ...]
    outputs: tuple[OutputText, ...] | None = None


@final
class LiveReply(_Text):
    """Whether the service lives."""

    live: bool


@final
class ReadyReply(_Text):
    """Whether the service is ready."""

    ready: bool


@final
class ModelReadyReply(_Text):
    """Whether a model is ready."""

    name: str
    ready: bool


class ServerReply(_Text):
    """What the service is."""

    name: str
    version: str
    extensions: list[str]


@final
class TensorInfo(_Text):
    """Name, type and shape of a tensor; -1: any size."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters


@final
class MetadataReply(_Text):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    parameters: Parameters


@final
class TensorReply(_Text):
    """An output tensor, row by row."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters = Field(default_factory=dict)
    data: list[Any] | None = None


@final
class InferReply(_Text):
    """The outputs; `parameters` say how far they can be trusted."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: Parameters
    outputs: list[TensorReply]
