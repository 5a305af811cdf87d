from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from rom.array_snapshots import ArraySnapshots
from rom.basis import pod
from rom.building import build
from rom.leave_one_out import leave_one_out
from rom.products import InnerProduct
from rom.reduced_model import ReducedModel
from rom.regression.time_regressor import TimeRegressor
from rom.settings import ReducedModelSettings
from rom.trust.statistic import trapezoid
from rom.wide_basis import coordinates, wide_basis

type Floats = NDArray[np.float64]


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("n_times", [1, 5])
def test_leaving_out_in_coordinates_gives_the_numbers_of_leaving_out_snapshots(
    studies: Callable[..., ArraySnapshots],
    makes: Callable[..., ReducedModel],
    centre: bool,
    n_times: int,
) -> None:
    times = np.linspace(0.0, 1.0, n_times)
    snapshots = studies(10, times)
    model = makes(snapshots, rank=4, tolerance=1e-6, centre=centre)
    settings = ReducedModelSettings(rank=4, tolerance=1e-6, centre=centre)
    product, fitted = model.basis.product, model.parts.regressor
    wide = wide_basis(snapshots, product, settings)
    data = coordinates(snapshots, wide, None, lambda *_: None)
    x = model.parts.points
    rng = np.random.default_rng(0)
    pairs = leave_one_out(data, x, times, model.rank, fitted, rng)
    naive = _naive(snapshots, x, product, fitted, model.rank, centre)
    np.testing.assert_allclose(pairs.errors, naive, rtol=1e-6)


def _naive(
    snapshots: ArraySnapshots,
    x: Floats,
    product: InnerProduct,
    fitted: TimeRegressor,
    rank: int,
    centre: bool,
) -> Floats:
    rows = snapshots.matrix().reshape(len(x), len(snapshots.times), -1)
    weights = trapezoid(snapshots.times)
    errors = []
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        train = rows[others].reshape(-1, rows.shape[2])
        basis = pod(train, product, rank=rank, centre=centre, method="qr")
        y = basis.coefficients(train).reshape(len(x) - 1, len(snapshots.times), rank)
        learnt = fitted.refit(x[others], snapshots.times, y, np.random.default_rng(0))
        field = basis.lift(learnt.predict(x[i : i + 1], snapshots.times)[0])
        above = product.norms((field - rows[i]).T) ** 2 @ weights
        errors.append(np.sqrt(above / (product.norms(rows[i].T) ** 2 @ weights)))
    return np.array(errors)


@pytest.mark.parametrize("method", ["batch", "hierarchical"])
def test_both_ways_to_a_basis_give_one_model(
    method: str,
    studies: Callable[..., ArraySnapshots],
    makes: Callable[..., ReducedModel],
    model: ReducedModel,
) -> None:
    snapshots = studies()
    one = snapshots.trajectory_bytes
    other = makes(snapshots, method=method, memory=one if method == "hierarchical" else None)
    mu = [[0.4, 3.0]]
    np.testing.assert_allclose(
        other.query(mu, select="fields").values["temperature"],
        model.query(mu, select="fields").values["temperature"],
        rtol=1e-4,
    )


@pytest.mark.parametrize("regressor", ["rbf", "gp"])
@pytest.mark.parametrize("product", ["h1", "euclidean"])
def test_every_regressor_and_product_builds(
    regressor: str,
    product: str,
    studies: Callable[..., ArraySnapshots],
    makes: Callable[..., ReducedModel],
) -> None:
    model = makes(studies(12), regressor=regressor, product=product, tolerance=1e-2)
    answer = model.query([0.5, 3.0], select="fields")
    assert np.isfinite(answer.eta).all()
    assert answer.eta[0] > 0


def test_an_autoregressive_model_builds(
    studies: Callable[..., ArraySnapshots], makes: Callable[..., ReducedModel]
) -> None:
    model = makes(studies(10, np.linspace(0, 1, 9)), time="autoregressive", tolerance=1e-2)
    values = model.query([0.5, 3.0], select="fields").values["temperature"]
    assert np.isfinite(values).all()


def test_precision_follows_the_error_of_the_projection(
    studies: Callable[..., ArraySnapshots], makes: Callable[..., ReducedModel]
) -> None:
    assert makes(studies(12), tolerance=1e-3).card.basis.precision == "float32"
    fine = makes(studies(12), tolerance=1e-8)
    assert fine.card.basis.precision == "float64"


def test_equal_generators_build_equal_models(
    studies: Callable[..., ArraySnapshots], makes: Callable[..., ReducedModel]
) -> None:
    first, second = (makes(studies(10)).query([0.5, 3.0]) for _ in range(2))
    assert first.values["mean"].tobytes() == second.values["mean"].tobytes()
    assert first.eta.tobytes() == second.eta.tobytes()


def test_too_few_and_constant_snapshots_are_refused(
    studies: Callable[..., ArraySnapshots],
) -> None:
    snapshots, rng = studies(12), np.random.default_rng(0)
    settings = ReducedModelSettings()
    with pytest.raises(UserError, match="at least 5 different"):
        build(snapshots.subset(range(3)), settings, rng)
    values = np.repeat(snapshots.matrix()[:1], 12, axis=0)
    constant = ArraySnapshots(snapshots.space, snapshots.names, snapshots.mus, values)
    with pytest.raises(UserError, match="all are the same"):
        build(constant, settings, rng)


def test_a_memory_that_holds_no_trajectory_is_refused(
    studies: Callable[..., ArraySnapshots],
) -> None:
    snapshots = studies(12)
    settings = ReducedModelSettings(method="hierarchical", memory=8)
    with pytest.raises(UserError, match="bytes of memory"):
        build(snapshots, settings, np.random.default_rng(0))


def test_quantities_without_numbers_are_left_out_and_named(
    studies: Callable[..., ArraySnapshots],
) -> None:
    old = studies(12)
    hole = np.ones(12)
    hole[3] = np.nan
    snapshots = ArraySnapshots(
        old.space, old.names, old.mus, old.matrix(), quantities={"a": hole, "b": np.arange(12.0)}
    )
    model = build(snapshots, ReducedModelSettings(), np.random.default_rng(0))
    assert [q.name for q in model.card.quantities] == ["b"]
    assert "a" in model.card.notes[0]


def test_progress_names_the_stages(studies: Callable[..., ArraySnapshots]) -> None:
    heard: list[str] = []
    build(
        studies(8),
        ReducedModelSettings(),
        np.random.default_rng(0),
        lambda stage, *_: heard.append(stage),
    )
    assert list(dict.fromkeys(heard)) == [
        "scales", "basis", "coefficients", "regression", "calibration"
    ]  # fmt: skip
