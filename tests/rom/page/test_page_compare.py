"""Two points beside each other, the truth beside the model, downloads, keys."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from infra.field_space import FieldSpace
from rom.service.keys import KeyStore

type Truths = Callable[..., tuple[FieldSpace, NDArray[np.float64]]]
type Open = Callable[..., Page]
type Shot = Callable[[Page, str], None]

TRAVELLING = "/page/#model=travelling"
STEADY = "/page/#model=steady"


def enter(page: Page, name: str, value: str) -> None:
    field = page.get_by_label(name, exact=True)
    field.fill(value)
    field.press("Enter")
    expect(page.locator("#history .entry").first).to_contain_text(f"{name} {value}")


def test_a_kept_point_is_seen_beside_the_next_one(open_page: Open, shot: Shot) -> None:
    page = open_page(TRAVELLING)
    beside = page.get_by_label("Beside the kept point")
    expect(beside).to_be_disabled()
    page.get_by_role("button", name="Keep this point").click()
    expect(page.locator("#kept-text")).to_contain_text("height 0.5 m")
    enter(page, "height", "0.25")
    beside.check()
    expect(page.locator(".panel-title")).to_have_text(["This point", "Kept point", "Difference"])
    heads = page.locator("#quantities thead th")
    expect(heads).to_have_text(
        ["Quantity", "This point", "Kept point", "Difference", "Usual error"]
    )
    total = page.locator("#quantities tr", has_text="total").locator("td")
    this, kept, gap = (float(t.split()[0].replace("−", "-")) for t in total.all_inner_texts()[:3])
    assert gap == pytest.approx(this - kept, abs=2e-3)
    assert this / kept == pytest.approx(0.5, rel=0.02)
    page.locator("#curve").scroll_into_view_if_needed()
    expect(page.locator("#curve .legendtext")).to_have_text(["This point", "Kept point"])
    shot(page, "kept")
    page.get_by_role("button", name="Go to the kept point").click()
    expect(page.get_by_label("height", exact=True)).to_have_value("0.5")
    page.get_by_role("button", name="Forget it").click()
    expect(page.locator(".panel-title")).to_have_text(["This point"])
    expect(beside).to_be_disabled()


def test_the_difference_of_a_point_with_itself_is_nothing(open_page: Open) -> None:
    page = open_page(STEADY)
    page.get_by_role("button", name="Keep this point").click()
    page.get_by_label("Beside the kept point").check()
    expect(page.locator(".picture").last).to_have_attribute(
        "aria-label", "Difference: temperature, from 0 K to 0 K"
    )
    expect(page.locator(".panel").last.locator(".mark")).to_have_text(["0"])


def test_pictures_beside_each_other_show_the_same_part(open_page: Open) -> None:
    page = open_page(STEADY)
    page.get_by_role("button", name="Keep this point").click()
    page.get_by_label("Beside the kept point").check()
    expect(page.locator(".picture")).to_have_count(3)
    page.locator(".picture").nth(1).press("+")
    expect(page.locator(".picture.zoomed")).to_have_count(3)
    page.locator(".picture").nth(2).press("ArrowLeft")
    expect(page.locator("#probe")).to_contain_text("difference 0 K")


def test_the_truth_is_computed_and_shown_beside_the_model(
    open_page: Open, bench: Any, truths: Truths, shot: Shot
) -> None:
    page = open_page(TRAVELLING)
    page.get_by_role("button", name="Compute the truth").click()
    expect(page.locator("#truth-state")).to_have_text("running, 50 %: half of the steps")
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 0.5)
    expect(page.get_by_role("button", name="Compute the truth")).to_be_disabled()
    shot(page, "truth-running")
    bench.go.set()
    expect(page.locator(".panel-title")).to_have_text(["Reduced model", "Truth", "Difference"])
    expect(page.locator("#truth-text")).to_contain_text(
        "True relative error: 0.11 % (temperature 0.12 %, flux 0.034 %)."
    )
    total = page.locator("#quantities tr", has_text="total").locator("td")
    expect(total.nth(1)).to_have_text("–")
    expect(page.get_by_role("progressbar")).to_be_hidden()
    _, frames = truths("travelling", 0.5, 3.1623)
    n = frames.shape[1] // 2
    label = page.locator(".picture").nth(1).get_attribute("aria-label") or ""
    low, high = (float(v) for v in re.findall(r"(\d+\.?\d*) K", label))
    assert (low, high) == (
        pytest.approx(frames[-1, :n].min(), abs=0.06),
        pytest.approx(frames[-1, :n].max(), abs=0.06),
    )
    page.locator("#curve").scroll_into_view_if_needed()
    expect(page.locator("#curve .legendtext")).to_have_text(["Reduced model", "Truth"])
    shot(page, "truth")
    enter(page, "height", "0.3")
    expect(page.locator(".panel-title")).to_have_text(["This point"])
    page.get_by_label("Beside the truth").check()
    expect(page.get_by_label("height", exact=True)).to_have_value("0.5")
    expect(page.locator(".panel-title")).to_have_text(["Reduced model", "Truth", "Difference"])


def test_a_computation_can_be_cancelled(open_page: Open, bench: Any) -> None:
    assert not bench.go.is_set()
    page = open_page(STEADY)
    page.get_by_role("button", name="Compute the truth").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#truth-text")).to_have_text("It was cancelled.")
    expect(page.get_by_role("button", name="Compute the truth")).to_be_enabled()


def test_a_service_without_simulations_says_so(open_page: Open, serve: Callable[..., str]) -> None:
    page = open_page(STEADY, at=serve(with_jobs=False))
    expect(page.get_by_role("button", name="Compute the truth")).to_be_disabled()
    expect(page.locator("#truth-text")).to_contain_text("no full-order simulations")


def test_answers_are_downloaded_as_files(open_page: Open, tmp_path: Path, truths: Truths) -> None:
    page = open_page(TRAVELLING)
    files = {}
    for button in ("npy", "VTKHDF", "CSV", "PNG"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=f"({button})").click()
        files[button] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[button])
    _, frames = truths("travelling", 0.5, 3.1623)
    n = frames.shape[1] // 2
    field = np.load(files["npy"])
    assert field.shape == (1, 11, n)
    np.testing.assert_allclose(field[0], frames[:, :n], rtol=1e-3)
    with h5py.File(files["VTKHDF"]) as file:
        assert set(file["VTKHDF/PointData"]) == {"temperature", "flux"}
    rows = list(csv.DictReader(files["CSV"].read_text().splitlines()))
    assert len(rows) == 11
    assert float(rows[0]["power [W]"]) == pytest.approx(3.1623)
    with Image.open(files["PNG"]) as picture:
        assert min(picture.size) > 100


def test_a_wanted_key_is_asked_for_and_kept_for_the_tab(
    open_page: Open, serve: Callable[..., str], tmp_path: Path, shot: Shot
) -> None:
    keys = KeyStore(tmp_path / "keys.json")
    key = keys.add("someone", ["query"])[1]
    page = open_page(STEADY, at=serve(keys), accept="status of 40", ready=False)
    dialog = page.get_by_role("dialog", name="Key of the service")
    expect(dialog).to_contain_text("Expected a key with the scope `query`")
    shot(page, "key")
    dialog.get_by_label("Key", exact=True).fill("rf_wrong")
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_contain_text("Expected a valid key")
    dialog.get_by_label("Key", exact=True).fill(key)
    dialog.get_by_label("Key", exact=True).press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#trust-word")).to_have_text("Trusted")
    page.get_by_role("button", name="Compute the truth").click()
    expect(page.locator("#truth-text")).to_contain_text("a key with the scope `enrich`")
    page.reload()
    expect(page.locator("#trust-word")).to_have_text("Trusted")
    page.get_by_role("button", name="Key…").click()
    dialog.get_by_role("button", name="Forget it").click()
    expect(dialog).to_contain_text("received none")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("alert")).to_contain_text("received none")
