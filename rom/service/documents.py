"""What the OpenAPI document says about replies: their forms, errors and the keys."""

from collections.abc import Sequence
from typing import Any, Literal, final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from rom.service.access import SCHEMES
from rom.service.replies import ErrorReply, InferenceErrorReply, UmBridgeErrorReply

__all__ = [
    "INFERENCE_ERRORS",
    "UMBRIDGE_ERRORS",
    "GradientReply",
    "HealthReply",
    "JobReply",
    "ModelEntry",
    "ModelReply",
    "ModelsReply",
    "QueryReply",
    "TrustReply",
    "VersionsReply",
    "binary",
    "complete_document",
    "errors",
]

type _Nested = list[Any]

_PLACE = "#/components/schemas/{model}"

_WORDS = {
    400: "Unreadable request",
    401: "No key, or a wrong one",
    403: "A key without the scope",
    404: "Unknown path, model, version or job",
    405: "Another method",
    406: "No form of reply that the client accepts",
    408: "The body did not arrive in time",
    409: "The stored model is damaged",
    413: "Too large a request or reply",
    415: "A compressed body",
    422: "A request that does not fit the model",
    429: "Too many requests",
    503: "Busy, or not ready",
}
# What the gate may answer before any route is reached.
_ALWAYS = (400, 401, 403, 405, 408, 413, 415, 429, 503)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@final
class HealthReply(_Reply):
    """How the service is."""

    status: Literal["live", "ready"]


@final
class ModelEntry(_Reply):
    """A model: its newest version and what its card says; `error` if it cannot be read."""

    name: str
    version: int
    versions: list[int]
    card: dict[str, Any] | None
    error: str | None


@final
class ModelsReply(_Reply):
    """All models."""

    models: list[ModelEntry]


@final
class LocationReply(_Reply):
    """One set of points that carries fields, and their number of simplices."""

    points: int | None
    cells: int | None
    dimension: int | None


@final
class ModelReply(_Reply):
    """A model: its card, its mesh, the SHA-256 of its files, and its output times, s."""

    name: str
    version: int
    versions: list[int]
    card: dict[str, Any]
    digest: str
    mesh: dict[str, LocationReply]
    times: list[float]
    tolerance: float
    jobs: bool


@final
class VersionsReply(_Reply):
    """The versions of a model, ascending."""

    name: str
    versions: list[int]


@final
class TrustReply(_Reply):
    """What is said about the trust in each query; see the card for what the indicator bounds."""

    indicator: list[float]
    coverage: float
    tolerance: float
    in_range: list[bool]
    trusted: list[bool]
    score: list[float]
    distance: list[float]
    reasons: list[str]


@final
class QueryReply(_Reply):
    """The answer to q queries at T times.

    `values` are lists of shape (q, T) for quantities, (q, 1) for those with one number per
    sample, and (q, T, n) for all else.
    """

    model: str
    version: int
    level_used: str
    parameters: list[str]
    mu: list[list[float]]
    times: list[float]
    values: dict[str, _Nested]
    units: dict[str, str]
    trust: TrustReply


@final
class GradientReply(_Reply):
    """Derivatives: as the values of a query, with the free parameters as one more axis."""

    model: str
    version: int
    parameters: list[str]
    parameter_units: list[str]
    times: list[float]
    values: dict[str, _Nested]
    units: dict[str, str]


@final
class JobReply(_Reply):
    """How a job is."""

    job: str
    kind: Literal["compare", "enrich"]
    model: str
    version: int
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float
    message: str
    result: dict[str, Any]
    arrays: list[str]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the document says of the errors of a route."""
    return _errors(ErrorReply, (*_ALWAYS, *statuses))


def binary(*types: str) -> dict[str, Any]:
    """Return the content of a reply in binary forms."""
    return {"content": {t: {"schema": {"type": "string", "format": "binary"}} for t in types}}


def _errors(model: type[BaseModel], statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {s: {"model": model, "description": _WORDS[s]} for s in sorted(set(statuses))}


# The error 422 is listed everywhere, or FastAPI would list a form that is not ours.
UMBRIDGE_ERRORS = _errors(UmBridgeErrorReply, (*_ALWAYS, 422))
INFERENCE_ERRORS = _errors(InferenceErrorReply, (*_ALWAYS, 404, 409, 422))


def complete_document(app: FastAPI, texts: Sequence[type[BaseModel]]) -> None:
    """Make the OpenAPI document of an application say how keys are sent, and what bodies are.

    Parameters
    ----------
    app
        The application.
    texts
        Forms of bodies that FastAPI does not read itself.
    """
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = make()
            components = document.setdefault("components", {})
            components["securitySchemes"] = dict(SCHEMES)
            _, schemas = models_json_schema(
                [(text, "validation") for text in texts], ref_template=_PLACE
            )
            components["schemas"] |= schemas["$defs"]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
