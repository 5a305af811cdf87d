"""Comparisons with the truth and enrichment, which run as jobs."""

import re
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from rom.enrichment import EnrichmentSettings
from rom.service.access import needs, secured
from rom.service.documents import JobReply, binary, errors
from rom.service.jobs import JobRunner, JobStatus
from rom.service.npy import NPY, npy_bytes
from rom.service.posts import add_post
from rom.service.problem import ServiceError
from rom.service.replies import json_reply
from rom.service.service import Service
from rom.service.texts import CompareText, mu_array
from rom.structures.published import PublishedStructure

__all__ = ["add_job_routes"]

_JOB = re.compile(r"[A-Za-z0-9-]{1,64}")
_START = {"dependencies": [Depends(needs("enrich"))], "openapi_extra": secured(), "tags": ["jobs"]}
_READ = {"dependencies": [Depends(needs("query"))], "openapi_extra": secured(), "tags": ["jobs"]}


def add_job_routes(app: FastAPI, service: Service) -> None:
    """Add ``compare`` and ``enrich`` of a model, and ``/api/jobs``."""

    async def compare(request: Request, body: CompareText) -> Response:
        """Start the full-order computation at one point, to be compared with the model."""
        jobs, name = _runner(service), request.path_params["name"]
        model = await service.models.get(name, body.version)
        values = mu_array(model, body.mu)
        mu = dict(zip(model.parameters.names, values[0].tolist(), strict=True))
        if isinstance(model, PublishedStructure):
            # Refuses what the full-order model cannot take, before anything waits.
            await service.engine.run(model.parts.case, model.parameters.space.mu(values[0]))
        job = await service.engine.run(jobs.submit_compare, name, model.version, mu)
        return await _started(service, jobs, job, "compare")

    async def enrich(request: Request, body: EnrichmentSettings) -> Response:
        """Start greedy enrichment, which publishes a new version of the model."""
        jobs, name = _runner(service), request.path_params["name"]
        number, card = await service.engine.run(service.models.card, name)
        if card.kind == "structure":
            raise ServiceError.of(
                422,
                "not_enriched_here",
                "a model of fields",
                f"{name}, a structure, which is enriched at load parameters",
                f"Use `romflow run enrich-rom {name} --mu NAME=VALUE`.",
            )
        job = await service.engine.run(jobs.submit_enrich, name, number, body)
        return await _started(service, jobs, job, "enrich")

    good = {202: {"model": JobReply}, **errors(404, 409, 422)}
    path = "/api/models/{name}/compare"
    add_post(
        app, path, CompareText, compare, scope="enrich", responses=good, tag="jobs", status=202
    )
    path = "/api/models/{name}/enrich"
    add_post(
        app,
        path,
        EnrichmentSettings,
        enrich,
        scope="enrich",
        responses=good,
        tag="jobs",
        status=202,
    )

    @app.get(
        "/api/jobs/{job}",
        responses={200: {"model": JobReply}, **errors(404, 422)},
        **_READ,  # type: ignore[arg-type]
    )
    async def status(job: str) -> Response:
        """Tell how a job is."""
        return _reply(await _status(service, _runner(service), job))

    @app.delete(
        "/api/jobs/{job}",
        responses={200: {"model": JobReply}, **errors(404, 422)},
        **_START,  # type: ignore[arg-type]
    )
    async def cancel(job: str) -> Response:
        """Cancel a job."""
        jobs = _runner(service)
        await _status(service, jobs, job)
        return _reply(await service.engine.run(jobs.cancel, job))

    @app.get(
        "/api/jobs/{job}/arrays/{array}",
        responses={200: {"description": "An array", **binary(NPY)}, **errors(404, 422)},
        **_READ,  # type: ignore[arg-type]
    )
    async def arrays(
        job: str, array: str, precision: Annotated[str, Query(pattern="^float(32|64)$")] = "float64"
    ) -> Response:
        """Return an array of a job that is done, for example a full-order field, as .npy."""
        jobs = _runner(service)
        known = await _status(service, jobs, job)
        found = await service.engine.run(jobs.array, job, array) if array in known.arrays else None
        if found is None:
            raise ServiceError.of(
                404, "unknown_array", f"an array out of {list(known.arrays)}", repr(array)
            )
        return Response(npy_bytes(np.asarray(found, precision)), media_type=NPY)


def _runner(service: Service) -> JobRunner:
    if service.jobs is None:
        raise ServiceError.of(
            404,
            "no_jobs",
            "a service that runs full-order computations",
            "one without",
            "Start it with `romflow serve`.",
        )
    return service.jobs


async def _status(service: Service, jobs: JobRunner, job: str) -> JobStatus:
    found = await service.engine.run(jobs.status, job) if _JOB.fullmatch(job) else None
    if found is None:
        raise ServiceError.of(404, "unknown_job", "the id of a job", repr(job[:100]))
    return found


async def _started(service: Service, jobs: JobRunner, job: str, kind: str) -> Response:
    service.metrics.job(kind)
    reply = _reply(await _status(service, jobs, job), 202)
    reply.headers["Location"] = f"/api/jobs/{job}"
    return reply


def _reply(status: JobStatus | None, code: int = 200) -> Response:
    content: dict[str, Any] = asdict(status) if status else {}
    return json_reply(content, code)
