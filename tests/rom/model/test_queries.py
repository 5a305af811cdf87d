from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from rom.reduced_model import ReducedModel
from rom.selection import Select

type Floats = NDArray[np.float64]

POINTS = [[0.21, 0.34], [0.5, 0.5], [1.0, 0.0]]
SELECTIONS = [
    Select.fields(),
    Select.fields("flux"),
    Select.in_region("corner"),
    Select.at_nodes([3, 1]),
    Select.in_box([0.2, 0.2], [0.6, 0.6]),
    Select.probes(POINTS, "temperature"),
    Select.quantities(),
    Select.coefficients(),
]


def _label(select: Select) -> str:
    return f"{select.kind}{len(select.names)}{select.points[:1]}"


MUS = np.array([[0.3, 2.0], [0.55, 5.0], [0.7, 9.0]])


@pytest.fixture(params=["model", "moving"])
def any_model(request: pytest.FixtureRequest) -> ReducedModel:
    model: ReducedModel = request.getfixturevalue(request.param)
    return model


def test_a_model_answers_between_its_samples(
    any_model: ReducedModel, truths: Callable[..., Floats]
) -> None:
    answer = any_model.query(MUS, select="fields")
    expected = truths(any_model.parts.space, MUS, any_model.times)
    received = np.concatenate([answer.values["temperature"], answer.values["flux"]], axis=-1)
    norm = any_model.basis.product.norms
    error = norm((received - expected).reshape(-1, expected.shape[2]).T)
    assert (error / norm(expected.reshape(-1, expected.shape[2]).T)).max() < 2e-3
    assert answer.in_range.all()
    assert answer.units == {"temperature": "K", "flux": "W m-2"}


def test_quantities_are_learnt_from_their_own_series(any_model: ReducedModel) -> None:
    answer = any_model.query(MUS)
    assert answer.values["total"].shape == (3, 1)
    assert answer.values["mean"].shape == (3, len(any_model.times))
    np.testing.assert_allclose(answer.values["total"][:, 0], MUS.prod(axis=1), rtol=2e-2)


