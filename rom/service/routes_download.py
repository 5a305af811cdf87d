"""Answers as files, by an address that a browser can open."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from fastapi import Depends, FastAPI, Query
from starlette.responses import Response

from rom.answer import Answer
from rom.selection import Select
from rom.served_model import ServedModel
from rom.service.access import needs, secured
from rom.service.documents import binary, errors
from rom.service.npy import NPY, npy_bytes
from rom.service.problem import ServiceError
from rom.service.question import Question
from rom.service.routes_models import Version
from rom.service.routes_query import single_array
from rom.service.service import Service
from rom.service.table import CSV, csv_bytes
from rom.service.texts import mu_array
from rom.service.trust_view import trust_headers
from rom.service.vtkhdf import VTKHDF, vtkhdf_bytes

__all__ = ["add_download_routes"]

type Form = Literal["vtkhdf", "npy", "csv"]

_TYPES = {"vtkhdf": VTKHDF, "npy": NPY, "csv": CSV}


def add_download_routes(app: FastAPI, service: Service) -> None:
    """Add ``/api/models/{name}/download``."""

    @app.get(
        "/api/models/{name}/download",
        responses={
            200: {"description": "The file", **binary(VTKHDF, NPY, CSV)},
            **errors(404, 409, 422),
        },
        dependencies=[Depends(needs("query"))],
        openapi_extra=secured(),
        tags=["queries"],
    )
    async def download(
        name: str,
        mu: Annotated[list[str], Query(max_length=1000, description="name=value, once for each")],
        time: Annotated[list[float] | None, Query(max_length=100_000, description="s")] = None,
        names: Annotated[
            list[str] | None, Query(max_length=1000, description="fields, or quantities for csv")
        ] = None,
        format: Form = "vtkhdf",  # noqa: A002 - the name in the address
        version: Version = None,
    ) -> Response:
        """Return fields for ParaView or numpy, or quantities as a table."""
        model = await service.models.get(name, version)
        chosen = tuple(names or ())
        select = Select.quantities(*chosen) if format == "csv" else Select.fields(*chosen)
        times = _finite(time) if time else None
        question = Question(mu_array(model, _values(mu)), times, select)
        if format == "vtkhdf":
            question = replace(question, select=_on_one_mesh(model, select))
        answer = await service.engine.answer(model, question, service.settings.values_limit)
        content = await service.engine.run(_WRITERS[format], model, question, answer)
        headers = {
            "Content-Disposition": f'attachment; filename="{_file_name(answer, format)}"',
            **trust_headers(answer, service.settings.tolerance_of(model.card)),
        }
        return Response(content, 200, headers, _TYPES[format])


def _file_name(answer: Answer, form: str) -> str:
    suffix = "vtkhdf" if form == "vtkhdf" else form
    return f"{answer.model}-v{answer.version:04d}.{suffix}"


def _finite(times: list[float]) -> tuple[float, ...]:
    if not all(map(math.isfinite, times)):
        raise ServiceError.of(422, "invalid_query", "finite times", "NaN or infinity")
    return tuple(times)


def _values(entries: list[str]) -> dict[str, float]:
    """Return parameters by name from texts ``name=value``."""
    values: dict[str, float] = {}
    for entry in entries:
        name, _, text = entry.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value) or name in values:
            raise ServiceError.of(
                422, "invalid_query", "`mu` as name=number, each name once", repr(entry[:200])
            )
        values[name] = value
    return values


def _on_one_mesh(model: ServedModel, select: Select) -> Select:
    """Return the selection of fields that live on one mesh; by default on that of the first."""
    space = model.space
    locations = {info.name: info.location for info in space.fields}
    unknown = [name for name in select.names if name not in locations]
    if unknown:
        raise ServiceError.of(
            422, "invalid_query", f"fields out of {', '.join(locations)}", repr(unknown)
        )
    first = space.fields[0].location
    names = select.names or tuple(n for n, place in locations.items() if place == first)
    if len({locations[name] for name in names}) > 1:
        raise ServiceError.of(
            422, "several_meshes", "fields on one mesh", f"{', '.join(names)} on several"
        )
    return Select.fields(*names)


def _vtkhdf(model: ServedModel, question: Question, answer: Answer) -> bytes:
    space = model.space
    names = question.select.names
    place = next(info.location for info in space.fields if info.name == names[0])
    fields = {name: answer.values[name][0] for name in names}
    return vtkhdf_bytes(space.points_of(place), space.cells_of(place), answer.times, fields)


def _npy(model: ServedModel, question: Question, answer: Answer) -> bytes:  # noqa: ARG001 - as the others
    return npy_bytes(np.ascontiguousarray(single_array(answer)[1]))


def _csv(model: ServedModel, question: Question, answer: Answer) -> bytes:
    return csv_bytes(model, question.mu, answer)


_WRITERS: dict[str, Callable[[ServedModel, Question, Answer], bytes]] = {
    "vtkhdf": _vtkhdf,
    "npy": _npy,
    "csv": _csv,
}
