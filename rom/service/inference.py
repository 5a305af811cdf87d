"""The Open Inference protocol, version 2: reduced models for clients of inference servers.

Inputs are the free parameters by name, each of shape (q,) or (q, 1) or (1,); further inputs are
``time`` (T,), s, and ``probes`` (k, d), m, at which fields are then given. Outputs are the
quantities of interest, and by request fields, ``coefficients``, ``indicator`` and ``in_range``.
The parameters of tensors carry units; those of the reply say how far it can be trusted.
"""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request
from starlette.responses import Response

from rom.answer import Answer
from rom.served_model import ServedModel
from rom.service.access import needs, secured
from rom.service.documents import INFERENCE_ERRORS
from rom.service.inference_question import Asked, asked_of, output_kinds
from rom.service.inference_texts import (
    InferReply,
    InferText,
    LiveReply,
    MetadataReply,
    ModelReadyReply,
    ReadyReply,
    ServerReply,
)
from rom.service.posts import body_of, require_scope
from rom.service.replies import JSON, json_reply
from rom.service.routes_health import require_ready
from rom.service.service import Service
from rom.service.tensors import HEADER, encoded, read_request
from rom.service.trust_view import trust_table
from rom.structures.trust import measured_coverage

__all__ = ["add_inference_routes"]

type _Name = Annotated[str, Path()]
type _Version = Annotated[int, Path(ge=1, lt=1 << 31)]

_TAG = ["Open Inference"]
_USE = {"dependencies": [Depends(needs("query"))], "openapi_extra": secured(), "tags": _TAG}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/InferText"}}},
    }
}
_BYTES = "application/octet-stream"
# From so many numbers on a reply is written in a thread.
_LONG = 20_000


def add_inference_routes(app: FastAPI, service: Service) -> None:
    """Add the routes below ``/v2``."""
    _add_health(app, service)
    _add_models(app, service)
    _add_infer(app, service)


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/v2", responses={200: {"model": ServerReply}, **INFERENCE_ERRORS}, tags=_TAG)  # type: ignore[arg-type]
    async def server() -> Response:
        """Tell what the service is."""
        extensions = ["binary_tensor_data"]
        return json_reply({"name": "romflow", "version": app.version, "extensions": extensions})

    @app.get(
        "/v2/health/live",
        responses={200: {"model": LiveReply}, **INFERENCE_ERRORS},
        tags=_TAG,  # type: ignore[arg-type]
    )
    async def live() -> Response:
        """Tell that the service lives."""
        return json_reply({"live": True})

    @app.get(
        "/v2/health/ready",
        responses={200: {"model": ReadyReply}, **INFERENCE_ERRORS},
        tags=_TAG,  # type: ignore[arg-type]
    )
    async def ready() -> Response:
        """Tell that models can be read."""
        await require_ready(service)
        return json_reply({"ready": True})


def _add_models(app: FastAPI, service: Service) -> None:
    metadata = {200: {"model": MetadataReply}, **INFERENCE_ERRORS}
    readiness = {200: {"model": ModelReadyReply}, **INFERENCE_ERRORS}

    @app.get("/v2/models/{name}", responses=metadata, **_USE)  # type: ignore[arg-type]
    async def model(name: _Name) -> Response:
        """Describe the newest version of a model."""
        return await _metadata(service, name, None)

    @app.get("/v2/models/{name}/versions/{version}", responses=metadata, **_USE)  # type: ignore[arg-type]
    async def model_version(name: _Name, version: _Version) -> Response:
        """Describe a version of a model."""
        return await _metadata(service, name, version)

    @app.get("/v2/models/{name}/ready", responses=readiness, **_USE)  # type: ignore[arg-type]
    async def ready(name: _Name) -> Response:
        """Load a model, if it is not, and tell that it is ready."""
        await service.models.get(name)
        return json_reply({"name": name, "ready": True})

    @app.get("/v2/models/{name}/versions/{version}/ready", responses=readiness, **_USE)  # type: ignore[arg-type]
    async def version_ready(name: _Name, version: _Version) -> Response:
        """Load a version of a model, if it is not, and tell that it is ready."""
        await service.models.get(name, version)
        return json_reply({"name": name, "ready": True})


