"""Gaussian processes: those of scikit-learn, evaluated otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from infra.errors import UserError
from rom.regression.gp import GaussianProcess, GpSettings

type Floats = NDArray[np.float64]
type Sample = Callable[..., tuple[Floats, Floats]]

QUERIES = np.random.default_rng(1).random((9, 2)) * 1.4 - 0.2


def reference(gp: GaussianProcess, x: Floats, y: Floats, i: int) -> GaussianProcessRegressor:
    """Return scikit-learn's process with the hyperparameters of output i."""
    arrays, _ = gp.state()
    k = 0 if len(arrays["fit.lengths"]) == 1 else i
    kernel = ConstantKernel(arrays["fit.amplitudes"][k]) * Matern(
        arrays["fit.lengths"][k], nu=2.5
    ) + WhiteKernel(arrays["fit.noises"][k])
    process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    return process.fit(x, (y[:, i] - y[:, i].mean()) / y[:, i].std())


@pytest.mark.parametrize("sharing", ["each", "shared"])
def test_predictions_are_those_of_scikit_learn(
    sample: Sample, sharing: str, rng: np.random.Generator
) -> None:
    x, y = sample(15)
    gp = GaussianProcess(GpSettings.model_validate({"sharing": sharing, "restarts": 0}))
    gp = gp.fit(x, y, rng)
    mean, deviation = gp.predict(QUERIES), gp.deviation(QUERIES)
    assert deviation is not None
    for i in range(3):
        expected, spread = reference(gp, x, y, i).predict(QUERIES, return_std=True)
        scale = y[:, i].std()
        np.testing.assert_allclose((mean[:, i] - y[:, i].mean()) / scale, expected, atol=1e-7)
        if sharing == "each":
            np.testing.assert_allclose(deviation[:, i] / scale, spread, atol=1e-5)


def test_the_deviation_is_small_at_samples_and_large_away_from_them(
    sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample()
    gp = GaussianProcess(GpSettings(restarts=0)).fit(x, y, rng)
    near, far = gp.deviation(x), gp.deviation(np.full((1, 2), 5.0))
    assert near is not None
    assert far is not None
    assert (near.max(axis=0) < 1e-2 * y.std(axis=0)).all()
    assert (far[0] > 0.1 * y.std(axis=0)).all()


@pytest.mark.parametrize("sharing", ["each", "shared"])
def test_the_deviation_covers_the_error_of_random_functions(sharing: str) -> None:
    """Functions drawn from the kernel itself: 95 % of the errors are below two deviations."""
    rng = np.random.default_rng(3)
    x = rng.random((90, 2))
    kernel = Matern([0.6, 0.9], nu=2.5)(x) + 1e-10 * np.eye(90)
    y = np.linalg.cholesky(kernel) @ rng.normal(size=(90, 6))
    settings = GpSettings.model_validate({"sharing": sharing, "restarts": 0})
    gp = GaussianProcess(settings).fit(x[:30], y[:30], rng)
    deviation = gp.deviation(x[30:])
    assert deviation is not None
    covered = (np.abs(gp.predict(x[30:]) - y[30:]) < 2 * deviation).mean()
    assert 0.88 <= covered <= 0.995


def test_energy_decides_the_shared_length_scales(sample: Sample, rng: np.random.Generator) -> None:
    x, y = sample()
    rough = rng.normal(size=(len(x), 1))
    gp = GaussianProcess(GpSettings(sharing="shared", restarts=0))
    alone = gp.fit(x, y[:, :1], rng).state()[0]["fit.lengths"]
    weak = gp.fit(x, np.c_[y[:, :1], 1e-4 * y[:, :1].std() * rough], rng).state()[0]
    strong = gp.fit(x, np.c_[y[:, :1], 1e4 * y[:, :1].std() * rough], rng).state()[0]
    np.testing.assert_allclose(weak["fit.lengths"], alone, rtol=0.3)
    assert strong["fit.noises"][0] + 1 / strong["fit.lengths"].max() > 0.5


def test_outputs_with_hyperparameters_of_their_own_do_not_see_each_other(
    sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample()
    gp = GaussianProcess(GpSettings(sharing="each", restarts=0))
    both = gp.fit(x, y[:, :2], rng).predict(QUERIES)
    np.testing.assert_allclose(
        gp.fit(x, y[:, :1], rng).predict(QUERIES)[:, 0], both[:, 0], rtol=1e-4
    )


@pytest.mark.parametrize("sharing", ["each", "shared"])
def test_both_kinds_of_sharing_know_their_derivatives(
    sample: Sample, sharing: str, rng: np.random.Generator
) -> None:
    gp = GaussianProcess(GpSettings.model_validate({"sharing": sharing, "restarts": 0}))
    gp, step = gp.fit(*sample(12, 2, 2), rng), 1e-5
    jacobian = gp.jacobian(QUERIES)
    for j in range(2):
        move = step * np.eye(2)[j]
        difference = (gp.predict(QUERIES + move) - gp.predict(QUERIES - move)) / (2 * step)
        np.testing.assert_allclose(difference, jacobian[:, :, j], atol=1e-5 * np.ptp(jacobian))
    back = GaussianProcess.from_state(*gp.state())
    np.testing.assert_array_equal(back.predict(QUERIES), gp.predict(QUERIES))
    np.testing.assert_equal(back.deviation(QUERIES), gp.deviation(QUERIES))


def test_many_outputs_share_by_themselves(sample: Sample, rng: np.random.Generator) -> None:
    x, y = sample(8, 2, 40)
    gp = GaussianProcess(GpSettings(restarts=0))
    assert len(gp.fit(x, y, rng).state()[0]["fit.lengths"]) == 1
    assert len(gp.fit(x, y[:, :2], rng).state()[0]["fit.lengths"]) == 2


def test_errors_fall_with_the_number_of_samples(rng: np.random.Generator) -> None:
    """At least with the order 5/2 of the kernel's space in one dimension."""
    gp = GaussianProcess(GpSettings(sharing="shared", restarts=0))
    counts = np.array([6, 12, 24])
    dense = np.linspace(0, 1, 200)[:, np.newaxis]
    errors = []
    for n in counts:
        x = np.linspace(0, 1, n)[:, np.newaxis]
        errors.append(
            np.abs(gp.fit(x, np.sin(6 * x), rng).predict(dense) - np.sin(6 * dense)).max()
        )
    observed = -np.polyfit(np.log(counts - 1), np.log(errors), 1)[0]
    assert observed > 2.5


def test_a_refit_keeps_the_hyperparameters(sample: Sample, rng: np.random.Generator) -> None:
    x, y = sample()
    fitted = GaussianProcess(GpSettings(restarts=0)).fit(x, y, rng)
    fitted.deviation(QUERIES)
    left_out = fitted.refit(x[1:], y[1:], rng)
    for name in ("fit.lengths", "fit.amplitudes", "fit.noises"):
        np.testing.assert_array_equal(left_out.state()[0][name], fitted.state()[0][name])
    new, old = left_out.deviation(x[:1]), fitted.deviation(x[:1])
    assert new is not None
    assert old is not None
    assert (new > old).all()


def test_points_that_nearly_coincide_are_named_when_they_break_the_fit(
    sample: Sample, rng: np.random.Generator
) -> None:
    x, y = sample()
    fitted = GaussianProcess(GpSettings(restarts=0, noise_floor=1e-13)).fit(x, y, rng)
    many = np.concatenate([x + shift for shift in np.linspace(0, 1e-9, 40)])
    with pytest.raises(UserError, match="noise_floor"):
        fitted.refit(many, np.tile(y, (40, 1)), rng)
