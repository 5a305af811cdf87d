"""Parameters, trust, fields, times, quantities, history: what a person does most."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from infra.field_space import FieldSpace

type Truths = Callable[..., tuple[FieldSpace, NDArray[np.float64]]]
type Open = Callable[..., Page]
type Shot = Callable[[Page, str], None]

TRAVELLING = "/page/#model=travelling"
STEADY = "/page/#model=steady"


def enter(page: Page, name: str, value: str) -> None:
    """Type a value, and wait for its answer."""
    field = page.get_by_label(name, exact=True)
    field.fill(value)
    newest = page.locator("#history .entry").first
    before = newest.inner_text().split("\n")[0]
    field.press("Enter")
    expect(newest).not_to_contain_text(before)


def numbers(text: str) -> list[float]:
    return [float(v) for v in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text.replace("−", "-"))]


def test_a_model_opens_at_the_centre_of_its_parameters(open_page: Open, shot: Shot) -> None:
    page = open_page(TRAVELLING)
    expect(page.get_by_label("height", exact=True)).to_have_value("0.5")
    expect(page.get_by_label("power", exact=True)).to_have_value("3.1623")
    expect(page.locator("#parameters")).to_contain_text("log scale")
    expect(page.locator("#parameters")).to_contain_text("gravity is fixed at 9.81 m s⁻²")
    expect(page.locator("#description")).to_have_text("A hot spot that travels along a channel.")
    shot(page, "travelling")
    expect(page.locator("#curve .main-svg").first).to_be_visible()


def test_a_slider_moves_with_keys_and_its_value_is_said(open_page: Open) -> None:
    page = open_page(TRAVELLING)
    slider = page.get_by_label("height in m, slider")
    slider.press("End")
    expect(page.get_by_label("height", exact=True)).to_have_value("0.8")
    expect(slider).to_have_attribute("aria-valuetext", "0.8 m")
    page.get_by_label("power in W, slider").press("Home")
    expect(page.get_by_label("power", exact=True)).to_have_value("1")
    expect(page.locator("#live")).to_contain_text("height 0.8 m, power 1 W")
    page.get_by_role("button", name="Centre").click()
    expect(page.get_by_label("power", exact=True)).to_have_value("3.1623")


def test_after_a_drag_the_answer_is_that_of_its_last_place(open_page: Open) -> None:
    page = open_page(STEADY)
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if r.url.endswith("/query") else None)
    page.evaluate(
        """() => {
          const slider = document.getElementById('slider-1');
          for (let place = 500; place <= 1000; place += 5) {
            slider.value = place;
            slider.dispatchEvent(new Event('input', { bubbles: true }));
          }
        }"""
    )
    expect(page.locator("#history .entry").first).to_contain_text("power 10 W")
    total = page.locator("#quantities tr", has_text="total").locator("td").first
    assert numbers(total.inner_text())[0] == pytest.approx(5.0, rel=0.01)
    # For numbers and picture: once soon, and once when the point has settled.
    assert len(asked) <= 4


def test_the_light_is_green_where_the_model_is_good(open_page: Open) -> None:
    page = open_page(TRAVELLING)
    expect(page.get_by_role("img", name="Trusted", exact=True)).to_have_text("✓")
    expect(page.locator("#trust-eta")).to_contain_text("η =")
    expect(page.locator("#trust-meaning")).to_contain_text("With probability")


def test_the_light_is_red_outside_the_range_and_says_why(open_page: Open, shot: Shot) -> None:
    page = open_page(STEADY)
    enter(page, "height", "1.4")
    expect(page.get_by_role("img", name="Not trusted")).to_have_text("×")
    expect(page.locator("#trust-reason")).to_contain_text(
        "height 1.4 is above the trained range 0.2 to 0.8 m"
    )
    expect(page.locator("#parameters .note").first).to_contain_text("outside the trained range")
    expect(page.locator("#trust-meaning")).to_contain_text("promises nothing")
    shot(page, "out-of-range")
    enter(page, "height", "0.4")
    expect(page.locator("#parameters .note").first).to_be_hidden()
    expect(page.get_by_role("img", name="Trusted", exact=True)).to_be_visible()


def test_the_light_is_amber_above_the_tolerance(
    open_page: Open, serve: Callable[..., str], shot: Shot
) -> None:
    page = open_page(STEADY, at=serve(tolerance=1e-9))
    expect(page.get_by_role("img", name="With care")).to_have_text("!")
    expect(page.locator("#trust-reason")).to_contain_text("above the tolerance")
    shot(page, "with-care")


def test_a_refused_point_has_no_answer_and_no_light(open_page: Open, shot: Shot) -> None:
    page = open_page("/page/#model=strict", accept="status of 422")
    page.get_by_label("height", exact=True).fill("1.4")
    page.get_by_label("height", exact=True).press("Enter")
    expect(page.get_by_role("img", name="No answer")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("above the trained range 0.2 to 0.8 m")
    shot(page, "refused")
    page.get_by_role("button", name="Centre").click()
    expect(page.get_by_role("img", name="Trusted", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_be_empty()


def test_what_is_no_number_is_refused_beside_its_field(open_page: Open) -> None:
    page = open_page(STEADY)
    field = page.get_by_label("height", exact=True)
    field.fill("many")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#note-0")).to_contain_text("Expected a number such as 0.2")
    field.fill("3e-1")
    field.press("Enter")
    expect(field).not_to_have_attribute("aria-invalid", "true")


def test_models_and_versions_are_chosen(open_page: Open) -> None:
    page = open_page(STEADY)
    page.get_by_label("Model", exact=True).select_option("travelling")
    expect(page.locator("#description")).to_have_text("A hot spot that travels along a channel.")
    expect(page.locator("#version option")).to_have_text(["2 (newest)", "1"])
    page.get_by_label("Version").select_option("1")
    expect(page.locator("#description")).to_have_text("An older one.")


def test_texts_of_models_stay_texts(open_page: Open) -> None:
    page = open_page(STEADY)
    expect(page.locator("#description")).to_contain_text("<b>bold</b>")
    page.get_by_text("Where it comes from").click()
    expect(page.locator("#about-text")).to_contain_text("onerror")
    assert page.evaluate("globalThis.hurt === undefined")
    assert page.locator("#sheet img, #sheet b").count() == 0


def test_the_picture_shows_the_field(open_page: Open, truths: Truths) -> None:
    page = open_page(STEADY)
    space, frames = truths("steady", 0.5, 3.1623)
    points = space.points["vertex"]
    away = np.hypot(points[:, 0] - 0.75, points[:, 1] - 0.5)
    inner = np.flatnonzero(((points > 0.05) & (points < 0.95)).all(axis=1) & (away > 0.3))[::7]
    colours = np.array(colours_at(page, points[inner]))
    table = np.array(
        page.evaluate("import('/page/colours.js').then((m) => [...m.sequential()])")
    ).reshape(-1, 4)
    field = frames[0, : len(points)]
    places = (field[inner] - field.min()) / np.ptp(field)
    for colour, place in zip(colours, places, strict=True):
        near = table[max(0, round(255 * place) - 6) : round(255 * place) + 7]
        assert np.abs(near - colour).max(axis=1).min() <= 6


def test_without_a_graphics_card_the_picture_is_the_same(open_page: Open, truths: Truths) -> None:
    points = truths("steady", 0.5, 1.0)[0].points["vertex"]
    away = np.hypot(points[:, 0] - 0.75, points[:, 1] - 0.5)
    inner = points[((points > 0.05) & (points < 0.95)).all(axis=1) & (away > 0.3)]
    with_card = open_page(STEADY)
    expect(with_card.locator(".picture")).to_have_attribute("data-painter", "webgl")
    without = open_page(
        STEADY,
        script="const own = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : own.call(this, kind, ...rest) }",
    )
    expect(without.locator(".picture")).to_have_attribute("data-painter", "canvas")
    found = [np.array(colours_at(page, inner), int) for page in (with_card, without)]
    assert np.abs(found[0] - found[1]).max() <= 4


def test_a_lost_graphics_card_does_not_end_the_picture(open_page: Open) -> None:
    page = open_page(STEADY)
    page.evaluate(
        "document.querySelector('canvas.field').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context').loseContext()"
    )
    expect(page.locator(".picture")).to_have_attribute("data-painter", "canvas")
    assert len({tuple(c) for c in colours_at(page, np.array([[0.2, 0.5], [0.2, 0.1]]))}) == 2


def test_fields_are_chosen_and_their_bar_has_their_unit(open_page: Open) -> None:
    page = open_page(TRAVELLING)
    expect(page.locator(".marks-title")).to_have_text("temperature in K")
    page.get_by_label("Show", exact=True).select_option("flux")
    expect(page.locator(".marks-title")).to_have_text("flux in W m⁻²")
    expect(page.locator(".picture")).to_have_attribute("aria-label", re.compile(r"flux at 1 s"))


def test_the_range_of_colours_can_be_held(open_page: Open) -> None:
    page = open_page(STEADY)
    before = page.locator(".mark").all_inner_texts()
    page.get_by_label("Hold the colours' range").check()
    enter(page, "power", "9")
    assert page.locator(".mark").all_inner_texts() == before
    page.get_by_label("Hold the colours' range").uncheck()
    expect(page.locator(".mark").last).not_to_have_text(before[-1])


def test_the_probe_reads_the_field_by_mouse_and_by_keys(open_page: Open, truths: Truths) -> None:
    page = open_page(STEADY)
    picture = page.locator(".picture")
    box = picture.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    space, frames = truths("steady", 0.5, 3.1623)
    points = space.points["vertex"]
    nearest = int(np.hypot(*(points - 0.5).T).argmin())
    expect(page.locator("#probe")).to_contain_text("At x")
    x, y, value = numbers(page.locator("#probe").inner_text())
    assert (x, y) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.5, abs=0.02))
    assert value == pytest.approx(frames[0, nearest], abs=0.05)
    picture.focus()
    for _ in range(5):
        picture.press("ArrowLeft")
    assert numbers(page.locator("#probe").inner_text())[0] < x
    expect(page.locator("#live")).to_contain_text("temperature")
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    expect(page.locator("#probe")).to_contain_text("outside the mesh")


def test_the_view_zooms_and_moves_by_mouse_keys_and_buttons(open_page: Open) -> None:
    page = open_page(TRAVELLING)
    picture = page.locator(".picture")
    box = picture.bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def x_at_middle() -> float:
        page.mouse.move(middle[0] + 1, middle[1])
        page.mouse.move(*middle)
        return numbers(page.locator("#probe").inner_text())[0]

    whole = x_at_middle()
    page.mouse.wheel(0, -300)
    expect(picture).not_to_have_class(re.compile("zoomed"))
    page.get_by_role("button", name="Zoom in").click()
    expect(picture).to_have_class(re.compile("zoomed"))
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 80, middle[1], steps=4)
    page.mouse.up()
    assert x_at_middle() > whole + 0.05
    page.get_by_role("button", name="Whole mesh").click()
    expect(picture).not_to_have_class(re.compile("zoomed"))
    picture.focus()
    page.mouse.move(*middle)
    page.mouse.wheel(0, -300)
    expect(picture).to_have_class(re.compile("zoomed"))
    picture.press("0")
    expect(picture).not_to_have_class(re.compile("zoomed"))
    picture.press("+")
    picture.press("Shift+ArrowRight")
    assert x_at_middle() > whole
    page.get_by_role("button", name="Zoom out").click()


def test_time_moves_picture_table_and_line(open_page: Open, truths: Truths) -> None:
    page = open_page(TRAVELLING)
    expect(page.locator("#time-text")).to_have_text("1 s")
    page.get_by_label("Time", exact=True).press("Home")
    expect(page.locator("#time-text")).to_have_text("0 s")
    expect(page.locator("#quantities caption")).to_contain_text("At 0 s.")
    expect(page.locator(".picture")).to_have_attribute("aria-label", re.compile("at 0 s"))
    mean = page.locator("#quantities tr", has_text="mean").locator("td").first
    space, frames = truths("travelling", 0.5, 3.1623)
    n = len(space.points["vertex"])
    assert numbers(mean.inner_text())[0] == pytest.approx(frames[0, :n].mean(), abs=0.02)
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile("at 0 s$"))


def test_play_goes_through_the_times_until_it_is_paused(open_page: Open) -> None:
    page = open_page(TRAVELLING)
    page.get_by_role("button", name="Play").click()
    for _ in range(2):
        now = page.locator("#time-text").inner_text()
        expect(page.locator("#time-text")).not_to_have_text(now)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")


def test_a_steady_model_has_no_times_and_no_curve(open_page: Open, shot: Shot) -> None:
    page = open_page(STEADY)
    expect(page.locator("#time-row")).to_be_hidden()
    expect(page.locator("#curve")).to_be_hidden()
    expect(page.locator("#quantities tbody tr")).to_have_count(2)
    shot(page, "steady")


def test_fields_in_space_are_offered_in_words(open_page: Open, shot: Shot) -> None:
    page = open_page("/page/#model=cube")
    expect(page.locator("#field-words")).to_contain_text("lives in space")
    expect(page.locator("#panels")).to_be_hidden()
    expect(page.locator("#quantities tbody tr")).to_have_count(2)
    expect(page.get_by_role("button", name="Picture (PNG)")).to_be_disabled()
    shot(page, "cube")


def test_a_click_in_the_history_goes_back(open_page: Open) -> None:
    page = open_page(STEADY)
    enter(page, "height", "0.25")
    enter(page, "height", "0.75")
    assert page.locator("#history .entry").count() == 3
    page.locator("#history .entry", has_text="height 0.25 m").click()
    expect(page.get_by_label("height", exact=True)).to_have_value("0.25")
    expect(page.locator("#history .entry").first).to_contain_text("height 0.25 m")
    page.locator("#history-clear").click()
    expect(page.locator("#history")).to_have_text("Nothing was asked yet.")


def test_a_link_leads_back_to_the_point(open_page: Open) -> None:
    page = open_page(TRAVELLING)
    page.get_by_label("Show", exact=True).select_option("flux")
    page.get_by_label("Time", exact=True).press("Home")
    enter(page, "height", "0.3")
    expect(page).to_have_url(re.compile(r"mu\.height=0\.3"))
    other = open_page("/page/" + page.evaluate("location.hash"))
    expect(other.get_by_label("height", exact=True)).to_have_value("0.3")
    expect(other.get_by_label("Show", exact=True)).to_have_value("flux")
    expect(other.locator("#time-text")).to_have_text("0 s")


def test_a_service_that_is_gone_is_said(open_page: Open) -> None:
    page = open_page(STEADY, accept="ERR_INTERNET_DISCONNECTED")
    page.context.set_offline(True)
    page.get_by_label("height in m, slider").press("Home")
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    expect(page.get_by_role("img", name="No answer")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_label("height in m, slider").press("End")
    expect(page.get_by_role("alert")).to_be_empty()


def colours_at(page: Page, places: NDArray[np.float64]) -> list[list[int]]:
    """Return the colours of the first picture at positions in the whole unit square."""
    found: list[list[int]] = page.evaluate(
        """async (places) => {
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const canvas = document.querySelector('canvas.field');
          const copy = document.createElement('canvas');
          [copy.width, copy.height] = [canvas.width, canvas.height];
          const context = copy.getContext('2d', { willReadFrequently: true });
          context.drawImage(canvas, 0, 0);
          const { Camera } = await import('/page/camera.js');
          const camera = new Camera({ low: [0, 0], high: [1, 1] });
          return places.map(([x, y]) => {
            const [px, py] = camera.pixel(x, y, copy.width, copy.height);
            return [...context.getImageData(Math.floor(px), Math.floor(py), 1, 1).data];
          });
        }""",
        places.tolist(),
    )
    return found
