"""A real service with real models of analytic fields, and a real browser."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from scipy.spatial import Delaunay

from infra.field_space import FieldSpace
from infra.records import Json
from rom.building import build
from rom.reduced_model import ReducedModel
from rom.registry import Registry
from rom.service.app import create_app
from rom.service.keys import KeyStore
from rom.service.local_jobs import JobHandle, LocalJobs
from rom.service.running import RunningService
from rom.service.settings import ServiceSettings
from rom.settings import ReducedModelSettings
from tests.rom.spots import PARAMETERS, mean_of, snapshots_of, space_of, values_of

type Floats = NDArray[np.float64]

TIMES = np.linspace(0.0, 1.0, 11)
STEADY = np.zeros(1)
# Text that would do something if it ever became part of the document.
HOSTILE = '<img src="x" onerror="globalThis.hurt = true"><b>bold</b>'
SHOTS = Path(__file__).parents[3] / "build" / "screenshots"
_NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser")
# WebGL by the processor, for machines without a graphics card.
_FLAGS = ["--disable-gpu", "--enable-unsafe-swiftshader"]


def rectangle(width: float) -> FieldSpace:
    """Triangles on (0, width) x (0, 1) with a round hole."""
    x, y = np.linspace(0.0, width, int(14 * width) + 1), np.linspace(0.0, 1.0, 15)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    cells = Delaunay(points).simplices.astype(np.int64)
    centres = points[cells].mean(axis=1)
    solid = np.hypot(centres[:, 0] - 0.75 * width, centres[:, 1] - 0.5) > 0.16
    used, numbers = np.unique(cells[solid], return_inverse=True)
    return space_of(points[used], numbers.reshape(-1, 3))


def cube() -> FieldSpace:
    # Not a lattice: its tetrahedra would be flat in places.
    points = np.random.default_rng(5).random((60, 3))
    return space_of(points, Delaunay(points).simplices.astype(np.int64))


def truth(space: FieldSpace, mus: Floats, times: Floats) -> Floats:
    """Frames (m, T, n): a hot spot that travels, and a flux of other units."""
    p = space.points["vertex"]
    height, power = (mus[:, i, np.newaxis, np.newaxis] for i in (0, 1))
    t = times[:, np.newaxis]
    away = (p[:, 0] - p[:, 0].max() * (0.2 + 0.4 * t)) ** 2 + (p[:, 1] - height) ** 2
    hot = 300.0 + power * (1 + t) * np.exp(-6.0 * away)
    return np.concatenate([hot, 1e4 * power * p[:, 0] * height * (1 + t**2)], axis=-1)


def made(
    name: str,
    space: FieldSpace,
    times: Floats,
    m: int,
    description: str,
    policy: Literal["flag", "refuse"] = "flag",
) -> ReducedModel:
    values = values_of(m)
    return build(
        snapshots_of(space, values, truth(space, values, times), times),
        ReducedModelSettings(tolerance=1e-3, regressor="rbf", local="never", policy=policy),
        np.random.default_rng(0),
        name=name,
        description=description,
        parameters=PARAMETERS,
        lineage={"dataset": "analytic", "text": HOSTILE},
    )


class Bench:
    """Full-order runs, which stop at their middle until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def compare(
        self,
        name: str,
        version: int,  # noqa: ARG002 - interface
        mu: Mapping[str, float],
        handle: JobHandle,
    ) -> tuple[dict[str, Json], dict[str, NDArray[np.floating]]]:
        moves = name == "travelling"
        space, times = rectangle(3.0 if moves else 1.0), TIMES if moves else STEADY
        handle.progress(0.5, "half of the steps")
        while not self.go.wait(0.02):
            handle.check()
        handle.progress(0.9, "writing")
        point = np.array([[mu["height"], mu["power"]]])
        frames = truth(space, point, times)[0]
        n = len(space.points["vertex"])
        result: dict[str, Json] = {
            "error": 0.0011,
            "errors": {"temperature": 0.0012, "flux": 0.00034},
            # One of them as if the simulation had no such number.
            "quantities": {"mean": mean_of(space, frames).tolist(), "total": None},
        }
        return result, {"temperature": frames[:, :n], "flux": frames[:, n:]}


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    found = Registry(tmp_path_factory.mktemp("models"))
    wide, square = rectangle(3.0), rectangle(1.0)
    found.publish(made("travelling", wide, TIMES, 12, "An older one."))
    found.publish(made("travelling", wide, TIMES, 24, "A hot spot that travels along a channel."))
    found.publish(made("steady", square, STEADY, 20, HOSTILE))
    found.publish(made("strict", square, STEADY, 12, "It refuses.", "refuse"))
    found.publish(made("cube", cube(), STEADY, 12, "A field in space."))
    return found


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.go.clear()
    return shared_bench


