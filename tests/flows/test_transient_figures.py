"""Laws of the figures of linear problems in time, written without a solver."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from flows.figures import (
    is_transient,
    save,
    save_animation,
    transient_figure,
    transient_overview_figure,
)
from flows.figures.films import film_of
from flows.figures.steady_fields import SteadyReader, fields_of
from infra.errors import UserError
from infra.records import Sample
from infra.testing import example_provenance, example_report, small_layout
from infra.zarr_store import ZarrStore
from solvers.chunk import make_problem
from solvers.mesh import FloatArray
from solvers.transient_snapshots import transient_layout

N_FRAMES = 6
TIMES = np.linspace(0.0, 1.0, N_FRAMES)


def solution(points: FloatArray, time: float, start: float) -> FloatArray:
    """Return a field that changes in the first half of the time only."""
    part = max(0.0, 1.0 - 2.0 * time)
    return np.asarray(300.0 + part * (start - 300.0) * np.prod(np.sin(np.pi * points), axis=1))


def filled(root: Path, committed: int = 4) -> ZarrStore:
    """Return a dataset of the problem `heat` with five samples, the first ones committed."""
    problem = make_problem("heat", {"cells": 6})
    mesh = problem.reference_mesh()
    names = [f"temperature_{part}" for part in ("initial", "left", "right", "bottom", "top")]
    mus = [{name: 150.0 + 60.0 * i + n for n, name in enumerate(names)} for i in range(5)]
    samples = [Sample(i, mu, i) for i, mu in enumerate(mus)]
    store = ZarrStore(root)
    store.create(transient_layout("hot", problem, problem.space(), samples, mesh, TIMES, {}))
    for sample in store.samples[:committed]:
        with store.sink(sample) as sink:
            for frame, time in enumerate(TIMES):
                values = solution(mesh.points, time, sample.mu["temperature_initial"])
                numbers = {"mean_temperature": values.mean(), "heat_gain": -100.0 * time}
                series = {name: np.array(value) for name, value in numbers.items()}
                sink.write(frame, {"temperature": values, **series})
            sink.put("residual", np.array(1e-12))
            sink.commit(example_report(), example_provenance())
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ZarrStore:
    return filled(tmp_path_factory.mktemp("hot"))


def said(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\u00a0", " ")


def test_a_transient_dataset_is_told_from_others(store: ZarrStore) -> None:
    assert is_transient(store.description)
    assert not is_transient(small_layout().description)


def test_a_reader_at_another_time_reads_that_frame(store: ZarrStore) -> None:
    (field,) = fields_of(store.description)
    first = SteadyReader(store, 2, 0)
    for frame in range(N_FRAMES):
        expected = store.read(2, "temperature", frame)
        for reader in (first.at(frame), SteadyReader(store, 2, frame)):
            np.testing.assert_array_equal(reader.drawing(field).values, expected)
    np.testing.assert_array_equal(
        first.drawing(field).values, store.read(2, "temperature", 0), "the first one stays"
    )


@pytest.mark.parametrize(("frame", "time"), [(0, "0.00"), (2, "0.40"), (-1, "1.00")])
def test_a_picture_says_its_time_and_shows_the_series(
    store: ZarrStore, frame: int, time: str
) -> None:
    text = said(transient_figure(store, 1, frame))
    assert f"Sample 1, t = {time} s" in text
    assert "temperature [K]" in text
    assert "temperature left = 211 K" in text
    assert "heat gain" in text.replace("\n", " ")


def test_what_does_not_exist_is_refused(store: ZarrStore) -> None:
    with pytest.raises(UserError, match="field: expected one of temperature, received 'speed'"):
        transient_figure(store, 0, field="speed")
    with pytest.raises(UserError, match="frame: expected -6 to 5, received 6"):
        transient_figure(store, 0, 6)
    with pytest.raises(UserError, match="received 4"):
        transient_figure(store, 4)


def test_the_times_of_an_overview_are_those_at_which_something_happens(store: ZarrStore) -> None:
    text = said(transient_overview_figure(store))
    assert "Temperature at t = 0.20 s, 0.40 s and 1.00 s from top to bottom" in text
    assert "4 of 5 samples computed" in text


def test_an_overview_of_one_sample_is_possible(tmp_path: Path) -> None:
    figure = transient_overview_figure(filled(tmp_path, committed=1))
    assert save(figure, tmp_path / "one.png").is_file()


def test_a_dataset_without_committed_samples_has_no_overview(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Run the study first"):
        transient_overview_figure(filled(tmp_path, committed=0))


def test_no_texts_of_a_figure_overlap_or_leave_it(store: ZarrStore) -> None:
    for figure in (transient_figure(store, 1), transient_overview_figure(store)):
        boxes = text_boxes(figure)
        width, height = figure.get_size_inches() * figure.dpi
        for i, (x0, y0, x1, y1) in enumerate(boxes):
            assert min(x0, y0) >= 0
            assert x1 <= width
            assert y1 <= height
            for a0, b0, a1, b1 in boxes[:i]:
                assert min(x1, a1) <= max(x0, a0) + 0.5 or min(y1, b1) <= max(y0, b0) + 0.5


def text_boxes(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Return left, bottom, right and top of titles, labels and free texts in pixels."""
    figure.draw_without_rendering()
    artists: list[Any] = list(figure.texts)
    for axes in figure.axes:
        artists += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title]  # type: ignore[attr-defined]
    shown = [text for text in artists if text.get_visible() and text.get_text()]
    return [tuple(text.get_window_extent().extents) for text in shown]


def test_colours_of_a_film_hold_all_frames(store: ZarrStore) -> None:
    film = film_of(store, 0, None)
    for frame in range(N_FRAMES):
        values = film.values(frame)
        np.testing.assert_array_equal(values, store.read(0, "temperature", frame))
        assert film.limits.low <= values.min()
        assert values.max() <= film.limits.high


def test_an_animation_has_as_many_frames_as_the_dataset(store: ZarrStore, tmp_path: Path) -> None:
    path = save_animation(store, 0, tmp_path / "hot.gif", width_px=400)
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == N_FRAMES
    with pytest.raises(UserError, match="field: expected one of temperature, received 'speed'"):
        save_animation(store, 0, tmp_path / "speed.gif", "speed")
