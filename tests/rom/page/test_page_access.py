"""The page for everybody: keyboard, screen readers, small screens, dark rooms, calm eyes."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from playwright.sync_api import Page, expect

type Open = Callable[..., Page]
type Shot = Callable[[Page, str], None]

TRAVELLING = "/page/#model=travelling"
PHONE = (360, 740)

CONTROLS = "button, select, input, summary, a[href], [tabindex='0']"
VISIBLE = """(selector) => [...document.querySelectorAll(selector)].filter((e) =>
  e.checkVisibility({ visibilityProperty: true }) && !e.disabled)"""
# For every visible text: the ratio of luminances of its colour and of what is behind it
# (WCAG 2.2, 1.4.3), and how large it is.
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const texts = [...e.childNodes].filter((n) => n.nodeType === 3);
    const text = texts.map((n) => n.data).join('').trim();
    if (!text || e.closest('svg, .unseen, .skip, :disabled') || !e.checkVisibility()) continue;
    if (e.tagName === 'LABEL' && e.querySelector(':disabled')) continue;
    const style = getComputedStyle(e);
    const [one, two] = [light(parse(style.color)), light(behind(e))].sort((p, q) => q - p);
    found.push({ text: text.slice(0, 40), ratio: (one + 0.05) / (two + 0.05) });
  }
  return found;
}"""


def test_texts_stand_out_from_what_is_behind_them(open_page: Open, shot: Shot) -> None:
    page = open_page(TRAVELLING)
    for name, (width, height) in {"desktop": (1280, 800), "phone": PHONE}.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate(CONTRASTS)
            assert len(found) > 40
            assert [entry for entry in found if entry["ratio"] < 4.5] == []
            shot(page, f"{name}-{scheme}")


def test_nothing_is_wider_than_a_small_screen(open_page: Open, shot: Shot) -> None:
    page = open_page(TRAVELLING, size=PHONE)
    page.get_by_text("Where it comes from").click()
    for model in ("travelling", "steady", "cube"):
        page.get_by_label("Model", exact=True).select_option(model)
        expect(page).to_have_title(f"{model}: romflow")
        expect(page.locator("#history .entry")).to_have_count(1)
        page.get_by_role("button", name="Keep this point").click()
        page.get_by_label("Beside the kept point").check()
        expect(page.locator("#quantities thead th")).to_have_count(5)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        shot(page, f"phone-{model}-kept")


def test_every_control_has_a_name(still: Page) -> None:
    tree = still.locator("body").aria_snapshot()
    roles = ("slider", "combobox", "textbox", "checkbox", "radio", "application", "button")
    for role in roles:
        controls = re.findall(rf"- '?{role}\b(.*)", tree)
        assert controls, role
        assert all(control.startswith(' "') for control in controls), role


def test_the_tab_key_reaches_every_control_and_shows_where_it_is(still: Page) -> None:
    wanted: int = still.evaluate(f"({VISIBLE})({CONTROLS!r}).length")
    seen: list[Any] = []
    for _ in range(wanted + 5):
        still.keyboard.press("Tab")
        now = still.evaluate(
            """() => { const e = document.activeElement; const s = getComputedStyle(e);
            return [[...document.querySelectorAll('*')].indexOf(e), e.tagName, e.id,
                    parseFloat(s.outlineWidth), s.outlineStyle] }"""
        )
        if now[1] == "BODY" or now in seen:
            break
        seen.append(now)
    assert all(width >= 2 and style != "none" for *_, width, style in seen)
    # A group of radio buttons is one stop, and its other buttons are reached by arrows.
    radios = still.evaluate(f"({VISIBLE})('input[type=radio]').length")
    assert len(seen) >= wanted - radios + 1
    places = [entry[0] for entry in seen]
    assert places == sorted(places)


def test_controls_are_large_enough_for_fingers(open_page: Open) -> None:
    page = open_page("/page/#model=steady", size=PHONE)
    small = page.evaluate(
        f"({VISIBLE})('button, select, input[type=range], input[type=text]').filter((e) => {{"
        " const b = e.getBoundingClientRect(); return b.height < 24 || b.width < 24"
        " }).map((e) => e.outerHTML)"
    )
    assert small == []


def test_headings_and_landmarks_give_the_page_an_outline(still: Page) -> None:
    assert still.get_by_role("main").count() == 1
    assert still.get_by_role("heading", level=1).count() == 1
    levels = still.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]))"
    )
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert still.evaluate("document.documentElement.lang") == "en"


def test_answers_are_announced(open_page: Open) -> None:
    page = open_page("/page/#model=steady")
    expect(page.get_by_role("status").first).to_contain_text("Trusted, indicator")
    page.get_by_label("height in m, slider").press("End")
    expect(page.locator("#live")).to_contain_text("height 0.8 m")


def test_the_light_differs_by_shape_and_text_not_by_colour_alone(still: Page) -> None:
    shapes = still.evaluate(
        """() => ['fine', 'care', 'stop'].map((state) => {
          const light = document.getElementById('trust-light');
          const before = light.dataset.state;
          light.dataset.state = state;
          const { clipPath, borderRadius } = getComputedStyle(light);
          light.dataset.state = before;
          return clipPath + borderRadius;
        })"""
    )
    assert len(set(shapes)) == 3


def test_zoomed_text_does_not_hide_the_answer(open_page: Open) -> None:
    # 400 % of 1280 pixels (WCAG 2.2, 1.4.10).
    page = open_page("/page/#model=steady", size=(320, 256))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    light = page.locator("#trust").bounding_box()
    assert light
    assert light["height"] < 256


def test_the_curve_follows_a_change_of_the_scheme(open_page: Open) -> None:
    page = open_page(TRAVELLING)
    page.locator("#curve").scroll_into_view_if_needed()
    text = page.locator("#curve .xtitle")
    light = text.evaluate("(e) => getComputedStyle(e).fill")
    page.emulate_media(color_scheme="dark")
    expect(text).not_to_have_css("fill", light)