@pytest.fixture(scope="session")
def shared_bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def serve(registry: Registry, shared_bench: Bench) -> Iterator[Callable[..., str]]:
    """Start services, and return their addresses; they end with the session."""
    running: list[tuple[RunningService, threading.Thread, LocalJobs]] = []

    def start(
        keys: KeyStore | None = None, *, with_jobs: bool = True, tolerance: float = 0.05
    ) -> str:
        settings = ServiceSettings(port=0, tolerance=tolerance)
        jobs = LocalJobs(shared_bench.compare)
        app = create_app(registry, settings, keys, jobs if with_jobs else None)
        service = RunningService(app, settings)
        thread = threading.Thread(target=service.run)
        thread.start()
        running.append((service, thread, jobs))
        return service.address

    yield start
    shared_bench.go.set()
    for service, thread, jobs in running:
        service.stop()
        thread.join(20.0)
        jobs.close()


@pytest.fixture(scope="session")
def address(serve: Callable[..., str]) -> str:
    return serve()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    # Root has no sandbox to give up.
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else _FLAGS
    browser = playwright.chromium.launch(executable_path=_chromium(playwright), args=flags)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    # One for all tests: it keeps the compiled library for curves. Every test has its own tab.
    with browser.new_context() as context:
        context.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        yield context


class Tabs:
    """Tabs that show the page; closing them fails if the browser has reported an error."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self._context, self._address = context, address
        self._pages: list[Page] = []
        self._problems: list[str] = []

    def open(
        self,
        where: str = "/page/",
        *,
        at: str = "",
        size: tuple[int, int] = (1280, 800),
        accept: str = "\0",
        script: str = "",
        ready: bool = True,
    ) -> Page:
        """Open one; `accept` is part of an error that is expected."""

        def told(message: ConsoleMessage) -> None:
            # The driver's remarks on speed, when a picture is taken of the page, are not ours.
            if "GL Driver Message" in message.text or accept in message.text:
                return
            if message.type in ("error", "warning"):
                self._problems.append(f"{message.text} {message.location}")

        page = self._context.new_page()
        self._pages.append(page)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.add_init_script(script)
        page.on("pageerror", lambda error: self._problems.append(str(error)))
        page.on("console", told)
        page.goto((at or self._address) + where)
        if ready:
            settle(page)
        return page

    def close(self) -> None:
        for page in self._pages:
            page.close()
        assert self._problems == []


@pytest.fixture
def open_page(context: BrowserContext, address: str) -> Iterator[Callable[..., Page]]:
    """Open the page in a new tab."""
    tabs = Tabs(context, address)
    yield tabs.open
    tabs.close()


@pytest.fixture(scope="module")
def still(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page, for tests that leave it as it is."""
    tabs = Tabs(context, address)
    yield tabs.open("/page/#model=travelling")
    tabs.close()


def show_curve(page: Page) -> None:
    page.locator("#curve").scroll_into_view_if_needed()
    expect(page.locator("#curve .main-svg").first).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def settle(page: Page) -> None:
    # Not by a script of ours: the page's policy lets none run.
    expect(page.locator("#history .entry[aria-current]")).to_have_count(1)


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    """Keep a picture of a whole page where people may look at it."""

    def take(page: Page, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        if page.locator("#curve").is_visible():
            show_curve(page)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    return take


@pytest.fixture
def truths() -> Callable[..., tuple[FieldSpace, Floats]]:
    """Return mesh and frames (T, n) of a model at a point."""

    def at(name: str, height: float, power: float) -> tuple[FieldSpace, Floats]:
        space = rectangle(3.0 if name == "travelling" else 1.0)
        times = TIMES if name == "travelling" else STEADY
        return space, truth(space, np.array([[height, power]]), times)[0]

    return at


def _chromium(playwright: Playwright) -> str:
    """Return the browser of the system, else the one that playwright has installed."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None and Path(playwright.chromium.executable_path).exists():
        found = playwright.chromium.executable_path
    assert found, "Expected Chromium; received none. Run `make browser`, or install it by hand."
    return found