@pytest.mark.parametrize("select", SELECTIONS, ids=_label)
def test_a_batch_answers_as_single_queries_do(any_model: ReducedModel, select: Select) -> None:
    batch = any_model.query(MUS, select=select)
    for i, mu in enumerate(MUS):
        single = any_model.query({"height": mu[0], "power": mu[1]}, select=select)
        for name, values in single.values.items():
            np.testing.assert_allclose(batch.values[name][i], values[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(batch.eta[i], single.eta[0], rtol=1e-9)


@pytest.mark.parametrize("select", SELECTIONS, ids=_label)
def test_gradients_are_those_of_the_answers(any_model: ReducedModel, select: Select) -> None:
    step = 1e-5
    gradient = any_model.gradient(MUS, select=select)
    assert gradient.parameters == ("height", "power")
    for k in range(2):
        e = step * np.eye(2)[k]
        above, below = (any_model.query(MUS + s * e, select=select).values for s in (1, -1))
        for name, values in gradient.values.items():
            differences = (above[name] - below[name]) / (2 * step)
            scale = np.abs(differences).max() + np.abs(above[name]).max() * 1e-5
            np.testing.assert_allclose(values[..., k], differences, atol=2e-4 * scale)


def test_parts_of_a_field_are_those_of_the_whole(model: ReducedModel) -> None:
    whole = model.query(MUS, select="fields").values["temperature"]
    nodes = model.query(MUS, select=Select.at_nodes([5, 7], "temperature"))
    np.testing.assert_allclose(nodes.values["temperature"], whole[:, :, [5, 7]], rtol=1e-14)
    region = model.query(MUS, select=Select.in_region("corner", "temperature"))
    n = model.parts.space.sizes[0]
    np.testing.assert_allclose(region.values["temperature"], whole[:, :, [0, 1, n - 1]], rtol=1e-14)
    points = model.parts.space.points["vertex"]
    inside = ((points >= 0.2) & (points <= 0.6)).all(axis=1)
    box = model.query(MUS, select=Select.in_box([0.2, 0.2], [0.6, 0.6], "temperature"))
    np.testing.assert_allclose(box.values["temperature"], whole[:, :, inside], rtol=1e-14)


def test_probes_at_vertices_are_their_values_and_linear_fields_are_exact(
    model: ReducedModel,
) -> None:
    points = model.parts.space.points["vertex"]
    whole = model.query(MUS, select="fields").values["temperature"]
    probes = model.query(MUS, select=Select.probes(points[:20], "temperature"))
    np.testing.assert_allclose(probes.values["temperature"], whole[:, :, :20], rtol=1e-12)
    flux = model.query(MUS, select=Select.probes(POINTS, "flux")).values["flux"][:, 0]
    nodal = model.query(MUS, select=Select.fields("flux")).values["flux"][:, 0]
    linear = np.linalg.lstsq(np.c_[np.ones(len(points)), points], nodal.T, rcond=None)[0]
    np.testing.assert_allclose(
        flux, (np.c_[np.ones(3), np.array(POINTS)] @ linear).T, atol=1e-3 * np.abs(flux).max()
    )


def test_between_output_times_answers_are_smooth(
    moving: ReducedModel, truths: Callable[..., Floats]
) -> None:
    expected = truths(moving.parts.space, MUS, np.array([0.33]))
    answer = moving.query(MUS, t=0.33, select="fields")
    n = moving.parts.space.sizes[0]
    assert answer.values["temperature"].shape == (3, 1, n)
    np.testing.assert_allclose(answer.values["temperature"], expected[..., :n], rtol=3e-3)


BAD = {
    "missing": ({"height": 0.3}, "power: missing"),
    "unknown": ({"height": 0.3, "power": 2.0, "mass": 1.0}, "mass: unknown"),
    "not a number": ({"height": float("nan"), "power": 2.0}, "height"),
    "text": ({"height": "80 Hz", "power": 2.0}, "height"),
    "a truth value": ({"height": True, "power": 2.0}, "height"),
    "fixed": ({"height": 0.3, "power": 2.0, "gravity": 1.6}, "gravity: fixed"),
    "too many": (np.ones((2, 3)), "shape"),
    "no query": (np.ones((0, 2)), "shape"),
    "ragged": ({"height": [0.3, 0.4], "power": [1.0, 2.0, 3.0]}, "shapes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_are_refused_by_name(model: ReducedModel, case: str) -> None:
    mu, text = BAD[case]
    with pytest.raises(UserError, match=text):
        model.query(mu)


def test_other_units_are_refused(model: ReducedModel) -> None:
    mu = {"height": 0.3, "power": 2.0}
    assert model.query(mu, units={"power": "W"}).in_range[0]
    with pytest.raises(UserError, match="power: expected W, received kW"):
        model.query(mu, units={"power": "kW"})


def test_queries_out_of_range_are_flagged_in_words_or_refused(model: ReducedModel) -> None:
    answer = model.query([[0.5, 3.0], [0.9, 3.0], [0.5, -1.0], [0.0, 0.0]])
    assert answer.in_range.tolist() == [True, False, False, False]
    assert answer.reasons[0] == ""
    assert answer.reasons[1] == "height 0.9 is above the trained range 0.2 to 0.8 m"
    assert "power -1 is below the trained range 1 to 10 W" in answer.reasons[2]
    assert all(np.isfinite(v).all() for v in answer.values.values())
    with pytest.raises(UserError, match=r"height 0\.9 is above"):
        model.query([0.9, 3.0], policy="refuse")


@pytest.mark.parametrize(
    "select",
    [
        Select.fields("pressure"),
        Select.in_region("roof"),
        Select.at_nodes([10**6]),
        Select.in_box([2.0, 2.0], [3.0, 3.0]),
        Select.probes([[1.5, 0.5]]),
        Select.probes([[0.5]]),
        Select.probes([[0.5, float("nan")]]),
        Select.quantities("lift"),
    ],
    ids=_label,
)
def test_what_does_not_exist_cannot_be_selected(model: ReducedModel, select: Select) -> None:
    with pytest.raises(UserError, match="Expected"):
        model.query(MUS, select=select)


@pytest.mark.parametrize("t", [-0.1, 1.1, [0.5, 2.0], float("nan"), []])
def test_times_outside_the_training_are_refused(moving: ReducedModel, t: object) -> None:
    with pytest.raises(UserError, match="times from 0 to 1 s"):
        moving.query(MUS, t=t)  # type: ignore[arg-type]


def test_prepared_rows_are_bounded(model: ReducedModel) -> None:
    for i in range(80):
        model.query(MUS, select=Select.at_nodes([i]))
    assert len(model._rows) <= 64