def _add_infer(app: FastAPI, service: Service) -> None:
    use = {
        "openapi_extra": {**secured(), **_BODY},
        "tags": _TAG,
        "responses": {200: {"model": InferReply, "content": {_BYTES: {}}}, **INFERENCE_ERRORS},
    }

    @app.post("/v2/models/{name}/infer", **use)  # type: ignore[arg-type]
    async def infer(name: _Name, request: Request) -> Response:
        """Answer queries with the newest version of a model."""
        return await _infer(service, name, None, request)

    @app.post("/v2/models/{name}/versions/{version}/infer", **use)  # type: ignore[arg-type]
    async def infer_version(name: _Name, version: _Version, request: Request) -> Response:
        """Answer queries with a version of a model."""
        return await _infer(service, name, version, request)


async def _metadata(service: Service, name: str, version: int | None) -> Response:
    model = await service.models.get(name, version)
    versions = service.models.versions(name) if version is None else (version,)
    names = model.parameters.names
    units = {p.name: p for p in model.parameters.space.parameters}
    inputs = [
        _tensor(n, [-1], {"units": units[n].unit, "low": units[n].low, "high": units[n].high})
        for n in names
    ]
    outputs = [_tensor(n, shape, {"units": u}) for n, shape, u in output_kinds(model)]
    digest = service.models.digest(name, model.version)
    return json_reply(
        {
            "name": name,
            "versions": [str(v) for v in versions],
            "platform": "romflow",
            "inputs": inputs,
            "outputs": [*outputs, _tensor("in_range", [-1], {"units": "1"}, "BOOL")],
            "parameters": {"model_hash": digest, "coverage": measured_coverage(model.card)},
        }
    )


def _tensor(
    name: str, shape: list[int], parameters: dict[str, Any], kind: str = "FP64"
) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": shape, "parameters": parameters}


async def _infer(service: Service, name: str, version: int | None, request: Request) -> Response:
    require_scope(request, "query")
    text, rest = read_request(body_of(request), request.headers.get(HEADER))
    model = await service.models.get(name, version)
    asked = asked_of(model, text, rest)
    limit = service.settings.values_limit if asked.binary else service.settings.json_values_limit
    answers = [await service.engine.answer(model, q, limit) for q in asked.questions]
    digest = service.models.digest(name, model.version)
    content = _content(text, answers[0]) | {"parameters": _trust(service, model, answers[0])}
    content["parameters"]["model_hash"] = digest
    size = sum(v.size for a in answers for v in a.values.values())
    outputs = _outputs(asked, answers)
    if size > _LONG:
        reply, length = await service.engine.run(encoded, content, outputs)
    else:
        reply, length = encoded(content, outputs)
    headers = {} if length is None else {HEADER: str(length)}
    return Response(reply, 200, headers, JSON if length is None else _BYTES)


def _content(text: InferText, answer: Answer) -> dict[str, Any]:
    content = {"model_name": answer.model, "model_version": str(answer.version)}
    return content if text.id is None else content | {"id": text.id}


def _trust(service: Service, model: ServedModel, answer: Answer) -> dict[str, Any]:
    """Say the worst of all queries: the protocol has room for single values only."""
    table = trust_table(answer, service.settings.tolerance_of(model.card))
    reason = next((r for r in table["reasons"] if r), "")
    return {
        "indicator": float(answer.eta.max()),
        "coverage": float(answer.coverage),
        "in_range": bool(answer.in_range.all()),
        "trusted": all(table["trusted"]),
        "reason": reason,
        "level_used": answer.level_used,
    }


def _outputs(asked: Asked, answers: list[Answer]) -> list[tuple[dict[str, Any], Any, bool]]:
    found: dict[str, tuple[Any, str, str]] = {
        "indicator": (answers[0].eta, "1", "FP64"),
        "in_range": (answers[0].in_range, "1", "BOOL"),
    }
    for answer in answers:
        for name, values in answer.values.items():
            found[name] = (values, answer.units[name], "FP64")
    outputs = []
    for name, as_bytes in asked.outputs.items():
        values, unit, kind = found[name]
        text = _tensor(name, list(values.shape), {"units": unit}, kind)
        outputs.append((text, values, as_bytes))
    return outputs
