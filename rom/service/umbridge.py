"""The UM-Bridge protocol 1.0: reduced models for clients of uncertainty quantification.

A model NAME has one input vector, its free parameters, and one output vector for each quantity of
interest (or what ``config`` selects). NAME.trust has one output vector more: the indicator, 1 if
the query is in range or 0, the score of the range, the distance to the training. Queries out of
range are never refused here: clients probe models at zero.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from fastapi import Depends, FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from rom.answer import Answer
from rom.model_card import ModelCard
from rom.served_model import ServedModel
from rom.service.access import needs, secured
from rom.service.documents import UMBRIDGE_ERRORS
from rom.service.posts import add_post
from rom.service.problem import ServiceError
from rom.service.question import Question
from rom.service.replies import json_reply
from rom.service.service import Service
from rom.service.texts import select_of, times_of
from rom.service.trust_view import trust_headers
from rom.service.umbridge_texts import (
    ConfigText,
    EvaluateReply,
    EvaluateText,
    HessianText,
    InfoReply,
    InputSizesReply,
    JacobianText,
    ModelInfoReply,
    OutputSizesReply,
    ProductReply,
    SensitivityText,
    SizesText,
    UmNameText,
)

__all__ = ["add_umbridge_routes"]

type _Floats = NDArray[np.float64]

_TRUST = ".trust"
_USE = {
    "dependencies": [Depends(needs("query"))],
    "openapi_extra": secured(),
    "tags": ["UM-Bridge"],
}


def add_umbridge_routes(app: FastAPI, service: Service) -> None:
    """Add the routes of the protocol at the root."""
    _add_descriptions(app, service)
    _add_computations(app, service)


def _add_descriptions(app: FastAPI, service: Service) -> None:
    @app.get("/Info", responses={200: {"model": InfoReply}, **UMBRIDGE_ERRORS}, **_USE)  # type: ignore[arg-type]
    async def info() -> Response:
        """Tell version of the protocol and names of the models."""
        names = await service.engine.run(service.models.names)
        both = [*names, *(name + _TRUST for name in names)]
        return json_reply({"protocolVersion": 1.0, "models": both})

    async def model_info(_: Request, body: UmNameText) -> Response:
        """Tell what a model offers."""
        name = body.name.removesuffix(_TRUST)
        found = await service.engine.run(service.models.card, name)
        smooth = _has_derivatives(found[1])
        support = {"Evaluate": True, "Gradient": smooth, "ApplyJacobian": smooth}
        return json_reply({"support": {**support, "ApplyHessian": False}})

    async def input_sizes(_: Request, body: SizesText) -> Response:
        """Tell the lengths of the input vectors."""
        model = await _model(service, body.name, body.config)
        return json_reply({"inputSizes": [len(model.parameters.names)]})

    async def output_sizes(_: Request, body: SizesText) -> Response:
        """Tell the lengths of the output vectors."""
        model = await _model(service, body.name, body.config)
        middle = np.array([[(p.low + p.high) / 2 for p in model.parameters.space.free]])
        answer = await _answer(service, model, middle, body.config)
        vectors = _vectors(answer, with_trust=body.name.endswith(_TRUST))
        return json_reply({"outputSizes": [len(vector) for vector in vectors]})

    _post(app, "/ModelInfo", UmNameText, ModelInfoReply, model_info)
    _post(app, "/InputSizes", SizesText, InputSizesReply, input_sizes)
    _post(app, "/OutputSizes", SizesText, OutputSizesReply, output_sizes)


def _add_computations(app: FastAPI, service: Service) -> None:
    async def evaluate(_: Request, body: EvaluateText) -> Response:
        """Evaluate a model at one point."""
        model = await _model(service, body.name, body.config)
        answer = await _answer(service, model, _point(model, body.input), body.config)
        reply = json_reply({"output": _vectors(answer, with_trust=body.name.endswith(_TRUST))})
        # The protocol has no room for it in the body.
        reply.headers.update(trust_headers(answer, service.settings.tolerance_of(model.card)))
        return reply

    async def gradient(_: Request, body: SensitivityText) -> Response:
        """Multiply a vector with the Jacobian of an output from the left."""
        J = await _jacobian(service, body)
        _require_length("sens", body.sens, len(J))
        return json_reply({"output": np.array(body.sens) @ J})

    async def apply_jacobian(_: Request, body: JacobianText) -> Response:
        """Multiply the Jacobian of an output with a vector."""
        J = await _jacobian(service, body)
        _require_length("vec", body.vec, J.shape[1])
        return json_reply({"output": J @ np.array(body.vec)})

    async def apply_hessian(_: Request, body: HessianText) -> Response:
        """Refuse: second derivatives are not offered."""
        service.models.versions(body.name.removesuffix(_TRUST))
        raise _unsupported("second derivatives")

    _post(app, "/Evaluate", EvaluateText, EvaluateReply, evaluate)
    _post(app, "/Gradient", SensitivityText, ProductReply, gradient)
    _post(app, "/ApplyJacobian", JacobianText, ProductReply, apply_jacobian)
    _post(app, "/ApplyHessian", HessianText, ProductReply, apply_hessian)


def _post[B: BaseModel](
    app: FastAPI,
    path: str,
    text: type[B],
    reply: type[BaseModel],
    answer: Callable[[Request, B], Awaitable[Response]],
) -> None:
    # Some clients of the protocol send no type with their JSON.
    responses: dict[int | str, dict[str, Any]] = {200: {"model": reply}, **UMBRIDGE_ERRORS}
    add_post(
        app, path, text, answer, scope="query", responses=responses, tag="UM-Bridge", any_type=True
    )


async def _model(service: Service, name: str, config: ConfigText) -> ServedModel:
    return await service.models.get(name.removesuffix(_TRUST), config.version)


async def _answer(
    service: Service, model: ServedModel, mu: _Floats, config: ConfigText
) -> Answer:  # fmt: skip
    question = Question(mu, times_of(config.time), select_of(config.select), "flag")
    return await service.engine.answer(model, question, service.settings.json_values_limit)


async def _jacobian(service: Service, body: SensitivityText | JacobianText) -> _Floats:
    """Return the Jacobian of one output, (its length, number of parameters)."""
    model = await _model(service, body.name, body.config)
    if not _has_derivatives(model.card):
        raise _unsupported("derivatives of a structure, which has none")
    mu = _point(model, body.input)
    if body.inWrt != 0:
        raise _invalid("0 as `inWrt`: there is one input vector", str(body.inWrt))
    config = body.config
    question = Question(mu, times_of(config.time), select_of(config.select), "flag")
    found = await service.engine.gradient(model, question, service.settings.json_values_limit)
    values = list(found.values.values())
    if body.outWrt >= len(values):
        if body.name.endswith(_TRUST) and body.outWrt == len(values):
            raise _unsupported("derivatives of the indicator")
        raise _invalid(f"`outWrt` below {len(values)}", str(body.outWrt))
    jacobian: _Floats = values[body.outWrt][0].reshape(-1, mu.shape[1])
    if not np.isfinite(jacobian).all():
        raise _invalid("a point with finite derivatives", "another")
    return jacobian


def _has_derivatives(card: ModelCard) -> bool:
    return card.kind != "structure"


def _vectors(answer: Answer, *, with_trust: bool) -> list[_Floats]:
    vectors = [np.ascontiguousarray(values[0]).reshape(-1) for values in answer.values.values()]
    if with_trust:
        in_range = float(answer.in_range[0])
        vectors.append(np.array([answer.eta[0], in_range, answer.score[0], answer.distance[0]]))
    return vectors


def _point(model: ServedModel, vectors: tuple[tuple[float, ...], ...]) -> _Floats:
    d = len(model.parameters.names)
    if len(vectors) != 1 or len(vectors[0]) != d:
        raise _invalid(
            f"one input vector of {d} numbers: {', '.join(model.parameters.names)}",
            f"lengths {[len(vector) for vector in vectors][:20]}",
        )
    return np.array(vectors)


def _require_length(name: str, vector: tuple[float, ...], length: int) -> None:
    if len(vector) != length:
        raise _invalid(f"`{name}` of length {length}", f"length {len(vector)}")


def _invalid(expected: str, received: str) -> ServiceError:
    return ServiceError.of(400, "invalid_input", expected, received)


def _unsupported(what: str) -> ServiceError:
    return ServiceError.of(400, "unsupported", "a feature that /ModelInfo lists", what)
