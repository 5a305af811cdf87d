"""Whether the service lives, is ready, and what it has counted."""

from fastapi import Depends, FastAPI
from starlette.responses import Response

from rom.service.access import needs, secured
from rom.service.documents import HealthReply, errors
from rom.service.metrics import METRICS_TYPE
from rom.service.problem import ServiceError
from rom.service.replies import json_reply
from rom.service.service import Service

__all__ = ["add_health_routes", "require_ready"]


def add_health_routes(app: FastAPI, service: Service) -> None:
    """Add ``/health/live``, ``/health/ready`` and ``/metrics``."""

    @app.get(
        "/health/live", responses={200: {"model": HealthReply}, **errors(422)}, tags=["health"]
    )
    async def live() -> Response:
        """Tell that the process answers."""
        return json_reply({"status": "live"})

    @app.get(
        "/health/ready", responses={200: {"model": HealthReply}, **errors(422)}, tags=["health"]
    )
    async def ready() -> Response:
        """Tell that the models can be read."""
        await require_ready(service)
        return json_reply({"status": "ready"})

    @app.get(
        "/metrics",
        responses={200: {"content": {"text/plain": {}}}, **errors(422)},
        dependencies=[Depends(needs("admin"))],
        openapi_extra=secured(),
        tags=["health"],
    )
    async def metrics() -> Response:
        """Return counters in the text format of Prometheus."""
        return Response(service.metrics.text(), media_type=METRICS_TYPE)


async def require_ready(service: Service) -> None:
    """Check that the folder of models can be read.

    Raises
    ------
    ServiceError
        With the status 503 if it cannot.
    """
    try:
        await service.engine.run(service.models.names)
    except OSError as error:
        raise ServiceError.of(
            503, "not_ready", "a readable folder of models", str(error.strerror)
        ) from error
