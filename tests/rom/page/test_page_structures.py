"""The page with a structure: a body in space, turned and deformed, its level and its truth."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page, expect

from infra.records import Json
from rom.registry import Registry
from rom.selection import Select
from rom.service.app import create_app
from rom.service.local_jobs import JobHandle, LocalJobs
from rom.service.running import RunningService
from rom.service.settings import ServiceSettings
from rom.structures.full_response import full_response
from rom.structures.tetrahedra import tetrahedra
from solvers.problems.structures.cube import Cube, CubeSettings

type Shot = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def place(made_structure: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service with a structure, and with its full-order model."""
    registry = Registry(tmp_path_factory.mktemp("structures"))
    registry.publish(made_structure.model)
    model = made_structure.model

    def compare(
        name: str,  # noqa: ARG001 - interface
        version: int,  # noqa: ARG001 - interface
        mu: Mapping[str, float],
        handle: JobHandle,
    ) -> tuple[dict[str, Json], dict[str, NDArray[np.floating]]]:
        handle.progress(0.5, "the full-order model runs")
        response = full_response(model.parts, made_structure.truth)
        fields = model.at_full_order(mu, response, None, Select.fields()).values
        result: dict[str, Json] = {
            "errors": {"von_mises": 0.002},
            "quantities": {name: v.tolist() for name, v in response.quantities.items()},
            "level_used": "full",
        }
        return result, {name: values[0] for name, values in fields.items()}

    settings, jobs = ServiceSettings(port=0), LocalJobs(compare)
    service = RunningService(create_app(registry, settings, None, jobs), settings)
    thread = threading.Thread(target=service.run)
    thread.start()
    yield service.address
    service.stop()
    thread.join(20.0)
    jobs.close()


@pytest.fixture
def page(context: BrowserContext, place: str) -> Iterator[Page]:
    """The page with the structure at the point that was not seen; errors of the browser fail."""
    problems: list[str] = []
    with context.new_page() as page:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{place}/page/#model=hot-cube&mu.pressure=-95&mu.temperature_rise=570")
        expect(page.locator("#history .entry[aria-current]")).to_have_count(1)
        yield page
    assert problems == []


def test_a_structure_shows_its_body_its_level_and_its_history(page: Page, shot: Shot) -> None:
    expect(page.locator("#panels canvas.field")).to_be_visible()
    expect(page.locator("#body-tools")).to_be_visible()
    expect(page.locator("#factor")).to_contain_text("displacements ×")
    expect(page.locator("#trust-meaning")).to_contain_text("Level used: reduced.")
    expect(page.locator("#trust-meaning")).to_contain_text("accumulated plasticity at each time")
    expect(page.locator("#trust-meaning")).to_contain_text("(runs left out)")
    expect(page.locator("#trust-meaning")).not_to_contain_text("probability")
    expect(page.locator("#quantities tbody tr")).to_have_count(5)
    expect(page.get_by_label("Curve")).to_contain_text("largest_plasticity")
    page.get_by_label("Show", exact=True).select_option("von_mises")
    expect(page.locator("#probe")).to_contain_text("MPa")
    shot(page, "structure")


def test_the_body_is_turned_and_shown_undeformed(page: Page, shot: Shot) -> None:
    page.get_by_label("Show", exact=True).select_option("accumulated_plasticity")
    picture = page.locator("#panels .picture")
    before = picture.screenshot()
    page.get_by_label("Around").fill("30")
    page.get_by_label("From above").fill("60")
    page.get_by_label("Deformed").uncheck()
    expect(page.locator("#factor")).to_have_text("undeformed")
    # The picture is drawn in the next frame of the browser.
    expect(page.locator("#probe")).not_to_be_empty()
    assert picture.screenshot() != before
    shot(page, "structure-turned")


def test_the_probe_tells_a_position_in_space(page: Page) -> None:
    box = page.locator("#panels .picture").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    text = page.locator("#probe")
    expect(text).to_contain_text(re.compile(r"At x .* m, y .* m, z .* m: "))
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    expect(text).to_have_text("Outside the body.")


def test_the_full_order_model_stands_beside_it(page: Page, shot: Shot) -> None:
    page.get_by_role("button", name="Compute the truth").click()
    expect(page.locator("#truth-text")).to_contain_text("Level used: full.")
    expect(page.locator("#panels .panel")).to_have_count(3)
    expect(page.locator("#factor")).to_have_text("undeformed")
    shot(page, "structure-truth")


def test_the_surface_of_a_body_is_closed_and_faces_outwards(page: Page, place: str) -> None:
    mesh = Cube(CubeSettings(cells=2)).mesh()
    cells = tetrahedra(mesh)
    page.goto(f"{place}/page/icon.svg")
    faces = page.evaluate(
        "async ([points, cells]) => { const m = await import('/page/solid.js');"
        " return new m.Solid(points, cells).faces }",
        [mesh.points.ravel().tolist(), cells.ravel().tolist()],
    )
    corners = mesh.points[np.array(faces)]
    # By the divergence theorem: the volume that an outward surface encloses.
    enclosed = np.linalg.det(corners).sum() / 6.0
    assert enclosed == pytest.approx(6.0**3)
    assert len(faces) == 6 * 4 * 2
    seen = page.evaluate(
        "async ([points, cells]) => { const m = await import('/page/solid.js');"
        " const seen = new m.Solid(points, cells).seen(-60, 35);"
        " return { cells: seen.cells.length / 3, at: seen.where(seen.locate(0, 0)) } }",
        [mesh.points.ravel().tolist(), cells.ravel().tolist()],
    )
    assert seen["cells"] == 3 * 4 * 2  # three sides of a cube
    at = np.array(seen["at"])
    assert (np.isclose(at, 0.0) | np.isclose(at, 6.0)).any()
