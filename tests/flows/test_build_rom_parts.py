"""Parts of build-rom without a solver: errors, separation, selections, costs, pages."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.figures.rom import (
    enrichment_figure,
    indicator_figure,
    modes_figure,
    separation_figure,
    singular_values_figure,
)
from flows.rom_errors import auroc, evaluate, outside, separation
from flows.rom_models import dataset_of, find_model
from flows.rom_pictures import case_figure, quantity_figures
from flows.rom_query import answer_json, ask, parse_mu, parse_select
from flows.rom_report import ReportFigure, Table, page
from flows.rom_targets import share_interval, targets
from flows.rom_truth import truth_study
from flows.rom_worth import break_even, worth_of
from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.reduced_model import ReducedModel
from rom.selection import Select
from rom.settings import ReducedModelSettings
from rom.trust.statistic import trapezoid
from solvers.parameters import Parameter, ParameterSpace

type Floats = NDArray[np.float64]

SPACE = ParameterSpace(
    (Parameter("place", 0.2, 0.8, "m", ""), Parameter("power", 1.0, 9.0, "W", "", "log"))
)
TIMES = np.array([0.0, 0.1, 0.4, 1.0])


def square(cells: int) -> FieldSpace:
    axis = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    n = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = n[:-1, :-1], n[1:, :-1], n[:-1, 1:], n[1:, 1:]
    halves = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    fields = (FieldInfo("heat", "K", len(points), "vertex"),)
    return FieldSpace(fields, {"vertex": points}, {"vertex": np.concatenate(halves)})


def study(m: int, seed: int, cells: int = 6) -> ArraySnapshots:
    space = square(cells)
    p = space.points["vertex"]
    values = SPACE.from_unit(np.random.default_rng(seed).random((m, 2)))
    away = (p[:, 0] - values[:, :1]) ** 2 + (p[:, 1] - 0.5) ** 2
    shape = 1.0 + values[:, 1:] * np.exp(-4 * away)
    frames = shape[:, np.newaxis] * (1 + TIMES[:, np.newaxis])
    means = frames.mean(axis=2)
    return ArraySnapshots(
        space, SPACE.names, values, frames, TIMES, units=("m", "W"),
        bounds={q.name: (q.low, q.high) for q in SPACE.parameters},
        quantities={"mean": means, "power_in": values[:, 1]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> ReducedModel:
    settings = ReducedModelSettings(tolerance=1e-3, options={"restarts": 0})
    return build(
        study(20, 1), settings, np.random.default_rng(0), name="spot", parameters=SPACE
    )  # fmt: skip


def test_errors_are_those_of_the_fields_in_the_norm_of_the_model(model: ReducedModel) -> None:
    snapshots = study(6, 9)
    seen = evaluate(model, snapshots)
    weights, product = trapezoid(TIMES), model.basis.product
    for i, trajectory in enumerate(snapshots):
        guess = model.query(trajectory.mu, select="fields").values["heat"][0]
        off = product.norms((guess - trajectory.values).T) ** 2 @ weights
        size = product.norms(trajectory.values.T) ** 2 @ weights
        assert seen.errors[i] == pytest.approx(np.sqrt(off / size), rel=1e-9)
        best = model.basis.projection_error(trajectory.values, relative=False) ** 2 @ weights
        # The modes have 32 bits: a difference of squares is not exact.
        assert seen.projection[i, -1] == pytest.approx(np.sqrt(best / size), abs=1e-4)
    if seen.truncated.size:
        np.testing.assert_allclose(seen.truncated[:, -1], seen.errors, atol=1e-4)
        assert (seen.truncated >= seen.projection - 1e-12).all()
    assert (np.diff(seen.projection, axis=1) <= 1e-12).all()
    assert list(seen.errors[seen.worst]) == sorted(seen.errors, reverse=True)
    assert set(seen.quantities) == {"mean", "power_in"}


def test_another_mesh_is_refused(model: ReducedModel) -> None:
    with pytest.raises(UserError, match="on the mesh of the model spot"):
        evaluate(model, study(4, 2, cells=5))


def test_queries_outside_lie_outside_and_are_told_apart(model: ReducedModel) -> None:
    rng = np.random.default_rng(4)
    values = outside(SPACE, 50, rng)
    low, high = SPACE.bounds.T
    assert ((values < low) | (values > high)).any(axis=1).all()
    assert separation(model, rng).by_score > 0.95
    with pytest.raises(UserError):
        SPACE.to_unit(values - 100)


@pytest.mark.parametrize(
    ("low", "high", "area"),
    [([0, 1], [2, 3], 1.0), ([2, 3], [0, 1], 0.0), ([1, 1], [1, 1], 0.5), ([0, 2], [1, 3], 0.75)],
)
def test_the_area_is_the_share_of_pairs_in_order(
    low: list[float], high: list[float], area: float
) -> None:
    assert auroc(np.array(low, float), np.array(high, float)) == area


@pytest.mark.parametrize(
    ("hits", "number", "low", "high"),
    [(38, 40, 0.8308, 0.9939), (16, 16, 0.7941, 1.0), (0, 10, 0.0, 0.3085)],
)
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(
    hits: int, number: int, low: float, high: float
) -> None:
    assert share_interval(hits, number) == pytest.approx((low, high), abs=1e-4)


def test_targets_are_met_within_their_bounds_only(model: ReducedModel) -> None:
    apart = separation(model, np.random.default_rng(0))
    for target in targets(model, None, apart):
        assert target.met == (target.low <= target.value <= target.high)
    held = targets(model, evaluate(model, study(6, 9)), apart)
    assert "held out" in held[0].name


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], Select.quantities()),
        (["qoi=mean"], Select.quantities("mean")),
        (["field"], Select.fields()),
        (["field=heat"], Select.fields("heat")),
        (["probe=0.5,0.25"], Select.probes([[0.5, 0.25]])),
        (["probe=0,0", "probe=1,1"], Select.probes([[0, 0], [1, 1]])),
        (["box=0,0,1,0.5"], Select.in_box([0, 0], [1, 0.5])),
        (["region=left,heat"], Select.in_region("left", "heat")),
        (["coefficients"], Select.coefficients()),
    ],
)
def test_a_selection_is_what_its_words_say(texts: list[str], expected: Select) -> None:
    assert parse_select(texts) == expected


@pytest.mark.parametrize("texts", [["speed"], ["probe"], ["probe=a,b"], ["field", "qoi"], [""]])
def test_other_selections_are_refused_with_the_known_ones(texts: list[str]) -> None:
    with pytest.raises(UserError, match="--select"):
        parse_select(texts)


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a=b"], ["a=1", "a=2"]])
def test_parameters_in_another_form_are_refused(texts: list[str]) -> None:
    with pytest.raises(UserError, match="--mu"):
        parse_mu(texts)


def test_json_answers_are_those_of_the_model(model: ReducedModel) -> None:
    mu = {"place": 0.5, "power": 3.0}
    answer = ask(model, mu, [0.4], Select.quantities())
    found: Any = answer_json(model, answer, mu)
    assert found["values"]["mean"] == answer.values["mean"][0].tolist()
    assert found["times"] == [0.4]
    assert found["trust"]["in_range"] is True
    with pytest.raises(UserError, match="--policy"):
        ask(model, mu, [], Select.quantities(), "perhaps")


def test_a_model_pays_once_its_queries_have_saved_what_it_cost() -> None:
    assert break_even(100.0, 2.0, 1.0) == 100
    assert break_even(100.0, 1.0, 1.0) is None
    assert break_even(99.5, 1.5, 0.5) == 100


def test_what_a_model_does_not_know_is_said(model: ReducedModel, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="romflow run build-rom"):
        worth_of(model)
    with pytest.raises(UserError, match="romflow run build-rom"):
        dataset_of(model)
    with pytest.raises(UserError, match="romflow run build-rom"):
        truth_study(model, {}, tmp_path)
    with pytest.raises(UserError, match="romflow run build-rom"):
        find_model("nothing", tmp_path)


def test_pictures_are_drawn_and_numbers_of_all_kinds_have_one(model: ReducedModel) -> None:
    snapshots = study(5, 9)
    seen = evaluate(model, snapshots)
    figures = quantity_figures(model, snapshots, seen.mus, {"worst": 0})
    assert len(figures) == 2
    case = case_figure(model, snapshots, 0, seen.mus[0], 0.1)
    assert case is not None
    assert len(case.axes) == 6  # three panels and their colour bars
    for figure in (
        singular_values_figure(model.parts.singular_values, model.rank),
        modes_figure(seen.projection, seen.truncated),
        indicator_figure(seen.errors, seen.eta, 0.95),
        separation_figure(np.array([0.1, 0.5]), np.array([1.5, 3.0])),
        enrichment_figure([8, 12], [0.5, 0.1], 0.05),
    ):
        figure.canvas.draw()


def test_a_page_needs_no_other_file_and_escapes_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    parts = [
        Table("Errors", ("name", ""), (("<b>", "met"),), "a & b"),
        ReportFigure(tmp_path / "a.png", "Errors", 'curve "one"'),
    ]
    text = page("A <model>", "of things", parts)
    assert text.count("<h2>Errors</h2>") == 1
    assert "<b>" not in text
    assert "a &amp; b" in text
    assert 'class="met"' in text
    assert "http" not in text
    assert 'src="data:image/png;base64,' in text
