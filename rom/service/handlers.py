"""From exceptions to replies: every error is JSON, none shows a stack trace."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from infra.errors import RomflowError
from rom.service.problem import Problem, problem_of
from rom.service.replies import problem_reply

__all__ = ["add_error_handlers", "validation_problem"]

_SHOWN = 5
_LONGEST = 200
# Names of branches of unions, which are no part of what a client has sent.
_BRANCHES = frozenset(
    {"mapping", "table", "word", "choice", "float", "list[float]", "function-plain", "number"}
)


def add_error_handlers(app: FastAPI) -> None:
    """Make an application answer all errors in our forms."""
    app.add_exception_handler(RomflowError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _unexpected)


def validation_problem(errors: Sequence[Any]) -> Problem:
    """Return the problem that entries of pydantic describe.

    Parameters
    ----------
    errors
        As `ValidationError.errors()` gives them.
    """
    entries = [(_place(e), _words(e), _text(e.get("input"))) for e in errors[:_SHOWN]]
    lines = "\n".join(f"  - {where}: {what}" for where, what, _ in entries)
    more = f"\n  ... and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    where, what, received = entries[0]
    return Problem(
        422,
        "invalid_request",
        f"Expected another request; what was received does not fit:\n{lines}{more}",
        f"{where}: {what}",
        received,
    )


def _place(error: Any) -> str:
    loc = [str(part) for part in error["loc"]]
    kept = loc[:1] + [part for part in loc[1:] if part not in _BRANCHES]
    return ".".join(kept) or "body"


def _words(error: Any) -> str:
    text = str(error["msg"])
    return text[:1].lower() + text[1:]


def _text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, RomflowError)
    return problem_reply(problem_of(error), request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_reply(validation_problem(error.errors()), request.url.path)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    path = request.url.path
    words = {
        404: f"Expected a path of this service; received {path}. See /openapi.json.",
        405: f"Expected another method for {path}; received {request.method}.",
    }
    message = words.get(error.status_code, f"{phrase}: {error.detail}.")
    kind = phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    return problem_reply(Problem(error.status_code, kind, message, headers=headers), path)


async def _unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001 - interface
    problem = Problem(500, "internal", "The service failed; its log says how.")
    return problem_reply(problem, request.url.path)
