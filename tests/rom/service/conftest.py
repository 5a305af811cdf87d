"""Two small models in a registry, and services for them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from rom.reduced_model import ReducedModel
from rom.registry import Registry
from rom.service.app import create_app
from rom.service.jobs import JobRunner
from rom.service.keys import KeyStore
from rom.service.running import RunningService
from rom.service.settings import ServiceSettings
from tests.rom.spots import make, study

type Floats = NDArray[np.float64]
type Clients = Callable[..., httpx.Client]


def _built(name: str, times: Floats, regressor: str) -> ReducedModel:
    snapshots = study(12, times, cells=6)
    text = "a source in a square"
    return make(snapshots, name, text, tolerance=1e-3, regressor=regressor)


@pytest.fixture(scope="session")
def spot() -> ReducedModel:
    """A steady model."""
    return _built("spot", np.zeros(1), "gp")


@pytest.fixture(scope="session")
def moving() -> ReducedModel:
    """A model in time."""
    return _built("moving", np.linspace(0.0, 1.0, 5), "rbf")


@pytest.fixture(scope="session")
def registry(
    spot: ReducedModel, moving: ReducedModel, tmp_path_factory: pytest.TempPathFactory
) -> Registry:
    """Models `moving` and `spot`, the second in two versions."""
    found = Registry(tmp_path_factory.mktemp("models"))
    for model in (spot, spot, moving):
        found.publish(model)
    return found


@contextmanager
def _served(app: FastAPI, settings: ServiceSettings) -> Iterator[str]:
    """Run an application on a free port; give its address."""
    running = RunningService(app, settings)
    thread = Thread(target=running.run)
    thread.start()
    try:
        yield running.address
    finally:
        running.stop()
        thread.join(30)
        assert not thread.is_alive()


def _client(address: str) -> httpx.Client:
    return httpx.Client(base_url=address, trust_env=False, timeout=60.0)


@pytest.fixture
def clients(registry: Registry) -> Iterator[Clients]:
    """Give a function that starts a service and returns its client."""
    with ExitStack() as opened:

        def make(
            keys: KeyStore | None = None,
            jobs: JobRunner | None = None,
            models: Registry | None = None,
            **settings: object,
        ) -> httpx.Client:
            chosen = ServiceSettings.model_validate({"port": 0} | settings)
            app = create_app(models or registry, chosen, keys, jobs)
            return opened.enter_context(_client(opened.enter_context(_served(app, chosen))))

        yield make


@pytest.fixture(scope="session")
def live(registry: Registry) -> Iterator[str]:
    """Address of a service without keys and without jobs."""
    settings = ServiceSettings(port=0, rate=None)
    with _served(create_app(registry, settings), settings) as address:
        yield address


@pytest.fixture(scope="session")
def client(live: str) -> Iterator[httpx.Client]:
    """A client of that service."""
    with _client(live) as found:
        yield found


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keys.json"
