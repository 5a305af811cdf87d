"""Laws of the figures, on decaying Taylor-Green vortices written without a solver."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from flows.figures import (
    FieldName,
    overview_figure,
    save,
    save_animation,
    snapshot_figure,
)
from flows.figures.fields import FlowReader
from flows.figures.limits import field_limits
from flows.figures.samples import chosen_samples
from flows.figures.text import parameter_text, wrapped
from infra.errors import UserError
from infra.records import Sample
from infra.testing import example_provenance, example_report
from infra.zarr_store import ZarrStore
from solvers.problem import Problem
from solvers.problems.cavity import Cavity, CavitySettings
from solvers.problems.taylor_green import (
    TaylorGreen,
    TaylorGreenSettings,
    exact_pressure,
    exact_velocity,
)
from solvers.snapshots import flow_layout

N_FRAMES = 5
FIELDS: tuple[FieldName, ...] = ("speed", "vorticity", "pressure")


def filled(
    root: Path,
    problem: Problem,
    mus: list[dict[str, float]],
    committed: int,
    size: float = 1.0,
    first_energy: float = 0.0,
) -> ZarrStore:
    """Return a dataset whose first samples hold vortices of speed `size` that decay."""
    mesh = problem.reference_mesh()
    samples = [Sample(i, {**problem.defaults, **mu}, i) for i, mu in enumerate(mus)]
    times = np.linspace(0.0, 2.0, N_FRAMES)
    store = ZarrStore(root)
    store.create(flow_layout("vortices", problem, problem.space(), samples, mesh, times, {}))
    names = {spec.name for spec in store.description.arrays}
    for sample in store.samples[:committed]:
        points = problem.deform(mesh.points, sample.mu)
        nodes, viscosity = mesh.node_positions(points), sample.mu["viscosity"]
        with store.sink(sample) as sink:
            for frame, time in enumerate(times):
                u, v = size * exact_velocity(nodes, time, viscosity).T
                pressure = size**2 * exact_pressure(points, time, viscosity)
                fields = {"velocity_x": u, "velocity_y": v, "pressure": pressure}
                energy = time if frame else first_energy
                series = {"kinetic_energy": energy, "divergence": 0.0, "courant": 0.5}
                numbers = {name: np.asarray(value) for name, value in series.items()}
                sink.write(frame, fields | numbers)
            if "node_x" in names:
                sink.put("node_x", nodes[:, 0])
                sink.put("node_y", nodes[:, 1])
            sink.commit(example_report(), example_provenance())
    return store


@pytest.fixture
def store(tmp_path: Path) -> ZarrStore:
    """Give three samples, of which the last is missing."""
    problem = TaylorGreen(TaylorGreenSettings(cells=8))
    mus = [{"viscosity": viscosity} for viscosity in (0.01, 0.02, 0.05)]
    return filled(tmp_path / "vortices", problem, mus, committed=2)


@pytest.fixture
def deformed(tmp_path: Path) -> ZarrStore:
    """Give two cavities, the second twice as high as the first."""
    mus = [{"aspect_ratio": 1.0}, {"aspect_ratio": 2.0}]
    return filled(
        tmp_path / "cavities", Cavity(CavitySettings(cells=4, grading=1.2)), mus, committed=2
    )


def texts(figure: Figure) -> list[str]:
    """Return the labels of all axes, the titles and the free texts."""
    labels = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
    return [*labels, *(text.get_text() for text in figure.texts)]


def test_wrapping_never_separates_a_value_from_its_name(deformed: ZarrStore) -> None:
    lines = wrapped(parameter_text(deformed.description, 1) + ", b\u00a0=\u00a02", 0.5, 10)
    assert lines == ["aspect\u00a0ratio\u00a0=\u00a02,", "b\u00a0=\u00a02"]


def test_limits_of_vorticity_are_symmetric_and_those_of_speed_begin_at_zero(
    store: ZarrStore,
) -> None:
    reader = FlowReader(store, 0)
    limits = field_limits(reader, "vorticity", [0])
    assert limits.low == -limits.high < 0
    assert field_limits(reader, "speed", [0]).low == 0
    assert field_limits(reader, "vorticity", [4]).high < limits.high
    assert field_limits(reader, "vorticity", [0, 4]) == limits


def test_a_snapshot_names_its_quantities_units_sample_parameters_and_time(
    store: ZarrStore,
) -> None:
    found = texts(snapshot_figure(store, 1))
    for label in ("x [m]", "y [m]", "speed [m/s]", "vorticity [1/s]", "t [s]"):
        assert label in found
    heading = " ".join(found).replace("\u00a0", " ")
    for part in (
        "Decaying Taylor-Green vortices",
        "Sample 1",
        "viscosity = 0.02 m²/s",
        "t = 2.00 s",
    ):
        assert part in heading


def test_the_time_in_a_snapshot_is_that_of_its_frame(store: ZarrStore) -> None:
    for frame, time in ((0, "0.00"), (-2, "1.50")):
        heading = " ".join(texts(snapshot_figure(store, 0, frame))).replace("\u00a0", " ")
        assert f"t = {time} s" in heading


def test_pressure_is_drawn_on_the_vertices(store: ZarrStore) -> None:
    figure = snapshot_figure(store, 0, field="pressure")
    assert "kinematic pressure [m²/s²]" in texts(figure)
    reader = FlowReader(store, 0)
    n_vertices = store.description.dims["vertex"]
    assert reader.values("pressure", 0).shape == (n_vertices,)
    assert reader.points("pressure").shape == (n_vertices, 2)
    assert reader.triangles("pressure").max() == n_vertices - 1


def test_a_snapshot_has_the_scale_of_its_own_geometry(deformed: ZarrStore) -> None:
    for sample, height in ((0, 1.0), (1, 2.0)):
        axes = snapshot_figure(deformed, sample, field="speed").axes[0]
        assert axes.get_xlim() == (0.0, 1.0)
        assert axes.get_ylim() == (0.0, height)
        assert axes.get_aspect() == 1.0


def test_an_overview_shows_committed_samples_with_their_parameters(store: ZarrStore) -> None:
    figure = overview_figure(store)
    titles = [axes.get_title(loc="left").replace("\u00a0", " ") for axes in figure.axes]
    assert [title for title in titles if title] == [
        "0: viscosity = 0.01 m²/s",
        "1: viscosity = 0.02 m²/s",
    ]
    assert "vorticity [1/s]" in texts(figure)


def test_an_overview_takes_at_most_six_samples_from_first_to_last(tmp_path: Path) -> None:
    mus = [{"viscosity": 0.01 * (i + 1)} for i in range(9)]
    many = filled(tmp_path, TaylorGreen(TaylorGreenSettings(cells=2)), mus, committed=9)
    chosen = chosen_samples(many)
    assert (len(set(chosen)), chosen[0], chosen[-1]) == (6, 0, 8)


def test_a_fluid_at_rest_gets_scales_of_size_one(tmp_path: Path) -> None:
    problem = TaylorGreen(TaylorGreenSettings(cells=2))
    still = filled(tmp_path, problem, [{"viscosity": 1.0}], committed=1, size=0.0)
    reader = FlowReader(still, 0)
    for field in FIELDS:
        limits = field_limits(reader, field, [0])
        assert limits.low <= 0 < limits.high <= 1
        assert limits.extend == "neither"


@pytest.mark.parametrize("sample", [2, 3, -1])
def test_only_committed_samples_are_drawn(store: ZarrStore, sample: int) -> None:
    with pytest.raises(UserError, match=f"received {sample}"):
        snapshot_figure(store, sample)


def test_a_quantity_that_is_unknown_at_the_start_is_drawn_from_the_next_frame(
    tmp_path: Path,
) -> None:
    """Forces need a step: at t = 0 they are NaN."""
    problem = TaylorGreen(TaylorGreenSettings(cells=4))
    store = filled(tmp_path / "data", problem, [{}], 1, first_energy=float("nan"))
    figure = snapshot_figure(store, 0)
    (axes,) = [a for a in figure.axes if a.get_xlabel() == "t [s]"]
    low, high = axes.get_ylim()
    assert low < 0.5 < 2.0 < high
    assert save(figure, tmp_path / "picture.png").is_file()


def test_a_dataset_without_committed_samples_has_no_overview(tmp_path: Path) -> None:
    problem = TaylorGreen(TaylorGreenSettings(cells=2))
    empty = filled(tmp_path, problem, [{"viscosity": 0.01}], committed=0)
    with pytest.raises(UserError, match="Run the study first"):
        overview_figure(empty)


@pytest.mark.parametrize("frame", [N_FRAMES, -N_FRAMES - 1])
def test_a_frame_that_does_not_exist_is_refused(store: ZarrStore, frame: int) -> None:
    with pytest.raises(UserError, match="frame: expected"):
        snapshot_figure(store, 0, frame)


def test_an_animation_has_as_many_frames_as_the_dataset(store: ZarrStore, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    path = save_animation(
        store,
        0,
        tmp_path / "new" / "flow.gif",
        width_px=500,
        progress=lambda done, total: calls.append((done, total)),
    )
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == N_FRAMES
        assert picture.width == 500
    assert calls == [(i + 1, N_FRAMES) for i in range(N_FRAMES)]
    assert [file.name for file in path.parent.iterdir()] == ["flow.gif"]


def test_a_saved_figure_is_a_picture_of_its_size_and_replaces_an_older_one(
    store: ZarrStore, tmp_path: Path
) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    figure = snapshot_figure(store, 0)
    assert save(figure, path) == path
    with Image.open(path) as picture:
        expected = 150 * figure.get_size_inches()
        np.testing.assert_allclose(picture.size, expected, atol=1)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["figure.png"]


def test_files_of_another_kind_are_refused(store: ZarrStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.png"):
        save(Figure(), tmp_path / "figure.pdf")
    with pytest.raises(UserError, match=r"\.gif"):
        save_animation(store, 0, tmp_path / "flow.mp4")


@pytest.mark.parametrize("kind", ["store", "deformed"])
def test_no_texts_of_a_figure_overlap_or_leave_it(
    kind: str, request: pytest.FixtureRequest
) -> None:
    dataset: ZarrStore = request.getfixturevalue(kind)
    for figure in (snapshot_figure(dataset, 1), overview_figure(dataset)):
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
    artists = list(figure.texts)
    for axes in figure.axes:
        artists += [axes.xaxis.label, axes.yaxis.label]
        artists += _between(axes.get_xticklabels(), axes.get_xlim(), 0)
        artists += _between(axes.get_yticklabels(), axes.get_ylim(), 1)
    extents = [
        text.get_window_extent() for text in artists if text.get_visible() and text.get_text()
    ]
    return [(box.x0, box.y0, box.x1, box.y1) for box in extents]


def _between(labels: Sequence[Text], limits: tuple[float, float], axis: int) -> list[Text]:
    """Return the labels of ticks inside the axes; the others are not drawn."""
    return [label for label in labels if limits[0] <= label.get_position()[axis] <= limits[1]]
