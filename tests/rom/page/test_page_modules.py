"""What the page computes: colours, numbers as text, arrays, places in a mesh."""

import base64
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page

from infra.field_space import FieldSpace


@pytest.fixture(scope="module")
def tab(context: BrowserContext, address: str) -> Iterator[Page]:
    with context.new_page() as page:
        page.goto(f"{address}/page/icon.svg")
        yield page


@pytest.fixture
def call(tab: Page) -> Callable[..., Any]:
    """Call a function of a module in the browser."""

    def run(module: str, code: str, *args: object) -> Any:
        return tab.evaluate(
            f"async (args) => {{ const m = await import('/page/{module}');"
            f" return ({code})(...args) }}",
            list(args),
        )

    return run


def oklab(table: list[int]) -> NDArray[np.float64]:
    """Return the OKLab coordinates (256, 3) of colours in sRGB."""
    srgb = np.array(table, float).reshape(-1, 4)[:, :3] / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def test_the_colour_map_is_uniform_and_grows_lighter(call: Callable[..., Any]) -> None:
    lab = oklab(call("colours.js", "() => [...m.sequential()]"))[::15]
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert (np.diff(lab[:, 0]) > 0).all()
    # Not 1: a screen has 256 levels of each colour.
    assert steps.max() / steps.min() < 1.25


def test_the_map_of_differences_is_lightest_at_its_middle_and_even_on_each_side(
    call: Callable[..., Any],
) -> None:
    lab = oklab(call("colours.js", "() => [...m.diverging()]"))
    assert abs(int(lab[:, 0].argmax()) - 127.5) <= 1
    for side in (lab[:128:8], lab[128::8]):
        steps = np.linalg.norm(np.diff(side, axis=0), axis=1)
        assert steps.max() / steps.min() < 1.15


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<i4"])
def test_arrays_arrive_as_they_were_sent(call: Callable[..., Any], kind: str) -> None:
    array = np.random.default_rng(0).normal(0, 100, (2, 3, 5)).astype(kind)
    shape, data = call(
        "npy.js",
        "(text) => { const b = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;"
        " const { shape, data } = m.readNpy(b); return [shape, [...data]] }",
        packed(array),
    )
    assert shape == [2, 3, 5]
    np.testing.assert_array_equal(np.array(data, kind), array.ravel())


def test_arrays_of_other_forms_are_refused(call: Callable[..., Any]) -> None:
    read = (
        "(text) => { try { m.readNpy(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);"
        " return '' } catch (error) { return error.message } }"
    )
    assert "in rows" in call("npy.js", read, packed(np.asfortranarray(np.zeros((2, 3)))))
    assert "format npy" in call("npy.js", read, base64.b64encode(b"something else").decode())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("m.number(0.123456)", "0.1235"),
        ("m.number(300)", "300"),
        ("m.number(-2.50)", "−2.5"),
        ("m.number(1.5e-7)", "1.5e−7"),
        ("m.number(123456)", "123456"),
        ("m.number(NaN)", "no number"),
        ("m.unit('W m-2 K-1')", "W m⁻² K⁻¹"),
        ("m.unit('1')", ""),
        ("m.percent(0.01234)", "1.2 %"),
        ("m.percent(1e9)", "more than 1000 %"),
        ("m.parsed('1e-3')", 0.001),
        ("m.parsed('2,5')", 2.5),
        ("m.parsed('−3')", -3),
        ("Number.isNaN(m.parsed('1.2.3'))", True),
        ("Number.isNaN(m.parsed(''))", True),
        ("m.tickText(0, 0.05)", "0.00"),
        ("m.tickText(-0.1, 0.05)", "−0.10"),
    ],
)
def test_numbers_and_units_are_written_for_people(
    call: Callable[..., Any], code: str, expected: object
) -> None:
    assert call("words.js", f"() => {code}") == expected


def test_slider_and_value_are_inverse_on_both_scales(call: Callable[..., Any]) -> None:
    for scale in ("linear", "log"):
        parameter = {"low": 0.5, "high": 5000.0, "scale": scale}
        places = call(
            "scales.js",
            "(p) => Array.from({length: 101}, (_, i) => m.placeOf(p, m.valueAt(p, 10 * i)))",
            parameter,
        )
        assert places == list(range(0, 1001, 10))


def test_marks_of_an_axis_lie_inside_it_and_are_not_too_many(call: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    for low in rng.normal(0, 300, 40):
        high = float(low + 10 ** rng.uniform(-6, 6))
        values = call("scales.js", "(a, b) => m.ticks(a, b, 4).values", float(low), high)
        slack = 1e-6 * (high - low)
        assert 1 <= len(values) <= 5
        assert min(values) >= low - slack
        assert max(values) <= high + slack


def test_a_linear_field_is_read_exactly_everywhere_in_the_mesh(
    call: Callable[..., Any], truths: Callable[..., tuple[FieldSpace, NDArray[np.float64]]]
) -> None:
    space, _ = truths("travelling", 0.5, 1.0)
    points, cells = space.points["vertex"], space.cells["vertex"]
    places = np.random.default_rng(2).uniform((-0.2, -0.2), (3.2, 1.2), (300, 2))
    found = call(
        "mesh.js",
        "(points, cells, frame, places) => {"
        " const mesh = new m.Mesh(Float64Array.from(points), Int32Array.from(cells));"
        " return places.map(([x, y]) => { const p = mesh.locate(x, y);"
        " return p && m.valueIn(frame, p) }) }",
        points.ravel().tolist(),
        cells.ravel().tolist(),
        (points @ [2.0, -3.0] + 1.0).tolist(),
        places.tolist(),
    )
    box = ((places >= 0) & (places <= (3.0, 1.0))).all(axis=1)
    away = np.hypot(places[:, 0] - 2.25, places[:, 1] - 0.5)
    for place, value, inside, distance in zip(places, found, box, away, strict=True):
        if not inside or distance < 0.1:
            assert value is None
        elif distance > 0.25:
            assert value == pytest.approx(place @ [2.0, -3.0] + 1.0, abs=1e-9)


def packed(array: NDArray[Any]) -> str:
    sink = BytesIO()
    np.save(sink, array)
    return base64.b64encode(sink.getvalue()).decode()
