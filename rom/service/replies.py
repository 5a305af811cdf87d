"""Replies as bytes, and the forms of errors that the three protocols want."""

from typing import Any, final

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from rom.service.problem import Problem

__all__ = [
    "JSON",
    "ErrorBody",
    "ErrorReply",
    "InferenceErrorReply",
    "UmBridgeError",
    "UmBridgeErrorReply",
    "is_inference",
    "is_umbridge",
    "json_reply",
    "problem_reply",
]

JSON = "application/json"
_UMBRIDGE = frozenset(
    {
        "/Info",
        "/ModelInfo",
        "/InputSizes",
        "/OutputSizes",
        "/Evaluate",
        "/Gradient",
        "/ApplyJacobian",
        "/ApplyHessian",
    }
)
# The types that the UM-Bridge protocol knows; all of them come with the status 400.
_UMBRIDGE_TYPES = {
    "unknown_model": "ModelNotFound",
    "unknown_version": "ModelNotFound",
    "unsupported": "UnsupportedFeature",
}


@final
class ErrorBody(BaseModel):
    """What is wrong.

    Attributes
    ----------
    type
        A short name that programs may test.
    message
        What was expected, what was received, what to do.
    expected, received
        These parts of it, where they are known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    message: str
    expected: str | None
    received: str | None


@final
class ErrorReply(BaseModel):
    """Every reply with a status from 400 on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error: ErrorBody


@final
class UmBridgeError(BaseModel):
    """Type and message, as the UM-Bridge protocol wants them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    message: str


@final
class UmBridgeErrorReply(BaseModel):
    """Errors on the routes of the UM-Bridge protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error: UmBridgeError


@final
class InferenceErrorReply(BaseModel):
    """Errors on the routes of the Open Inference protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error: str


def json_reply(content: Any, status: int = 200) -> Response:
    """Return a reply in JSON; numpy arrays become nested lists."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type=JSON
    )


def is_umbridge(path: str) -> bool:
    """Tell whether a path belongs to the UM-Bridge protocol."""
    return path in _UMBRIDGE


def is_inference(path: str) -> bool:
    """Tell whether a path belongs to the Open Inference protocol."""
    return path == "/v2" or path.startswith("/v2/")


def problem_reply(problem: Problem, path: str) -> Response:
    """Return the reply for a problem, in the form of the protocol that the path belongs to."""
    status, content = problem.status, _content(problem, path)
    if is_umbridge(path) and status in (404, 409, 422):
        status = 400
    reply = json_reply(content, status)
    reply.headers.update(problem.headers)
    return reply


def _content(problem: Problem, path: str) -> dict[str, Any]:
    if is_inference(path):
        return {"error": problem.message}
    if is_umbridge(path):
        usual = "InvalidInput" if problem.status < 500 else "InvalidOutput"
        kind = _UMBRIDGE_TYPES.get(problem.type, usual)
        return {"error": {"type": kind, "message": problem.message}}
    return {
        "error": {
            "type": problem.type,
            "message": problem.message,
            "expected": problem.expected,
            "received": problem.received,
        }
    }
