"""Queries and their gradients."""

from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from rom.answer import Answer, Gradient
from rom.served_model import ServedModel
from rom.service.arrow import ARROW, arrow_bytes
from rom.service.documents import GradientReply, QueryReply, binary, errors
from rom.service.negotiation import chosen_type
from rom.service.npy import NPY, npy_bytes
from rom.service.posts import add_post
from rom.service.problem import ServiceError
from rom.service.replies import JSON, json_reply
from rom.service.service import Service
from rom.service.settings import ServiceSettings
from rom.service.table import CSV, csv_bytes
from rom.service.texts import GradientText, QueryText
from rom.service.trust_view import header_text, trust_headers, trust_table

__all__ = ["add_query_routes", "single_array"]

_FORMS = (JSON, NPY, ARROW, CSV)
# So many numbers are written as bytes without a thread: about 1 ms.
_SHORT = 20_000


def add_query_routes(app: FastAPI, service: Service) -> None:
    """Add ``/api/models/{name}/query`` and ``/api/models/{name}/query/gradient``."""

    async def query(request: Request, body: QueryText) -> Response:
        """Answer one query or several: JSON, or an array, an Arrow stream or a table by `Accept`.

        A binary array holds one field or quantity; the trust in all queries together is in the
        headers `X-Romflow-...`.
        """
        kind = chosen_type(request.headers.get("accept"), _FORMS)
        model = await service.models.get(request.path_params["name"], body.version)
        question = body.question(model, body.policy)
        settings = service.settings
        limit = settings.values_limit if kind in (NPY, ARROW) else settings.json_values_limit
        answer = await service.engine.answer(model, question, limit)
        numbers = sum(values.size for values in answer.values.values())
        if numbers <= _SHORT:
            return _reply(model, question.mu, answer, kind, body.precision, settings)
        return await service.engine.run(
            _reply, model, question.mu, answer, kind, body.precision, settings
        )

    async def gradient(request: Request, body: GradientText) -> Response:
        """Return the derivatives of what is selected by the free parameters, per unit of each."""
        model = await service.models.get(request.path_params["name"], body.version)
        question = body.question(model)
        found = await service.engine.gradient(model, question, service.settings.json_values_limit)
        content = _derivatives(model, found)
        if sum(values.size for values in found.values.values()) <= _SHORT:
            return json_reply(content)
        return await service.engine.run(json_reply, content)

    path = "/api/models/{name}/query"
    good = {200: {"model": QueryReply, **binary(NPY, ARROW, CSV)}, **errors(404, 406, 409, 422)}
    add_post(app, path, QueryText, query, scope="query", responses=good, tag="queries")
    good = {200: {"model": GradientReply}, **errors(404, 409, 422)}
    path = "/api/models/{name}/query/gradient"
    add_post(app, path, GradientText, gradient, scope="query", responses=good, tag="queries")


def _derivatives(model: ServedModel, found: Gradient) -> dict[str, Any]:
    own = {p.name: p.unit for p in model.parameters.space.parameters}
    return {
        "model": model.name,
        "version": model.version,
        "parameters": found.parameters,
        "parameter_units": [own[name] for name in found.parameters],
        "times": found.times,
        "values": _plain(found.values),
        "units": {name: model.units.get(name, "1") for name in found.values},
    }


def single_array(answer: Answer) -> tuple[str, NDArray[np.float64]]:
    """Return name and values of an answer that holds one array only.

    Raises
    ------
    ServiceError
        If it holds several.
    """
    if len(answer.values) != 1:
        raise ServiceError.of(
            422,
            "several_arrays",
            "a selection of one field or quantity for a reply of one array",
            f"{len(answer.values)}: {', '.join(answer.values)}",
            "Name one, or ask for an Arrow stream.",
        )
    return next(iter(answer.values.items()))


def _reply(
    model: ServedModel,
    mu: NDArray[np.float64],
    answer: Answer,
    kind: str,
    precision: str,
    settings: ServiceSettings,
) -> Response:
    tolerance = settings.tolerance_of(model.card)
    if kind == JSON:
        reply = json_reply(_content(model, mu, answer, tolerance))
        reply.headers["Vary"] = "Accept"
        return reply
    headers = {"Vary": "Accept", **trust_headers(answer, tolerance)}
    if kind == ARROW:
        return Response(arrow_bytes(model, mu, answer, precision), 200, headers, ARROW)
    if kind == CSV:
        _require_table(answer)
        return Response(csv_bytes(model, mu, answer), 200, headers, CSV)
    name, values = single_array(answer)
    headers["X-Romflow-Units"] = header_text(answer.units[name])
    return Response(npy_bytes(values.astype(precision, copy=False)), 200, headers, NPY)


def _content(
    model: ServedModel, mu: NDArray[np.float64], answer: Answer, tolerance: float
) -> dict[str, Any]:
    return {
        "model": answer.model,
        "version": answer.version,
        "level_used": answer.level_used,
        "parameters": model.parameters.names,
        "mu": np.ascontiguousarray(mu),
        "times": answer.times,
        "values": _plain(answer.values),
        "units": dict(answer.units),
        "trust": trust_table(answer, tolerance),
    }


def _plain(values: Any) -> dict[str, NDArray[np.float64]]:
    """Return arrays in the order in which their numbers are written."""
    return {name: np.ascontiguousarray(array) for name, array in values.items()}


def _require_table(answer: Answer) -> None:
    if any(values.ndim != 2 for values in answer.values.values()):
        raise ServiceError.of(
            406, "not_acceptable", f"{CSV} for quantities only", "a question for fields"
        )
