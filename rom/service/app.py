"""The query service as one application: own routes, UM-Bridge, Open Inference, page, metrics."""

import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from rom.enrichment import EnrichmentSettings
from rom.registry import Registry
from rom.service.access import KeyCheck
from rom.service.documents import complete_document
from rom.service.engine import Engine
from rom.service.express import Express
from rom.service.gate import Gate
from rom.service.handlers import add_error_handlers
from rom.service.inference import add_inference_routes
from rom.service.inference_texts import InferText
from rom.service.jobs import JobRunner
from rom.service.keys import KeyStore
from rom.service.metrics import Metrics
from rom.service.models import Models
from rom.service.page_routes import page_router
from rom.service.routes_download import add_download_routes
from rom.service.routes_health import add_health_routes
from rom.service.routes_jobs import add_job_routes
from rom.service.routes_models import add_model_routes
from rom.service.routes_query import add_query_routes
from rom.service.service import Service
from rom.service.settings import ServiceSettings, require_safe_address
from rom.service.texts import CompareText, GradientText, QueryText
from rom.service.umbridge import add_umbridge_routes
from rom.service.umbridge_texts import (
    EvaluateText,
    HessianText,
    JacobianText,
    SensitivityText,
    SizesText,
    UmNameText,
)

__all__ = ["create_app"]

# Bodies of requests that are read by `rom.service.posts` or as bytes.
_TEXTS = (
    QueryText,
    GradientText,
    CompareText,
    EnrichmentSettings,
    UmNameText,
    SizesText,
    EvaluateText,
    SensitivityText,
    JacobianText,
    HessianText,
    InferText,
)
_TEXT = "Reduced models: fast answers for new parameters, with how far they can be trusted."


def create_app(
    registry: Registry,
    settings: ServiceSettings,
    keys: KeyStore | None = None,
    jobs: JobRunner | None = None,
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    registry
        The models.
    settings
        Limits and address.
    keys
        Every request but those for health needs one; None: no request does, which is only
        allowed on an address of this machine alone.
    jobs
        Runs full-order computations; None: not offered.

    Raises
    ------
    UserError
        If the address is open to others and there is no key.
    StoreError
        If the file of keys is damaged.
    """
    require_safe_address(settings.host, with_keys=keys is not None and bool(keys.records()))
    metrics = Metrics()
    executor = ThreadPoolExecutor(settings.threads, "romflow-query")
    loader = ThreadPoolExecutor(1, "romflow-load")
    models = Models(registry, settings.models, settings.refresh, loader, metrics)
    service = Service(settings, models, Engine(settings, executor, metrics), metrics, jobs)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - interface
        yield
        for pool in (executor, loader):
            pool.shutdown(wait=False, cancel_futures=True)

    # The pages that FastAPI would offer for the document load scripts from elsewhere.
    app = FastAPI(
        title="romflow",
        version=_version(),
        description=_TEXT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.posts = []
    _add_routes(app, service)
    add_error_handlers(app)
    complete_document(app, _TEXTS)
    names = None
    if keys is None:
        own = ("localhost", "127.0.0.1", "[::1]", settings.host, *settings.names)
        names = frozenset(name.lower() for name in own)
    check = KeyCheck(keys, settings.refresh, time.monotonic)
    app.add_middleware(Express, routes=app.state.posts)  # the last one that is added is outermost
    app.add_middleware(Gate, settings=settings, keys=check, metrics=metrics, own_names=names)
    return app


def _add_routes(app: FastAPI, service: Service) -> None:
    # Routes are tried one after the other: those that are asked most come first.
    add_query_routes(app, service)
    add_umbridge_routes(app, service)
    add_model_routes(app, service)
    add_download_routes(app, service)
    add_job_routes(app, service)
    add_inference_routes(app, service)
    add_health_routes(app, service)
    app.include_router(page_router())


def _version() -> str:
    try:
        return version("romflow")
    except PackageNotFoundError:
        return "0"
