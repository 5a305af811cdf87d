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
from scipy.stats import qmc

from infra.field_space import FieldInfo, FieldSpace
from infra.records import Json
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.reduced_model import ReducedModel
from rom.regions import Region
from rom.registry import Registry
from rom.service.app import create_app
from rom.service.jobs import JobRunner
from rom.service.keys import KeyStore
from rom.service.running import RunningService
from rom.service.settings import ServiceSettings
from rom.settings import ReducedModelSettings
from solvers.parameters import Parameter, ParameterSpace

type Floats = NDArray[np.float64]
type Clients = Callable[..., httpx.Client]

SPACE = ParameterSpace(
    (
        Parameter("height", 0.2, 0.8, "m", "of the source"),
        Parameter("power", 1.0, 10.0, "W", "of the source", scale="log"),
        Parameter("gravity", 9.81, 9.81, "m s-2", "fixed"),
    )
)


def _square(cells: int) -> FieldSpace:
    axis = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    halves = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    fields = (
        FieldInfo("temperature", "K", len(points), "vertex"),
        FieldInfo("flux", "W m-2", len(points), "vertex"),
    )
    return FieldSpace(fields, {"vertex": points}, {"vertex": np.concatenate(halves)})


def _built(name: str, times: Floats, regressor: str) -> ReducedModel:
    m = 12
    space = _square(6)
    p = space.points["vertex"]
    values = SPACE.from_unit(qmc.Sobol(2, rng=np.random.default_rng(3)).random(16)[:m])
    height, power = (values[:, i, np.newaxis, np.newaxis] for i in (0, 1))
    t = times[:, np.newaxis]
    away = (p[:, 0] - 0.3 - 0.2 * t) ** 2 + (p[:, 1] - height) ** 2
    hot = 300.0 + power * (1 + t) * np.exp(-4.0 * away)
    flux = 1e4 * power * p[:, 0] * height * (1 + t**2)
    snapshots = ArraySnapshots(
        space,
        tuple(q.name for q in SPACE.parameters),
        np.column_stack([values, np.full(m, 9.81)]),
        np.concatenate([hot, flux], axis=-1),
        times,
        bounds={q.name: (q.low, q.high) for q in SPACE.parameters},
        units=[q.unit for q in SPACE.parameters],
        quantities={"mean": hot.mean(axis=2), "total": values[:, 1] * values[:, 0]},
        quantity_units={"mean": "K", "total": "W m"},
    )
    options: dict[str, Json] = {"restarts": 0} if regressor == "gp" else {}
    settings = ReducedModelSettings(tolerance=1e-3, regressor=regressor, options=options)
    return build(
        snapshots,
        settings,
        np.random.default_rng(0),
        name=name,
        description="a source in a square",
        parameters=SPACE,
        regions={"corner": Region("vertex", np.array([0, 1, len(p) - 1]))},
        lineage={"dataset": "analytic"},
    )


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
