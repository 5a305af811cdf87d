"""Reduced models on local bases: where they are used, and that all of a model works with them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.conditioning import ModelIndicator
from rom.local_modes import LocalModes
from rom.model_folder import load_model, save_model
from rom.reduced_model import ReducedModel
from rom.selection import Select
from rom.settings import ReducedModelSettings

type Floats = NDArray[np.float64]

X = np.linspace(0.0, 1.0, 81)
TIMES = np.linspace(0.0, 0.9, 8)
FIELDS = FieldSpace((FieldInfo("u", "m s-1", len(X), "node"),), {"node": X[:, None]})
BOUNDS = {"start": (0.1, 0.3), "viscosity": (5e-3, 2e-2)}
OPTIONS = {"sharing": "shared", "restarts": 0}
SELECTIONS = [
    Select.fields(), Select.at_nodes([3, 40]), Select.coefficients(), Select.quantities()
]  # fmt: skip


def points(m: int, seed: int) -> Floats:
    low, high = np.array(list(BOUNDS.values())).T
    return low + (high - low) * qmc.Sobol(2, rng=np.random.default_rng(seed)).random(64)[:m]


def front(mus: Floats) -> Floats:
    """Frames (m, T, n) of the exact travelling front of u_t + u u_x = nu u_xx from 1 to 0.2."""
    start, nu = mus[:, :1, np.newaxis], mus[:, 1:, np.newaxis]
    place = X - start - 0.6 * TIMES[:, np.newaxis]
    return 0.6 - 0.4 * np.tanh(0.8 * place / (4 * nu))


def make(m: int = 24, **settings: object) -> ReducedModel:
    mus = points(m, 1)
    frames = front(mus)
    snapshots = ArraySnapshots(
        FIELDS, tuple(BOUNDS), mus, frames, TIMES, bounds=BOUNDS, units=["m", "m2 s-1"],
        quantities={"mean": frames.mean(axis=2)}, quantity_units={"mean": "m s-1"},
    )  # fmt: skip
    given = {"product": "euclidean", "rank": 5, "tolerance": 1e-3, "options": OPTIONS}
    return build(
        snapshots,
        ReducedModelSettings.model_validate(given | settings),
        np.random.default_rng(0),
    )


@pytest.fixture(scope="module")
def local() -> ReducedModel:
    return make()


def errors(model: ReducedModel, mus: Floats) -> Floats:
    away = model.query(mus, select="fields").values["u"] - front(mus)
    return np.linalg.norm(away, axis=(1, 2)) / np.linalg.norm(front(mus), axis=(1, 2))


def test_a_moving_front_gets_local_bases_that_predict_better(local: ReducedModel) -> None:
    card = local.card.local
    assert card is not None
    assert card.gain > 1.05
    assert card.clusters == len(card.ranks) >= 2
    assert set(card.ranks) == {5}
    assert "local bases" in local.card.notes[-1]
    one = make(local="never")
    assert one.card.local is None
    held_out = points(40, 2)
    assert errors(local, held_out).mean() < 0.8 * errors(one, held_out).mean()


def test_one_basis_does_not_depend_on_the_setting() -> None:
    """Few snapshots: there can be no clusters, and the model is that of one basis, bit by bit."""
    models = [make(6, local=local, rank=20) for local in ("auto", "never")]
    first, second = (model.query(points(3, 2), select="fields") for model in models)
    assert first.values["u"].tobytes() == second.values["u"].tobytes()
    assert first.eta.tobytes() == second.eta.tobytes()
    assert "too few" in models[0].card.notes[-1]


@pytest.mark.parametrize("kind", ["smooth", "scattered"])
def test_local_bases_are_never_used_where_the_criterion_is_at_most_one(kind: str) -> None:
    mus = points(48, 1)
    unit = (mus - mus.min(axis=0)) / np.ptp(mus, axis=0)
    waves = np.sin(np.outer(np.arange(1, 13), np.pi * X))
    if kind == "smooth":  # one basis of four modes is exact
        factors = np.column_stack(
            [1 + unit[:, 0], np.sin(2 * unit[:, 1]), unit.prod(axis=1), np.exp(-unit[:, 0])]
        )
    else:  # nothing tells the cluster
        factors = np.random.default_rng(0).standard_normal((48, 12)) / np.arange(1, 13)
    rows = factors @ waves[: factors.shape[1]]
    snapshots = ArraySnapshots(FIELDS, tuple(BOUNDS), mus, rows, bounds=BOUNDS)
    given = ReducedModelSettings.model_validate(
        {"product": "euclidean", "rank": 4, "tolerance": 1e-6, "options": OPTIONS}
    )
    model = build(snapshots, given, np.random.default_rng(0))
    assert model.card.local is None
    assert not isinstance(model.parts.regressor, LocalModes)
    assert "the expected gain g" in model.card.notes[-1]


def test_the_indicator_is_calibrated_with_local_bases(local: ReducedModel) -> None:
    held_out = points(60, 5)
    eta = local.query(held_out, select="coefficients").eta
    assert (errors(local, held_out) <= eta).mean() > 0.8
    assert local.card.trust.pairs == 24
    np.testing.assert_allclose(local.judge(held_out).eta, eta, rtol=1e-9)


@pytest.mark.parametrize("select", SELECTIONS, ids=lambda select: select.kind)
def test_a_batch_on_local_bases_answers_as_single_queries_do(
    local: ReducedModel, select: Select
) -> None:
    mus = points(6, 3)
    for t in (None, [0.0, 0.31, 0.77]):
        batch = local.query(mus, t, select=select)
        for i, mu in enumerate(mus):
            single = local.query(mu, t, select=select)
            for name, values in single.values.items():
                np.testing.assert_allclose(batch.values[name][i], values[0], rtol=1e-9, atol=1e-10)
            np.testing.assert_allclose(batch.eta[i], single.eta[0], rtol=1e-8)


@pytest.mark.parametrize("select", SELECTIONS, ids=lambda select: select.kind)
def test_gradients_on_local_bases_are_those_of_the_answers(
    local: ReducedModel, select: Select
) -> None:
    mus, t = points(6, 3), [0.0, 0.31, 0.77]
    gradient = local.gradient(mus, t, select=select)
    for k, width in enumerate([0.2, 1.5e-2]):
        step = 1e-4 * width
        e = step * np.eye(2)[k]
        above, below = (local.query(mus + s * e, t, select=select).values for s in (1, -1))
        for name, values in gradient.values.items():
            differences = (above[name] - below[name]) / (2 * step)
            scale = np.abs(differences).max() + np.abs(above[name]).max() * 1e-3 / width
            np.testing.assert_allclose(values[..., k], differences, atol=1e-3 * scale)


def test_the_gradient_knows_the_hand_over(local: ReducedModel) -> None:
    """Somewhere two bases work together, and their weights change with the parameters."""
    regressor = local.parts.regressor
    assert isinstance(regressor, LocalModes)
    u = np.random.default_rng(0).random((50, 2))
    weights = regressor.weights(u, regressor.times)
    np.testing.assert_allclose(weights.sum(axis=2), 1.0, rtol=1e-12)
    shared = (weights > 0).sum(axis=2) > 1
    assert 0.02 < shared.mean() < 0.6
    line = np.column_stack([np.linspace(0, 1, 4001), np.full(4001, 0.4)])
    z = regressor.predict(line, np.array([0.45]))[:, 0]
    slopes = regressor.jacobian(line, np.array([0.45]))[:, 0, :, 0]
    moved = np.cumsum((slopes[1:] + slopes[:-1]) / 2, axis=0) / 4000
    np.testing.assert_allclose(z[1:] - z[0], moved, atol=2e-3 * np.abs(z).max())


def test_a_saved_model_of_local_bases_answers_with_the_same_bits(
    local: ReducedModel, tmp_path: Path
) -> None:
    save_model(local, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.card == local.card
    for select in SELECTIONS:
        old, new = (m.query(points(4, 3), select=select) for m in (local, loaded))
        assert old.eta.tobytes() == new.eta.tobytes()
        assert all(old.values[n].tobytes() == new.values[n].tobytes() for n in old.values)
        slopes = [m.gradient(points(4, 3), select=select).values for m in (local, loaded)]
        assert all(slopes[0][n].tobytes() == slopes[1][n].tobytes() for n in slopes[0])


def test_the_basis_holds_all_local_ones(local: ReducedModel) -> None:
    found = local.basis
    np.testing.assert_allclose(
        found.product.gram(found.modes), np.eye(local.rank), atol=1e-6
    )  # of 32 bits
    held_out = points(10, 2)
    fields = local.query(held_out, select="fields").values["u"].reshape(-1, len(X))
    assert found.projection_error(fields).max() < 1e-6
    card = local.card.local
    assert card is not None
    assert local.rank <= sum(card.ranks) + card.clusters


def test_local_bases_can_be_forced(local: ReducedModel) -> None:
    with pytest.raises(UserError, match="to be possible"):
        make(6, local="always", rank=20)
    with pytest.raises(UserError, match="time `modes`"):
        make(local="always", time="autoregressive")
    forced = make(local="always")
    assert forced.card.local == local.card.local


def test_enrichment_knows_what_local_bases_would_learn(local: ReducedModel) -> None:
    indicator = ModelIndicator(local, np.random.default_rng(0))
    u = np.array([[0.97, 0.02]])
    more = indicator.given(u).given(np.array([[0.02, 0.98]]))
    assert len(more.points) == 26
    assert np.isfinite(more.eta(u)).all()
    assert more.eta(u)[0] < indicator.eta(u)[0]
