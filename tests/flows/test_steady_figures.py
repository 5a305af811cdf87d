"""Laws of the figures of steady datasets, written without a solver."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from flows.figures import save, steady_figure, steady_overview_figure
from flows.figures.slices import horizontal_cut
from flows.figures.steady_fields import SteadyReader, fields_of
from flows.figures.steady_scales import one_scale_suits, scale_of
from infra.errors import UserError
from infra.layout import ArraySpec, Layout, ParameterColumn, StaticArray
from infra.records import Sample
from infra.testing import example_provenance, example_report
from infra.zarr_store import ZarrStore
from solvers.grids import graded, rectangle
from solvers.mesh import FloatArray, IntArray

type Values = Callable[[FloatArray, float], FloatArray]


@final
@dataclass(frozen=True)
class Stored:
    """An array of a steady dataset, and its values as a function of points and contrast."""

    name: str
    on: str
    role: str
    values: Values


def square(n: int) -> tuple[FloatArray, IntArray]:
    mesh = rectangle(graded(n, 0.0), graded(n, 0.0))
    return mesh.points, mesh.cells


def cube(n: int) -> tuple[FloatArray, IntArray]:
    """Return the unit cube in n^3 boxes of six tetrahedra each."""
    axis = np.linspace(0.0, 1.0, n + 1)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    numbers, steps, cells = np.arange((n + 1) ** 3).reshape((n + 1,) * 3), np.eye(3, dtype=int), []
    for way in permutations(range(3)):
        corners = [steps[list(way[:k])].sum(axis=0) for k in range(4)]
        boxes = [numbers[a : n + a, b : n + b, c : n + c].ravel() for a, b, c in corners]
        cells.append(np.stack(boxes, axis=1))
    return points, np.concatenate(cells)


def permeability(points: FloatArray, contrast: float) -> FloatArray:
    return contrast ** np.cos(7 * points[:, 0]) ** 2


def pressure(points: FloatArray, contrast: float) -> FloatArray:
    return np.prod(points * (1 - points), axis=1) / contrast


def wave(points: FloatArray, contrast: float) -> FloatArray:
    return np.sin(20 * points[:, 0]) + 0 * contrast


DARCY = (
    Stored("permeability", "cell", "coefficient", permeability),
    Stored("pressure", "vertex", "solution", pressure),
)
THERMAL = (Stored("temperature", "vertex", "solution", pressure),)
WAVES = (
    Stored("speed", "vertex", "coefficient", permeability),
    Stored("wind_x", "cell", "coefficient", lambda p, c: 3 * p[:, 0] + 0 * c),
    Stored("wind_y", "cell", "coefficient", lambda p, c: 4 * p[:, 0] + 0 * c),
    Stored("pressure_real", "vertex", "solution", wave),
    Stored("pressure_imaginary", "vertex", "solution", wave),
)
MESHES = {2: square, 3: cube}
CASES = {"darcy": (2, DARCY), "space": (3, DARCY), "thermal": (2, THERMAL), "waves": (2, WAVES)}


def filled(root: Path, gdim: int, arrays: Sequence[Stored], committed: int = 5) -> ZarrStore:
    """Return a dataset of seven samples, the first ones committed."""
    points, cells = MESHES[gdim](6)
    names = ["contrast", *(f"xi_{i}" for i in range(64))]
    samples = tuple(
        Sample(i, {n: 3.0 * 4.0**i if n == "contrast" else float(i) for n in names}, i)
        for i in range(7)
    )
    on_vertex = [
        StaticArray(f"node_{a}", ("vertex",), x, "m", a)
        for a, x in zip("xyz"[:gdim], points.T, strict=True)
    ]
    corners = StaticArray("cell_vertices", ("cell", "corner"), cells.astype(np.int32), "1", "cells")
    store = ZarrStore(root)
    store.create(
        Layout(
            name="steady",
            title="Flow through a porous medium",
            samples=samples,
            parameters=tuple(ParameterColumn(name, "1", name) for name in names),
            dims={"vertex": len(points), "cell": len(cells), "corner": gdim + 1},
            times=np.empty(0),
            arrays=(
                *(_spec(array) for array in arrays),
                ArraySpec("mean_pressure", ("sample",), "m", "mean of the pressure"),
            ),
            static=(corners, *on_vertex),
        )
    )
    places = {"vertex": points, "cell": points[cells].mean(axis=1)}
    for sample in store.samples[:committed]:
        with store.sink(sample) as sink:
            for array in arrays:
                sink.put(array.name, array.values(places[array.on], sample.mu["contrast"]))
            sink.put("mean_pressure", np.array(0.25))
            sink.commit(example_report(), example_provenance())
    return store


def _spec(array: Stored) -> ArraySpec:
    dims = ("sample", array.on)
    return ArraySpec(array.name, dims, "m", array.name, attrs={"role": array.role})


@pytest.fixture(scope="module", params=CASES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ZarrStore:
    return filled(tmp_path_factory.mktemp(request.param), *CASES[request.param])


def area(points: FloatArray) -> float:
    a, b, c = points.reshape(-1, 3, 2).transpose(1, 0, 2)
    ab, ac = b - a, c - a
    return float(np.abs(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]).sum() / 2)


@pytest.mark.parametrize("height", [0.02, 1 / 3, 0.5, 0.77])
def test_a_cut_covers_the_plane_and_keeps_linear_fields(height: float) -> None:
    points, cells = cube(3)
    cut = horizontal_cut(points, cells, height)
    assert area(cut.points) == pytest.approx(1.0, rel=1e-12)
    expected = cut.points @ [2.0, -3.0] + 5.0 * height
    np.testing.assert_allclose(cut.at_corners(points @ [2.0, -3.0, 5.0]), expected, atol=1e-12)
    centres = points[cells].mean(axis=1)
    inside = cut.of_cells(centres[:, 2]).reshape(-1, 3)
    assert (inside == inside[:, :1]).all()
    assert np.abs(inside - height).max() < 1 / 3


def test_a_plane_beside_the_mesh_cuts_nothing() -> None:
    assert len(horizontal_cut(*cube(2), 1.5).cells) == 0


def test_coefficients_come_first_and_vectors_are_drawn_by_their_length(tmp_path: Path) -> None:
    waves = filled(tmp_path, 2, WAVES)
    fields = fields_of(waves.description)
    names = ["speed", "wind", "pressure_real", "pressure_imaginary"]
    assert [field.name for field in fields] == names
    assert fields[1].arrays == ("wind_x", "wind_y")
    drawing = SteadyReader(waves, 0).drawing(fields[1])
    centres = drawing.points[drawing.triangles].mean(axis=1)
    np.testing.assert_allclose(drawing.values[drawing.triangles[:, 0]], 5 * centres[:, 0])


def test_a_drawing_covers_the_domain(store: ZarrStore) -> None:
    reader = SteadyReader(store, 0)
    for field in fields_of(store.description):
        drawing = reader.drawing(field)
        assert area(drawing.points[drawing.triangles].reshape(-1, 2)) == pytest.approx(1.0)
        assert len(drawing.values) == len(drawing.points)


def test_scales_hold_all_but_few_values_and_speak_of_their_meaning(store: ZarrStore) -> None:
    readers = [SteadyReader(store, sample) for sample in range(5)]
    for field in fields_of(store.description):
        values = [reader.drawing(field).values for reader in readers]
        scale = scale_of(field, values)
        inside = [(scale.limits.low <= v) & (v <= scale.limits.high) for v in values]
        assert np.concatenate(inside).mean() > 0.99
        if field.name.startswith("pressure_"):
            assert scale.quantity.scale == "symmetric"
        if field.name == "permeability":
            assert scale.quantity.scale == "log"


def test_samples_of_very_different_size_have_scales_of_their_own(tmp_path: Path) -> None:
    store = filled(tmp_path, 2, DARCY)
    coefficient, solution = fields_of(store.description)
    values = [SteadyReader(store, sample).drawing(solution).values for sample in range(5)]
    assert not one_scale_suits(solution, values)
    assert one_scale_suits(solution, values[:1])
    fields = [SteadyReader(store, sample).drawing(coefficient).values for sample in range(5)]
    assert one_scale_suits(coefficient, fields)  # by decades


def test_pictures_say_what_they_show(store: ZarrStore, tmp_path: Path) -> None:
    for name, figure in (("one", steady_figure(store, 1)), ("all", steady_overview_figure(store))):
        said = " ".join(text.get_text() for text in figure.findobj(Text))
        for field in fields_of(store.description)[:1]:
            assert f"{field.name.replace('_', ' ')} [m]" in said
        assert "contrast\u00a0=\u00a012" in said
        assert "xi" not in said
        assert ("z\u00a0=\u00a00.5" in said or "z = 0.5" in said) == (
            "node_z" in {array.name for array in store.description.static}
        )
        assert save(figure, tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_one_field_can_be_chosen_and_an_unknown_one_is_refused(store: ZarrStore) -> None:
    name = fields_of(store.description)[-1].name
    (axes,) = [a for a in steady_figure(store, 0, name).axes if a.get_xlabel() == "x [m]"]
    assert axes.get_ylabel() == "y [m]"
    with pytest.raises(UserError, match=f"field: expected one of .*{name}, received 'speedy'"):
        steady_figure(store, 0, "speedy")


@pytest.mark.parametrize("sample", [5, 7, -1])
def test_only_committed_samples_are_drawn(store: ZarrStore, sample: int) -> None:
    with pytest.raises(UserError, match=f"received {sample}"):
        steady_figure(store, sample)


def test_a_dataset_without_committed_samples_has_no_overview(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Run the study first"):
        steady_overview_figure(filled(tmp_path, 2, DARCY, committed=0))


def test_an_overview_of_one_sample_is_possible(tmp_path: Path) -> None:
    figure = steady_overview_figure(filled(tmp_path, 2, DARCY, committed=1))
    assert save(figure, tmp_path / "one.png").is_file()


def test_no_texts_of_a_figure_overlap_or_leave_it(store: ZarrStore) -> None:
    for figure in (steady_figure(store, 1), steady_overview_figure(store)):
        boxes = text_boxes(figure)
        width, height = figure.get_size_inches() * figure.dpi
        for i, (x0, y0, x1, y1) in enumerate(boxes):
            assert min(x0, y0) >= 0
            assert x1 <= width
            assert y1 <= height
            for a0, b0, a1, b1 in boxes[:i]:
                assert min(x1, a1) <= max(x0, a0) + 0.5 or min(y1, b1) <= max(y0, b0) + 0.5


def text_boxes(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Return left, bottom, right and top of all visible texts in pixels."""
    figure.draw_without_rendering()
    artists: list[Any] = list(figure.texts)
    for axes in figure.axes:
        artists += [axes.xaxis.label, axes.yaxis.label, axes.title]
        for labels, limits, place in (
            (axes.get_xticklabels(), axes.get_xlim(), 0),
            (axes.get_yticklabels(), axes.get_ylim(), 1),
        ):
            low, high = sorted(limits)
            artists += [one for one in labels if low <= one.get_position()[place] <= high]
    shown = [text for text in artists if text.get_visible() and text.get_text()]
    return [tuple(text.get_window_extent().extents) for text in shown]
