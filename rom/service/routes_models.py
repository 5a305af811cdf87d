"""Which models there are, what they say about themselves, and their meshes."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Depends, FastAPI, Header, Query
from numpy.typing import NDArray
from starlette.responses import Response

from infra.errors import RomflowError
from infra.field_space import FieldSpace
from rom.service.access import needs, secured
from rom.service.documents import ModelReply, ModelsReply, VersionsReply, binary, errors
from rom.service.models import Models
from rom.service.negotiation import chosen_type
from rom.service.npy import NPY, npy_bytes
from rom.service.problem import ServiceError, problem_of
from rom.service.replies import JSON, json_reply
from rom.service.service import Service

__all__ = ["Version", "add_model_routes"]

type Version = Annotated[int | None, Query(ge=1, lt=1 << 31, description="default: the newest")]

_READ = {"dependencies": [Depends(needs("query"))], "openapi_extra": secured(), "tags": ["models"]}


def add_model_routes(app: FastAPI, service: Service) -> None:
    """Add the routes below ``/api/models`` that only read."""

    @app.get(
        "/api/models",
        responses={200: {"model": ModelsReply}, **errors(422)},
        **_READ,  # type: ignore[arg-type]
    )
    async def models() -> Response:
        """List all models with parameters, units, bounds and lineage."""
        entries = await service.engine.run(_entries, service.models)
        return json_reply({"models": entries})

    @app.get(
        "/api/models/{name}",
        responses={200: {"model": ModelReply}, **errors(404, 409, 422)},
        **_READ,  # type: ignore[arg-type]
    )
    async def model(name: str, version: Version = None) -> Response:
        """Describe one model."""
        loaded = await service.models.get(name, version)
        content = {
            "name": name,
            "version": loaded.version,
            "versions": service.models.versions(name),
            "card": loaded.card.model_dump(mode="json"),
            "digest": service.models.digest(name, loaded.version),
            "mesh": _mesh(loaded.space),
            "times": loaded.times,
            "tolerance": service.settings.tolerance_of(loaded.card),
            "jobs": service.jobs is not None,
        }
        return json_reply(content)

    @app.get(
        "/api/models/{name}/versions",
        responses={200: {"model": VersionsReply}, **errors(404, 422)},
        **_READ,  # type: ignore[arg-type]
    )
    async def versions(name: str) -> Response:
        """List the versions of a model."""
        return json_reply({"name": name, "versions": service.models.versions(name)})

    @app.get(
        "/api/models/{name}/mesh/{location}/{part}",
        responses={
            200: {"description": "An array as .npy or nested lists", **binary(NPY, JSON)},
            304: {"description": "The client has it"},
            **errors(404, 406, 409, 422),
        },
        **_READ,  # type: ignore[arg-type]
    )
    async def mesh(
        name: str,
        location: str,
        part: Literal["points", "cells"],
        version: Version = None,
        accept: Annotated[str | None, Header()] = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Return the points (n, d), m, or the simplices (m, d + 1) of a mesh."""
        kind = chosen_type(accept, (NPY, JSON))
        loaded = await service.models.get(name, version)
        array = _array(loaded.space, location, part)
        tag = f'"{loaded.card.mesh}-{"npy" if kind == NPY else "json"}"'
        # The same for ever for one mesh; but its model may get another one.
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
        if if_none_match == tag:
            return Response(status_code=304, headers=headers)
        if kind == JSON:
            reply = json_reply(array)
            reply.headers.update(headers)
            return reply
        content = await service.engine.run(npy_bytes, array)
        return Response(content, media_type=NPY, headers=headers)


def _entries(models: Models) -> list[dict[str, Any]]:
    return [_entry(models, name) for name in models.names()]


def _entry(models: Models, name: str) -> dict[str, Any]:
    versions = models.versions(name)
    entry: dict[str, Any] = {"name": name, "version": versions[-1], "versions": versions}
    try:
        _, card = models.card(name)
    except RomflowError as error:
        return entry | {"card": None, "error": problem_of(error).message}
    return entry | {"card": card.model_dump(mode="json"), "error": None}


def _mesh(space: FieldSpace) -> dict[str, Any]:
    return {location: _location(space, location) for location in space.locations}


def _location(space: FieldSpace, location: str) -> dict[str, Any]:
    points, cells = space.points.get(location), space.cells.get(location)
    return {
        "points": None if points is None else len(points),
        "cells": None if cells is None else len(cells),
        "dimension": None if points is None else int(points.shape[1]),
    }


def _array(space: FieldSpace, location: str, part: str) -> NDArray[np.generic]:
    arrays = space.points if part == "points" else space.cells
    if location not in arrays:
        raise ServiceError.of(
            404,
            "unknown_location",
            f"a location with {part} out of {sorted(arrays)}",
            repr(location),
        )
    found = arrays[location]
    return found if part == "points" else found.astype(np.int32)
