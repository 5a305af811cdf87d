r"""Laws of Gaussian random fields, covariance :math:`\sigma^2 (-\Delta + \tau^2)^{-\alpha}`.

Source: Li et al. (2020), arXiv:2010.08895. Seeds are fixed; statistical laws hold within four to
five standard errors.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from infra.errors import UserError
from solvers.samplers.random_field import Boundary, GaussianRandomFieldSampler

type Array = NDArray[np.float64]

BOUNDARIES: tuple[Boundary, ...] = ("neumann", "periodic")
both = pytest.mark.parametrize("boundary", BOUNDARIES)


def sampler(boundary: Boundary, modes: int = 30, seed: int = 1) -> GaussianRandomFieldSampler:
    return GaussianRandomFieldSampler(seed, modes, 2.0, 1.5, 3.0, boundary)


def scaled_modes(fields: GaussianRandomFieldSampler, n: int) -> Array:
    r"""Return :math:`\sqrt{\lambda_i} \varphi_i` on the grid, shape (m, n, n)."""
    rows = np.eye(fields.modes)
    return np.array([fields.field(dict(zip(fields.names, r, strict=True)), n) for r in rows])


def formula(fields: GaussianRandomFieldSampler, n: int) -> Array:
    """Evaluate the scaled modes from the formulas, without a transform."""
    values = []
    for (j, k, s), variance in zip(fields.wave_numbers, fields.spectrum, strict=True):
        if fields.boundary == "neumann":
            x, y = np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2, indexing="ij")
            c = math.sqrt(2) ** (int(j > 0) + int(k > 0))
            mode = c * np.cos(j * np.pi * x) * np.cos(k * np.pi * y)
        else:
            x, y = np.meshgrid(*[np.arange(n) / n] * 2, indexing="ij")
            wave = np.sin if s else np.cos
            mode = (math.sqrt(2) if j or k else 1.0) * wave(2 * np.pi * (j * x + k * y))
        values.append(math.sqrt(variance) * mode)
    return np.array(values)


def laplacian(a: Array, boundary: Boundary) -> Array:
    """Apply the second-order five-point operator on the sampler's grid of the unit square."""
    padded = np.pad(a, 1, mode="symmetric" if boundary == "neumann" else "wrap")
    sides = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
    return np.asarray((sides - 4 * a) * len(a) ** 2)


@both
def test_the_transform_agrees_with_the_formulas(boundary: Boundary) -> None:
    fields = sampler(boundary)
    np.testing.assert_allclose(scaled_modes(fields, 16), formula(fields, 16), atol=1e-13)


@both
def test_the_modes_are_orthogonal_and_their_squares_are_the_spectrum(boundary: Boundary) -> None:
    # The grid's mean of a product is the exact integral for modes that the grid resolves.
    fields = sampler(boundary)
    rows = scaled_modes(fields, 20).reshape(fields.modes, -1)
    np.testing.assert_allclose(rows @ rows.T / 400, np.diag(fields.spectrum), atol=1e-13)


@both
def test_the_spectrum_is_that_of_the_laplace_operator(boundary: Boundary) -> None:
    # kappa = (lambda / sigma^2)^(-1/alpha) - tau^2 against five-point Rayleigh quotients.
    fields = sampler(boundary, modes=12)
    kappa = (fields.spectrum / 9.0) ** (-1 / 1.5) - 4.0
    errors = []
    for n in (32, 64):
        quotients = [
            -np.vdot(a, laplacian(a, boundary)) / np.vdot(a, a) for a in scaled_modes(fields, n)
        ]
        errors.append(np.abs(quotients - kappa).max())
    assert errors[1] < 0.01 * kappa.max()
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)


@both
@pytest.mark.parametrize("modes", [1, 2, 3, 10, 500])
def test_the_modes_are_the_smoothest_in_order_and_distinct(boundary: Boundary, modes: int) -> None:
    # Against a lattice four times as wide as these modes need.
    reach = 4 * math.isqrt(modes) + 4
    axis = range(reach) if boundary == "neumann" else range(-reach, reach + 1)
    # A periodic pair of wave numbers has a cosine and a sine: one mode for each of the two.
    squares = sorted(j * j + k * k for j in axis for k in axis)[:modes]
    numbers = sampler(boundary, modes).wave_numbers
    np.testing.assert_array_equal((numbers[:, :2] ** 2).sum(axis=1), squares)
    assert len(np.unique(numbers, axis=0)) == modes


@both
def test_more_modes_extend_the_spectrum_and_the_samples(boundary: Boundary) -> None:
    few, many = sampler(boundary, 10), sampler(boundary, 40)
    np.testing.assert_array_equal(many.wave_numbers[:10], few.wave_numbers)
    np.testing.assert_array_equal(many.spectrum[:10], few.spectrum)
    for short, long in zip(few.suggest(3), many.suggest(3), strict=True):
        assert short.mu.items() <= long.mu.items()


def test_truncation_leaves_out_a_variance_of_order_m_to_the_one_minus_alpha() -> None:
    spectrum = GaussianRandomFieldSampler(0, 40_000, alpha=3.0).spectrum
    tails = [spectrum[m:].sum() for m in (100, 400, 1600)]
    slope = np.polyfit(np.log([100, 400, 1600]), np.log(tails), 1)[0]
    assert slope == pytest.approx(1 - 3.0, abs=0.1)


@both
def test_the_field_is_linear_in_its_coefficients(boundary: Boundary) -> None:
    fields = sampler(boundary)
    mu = fields.suggest(1)[0].mu
    expected = np.tensordot(list(mu.values()), scaled_modes(fields, 15), axes=1)
    np.testing.assert_allclose(fields.field(mu, 15), expected, atol=1e-13)


@both
def test_a_finer_grid_shows_the_same_field(boundary: Boundary) -> None:
    fields = sampler(boundary)
    mu = fields.suggest(1)[0].mu
    # Every third point of the finer grid is one of the coarser grid.
    first = 1 if boundary == "neumann" else 0
    fine = fields.field(mu, 48)[first::3, first::3]
    np.testing.assert_allclose(fine, fields.field(mu, 16), atol=1e-12)


def test_the_first_index_runs_along_x() -> None:
    fields = sampler("neumann", modes=3)
    along_y, along_x = scaled_modes(fields, 8)[1:]
    assert fields.wave_numbers[1:, :2].tolist() == [[0, 1], [1, 0]]
    assert np.ptp(along_y, axis=0).max() < 1e-14 < np.ptp(along_y, axis=1).min()
    np.testing.assert_allclose(along_x, along_y.T, atol=1e-14)


def test_the_coefficients_are_standard_normal() -> None:
    samples = sampler("neumann", modes=50).suggest(400)
    xi = np.array([list(sample.mu.values()) for sample in samples])
    assert stats.kstest(xi.ravel(), "norm").pvalue > 1e-3
    covariance = np.cov(xi.T)
    # Standard errors of variances and covariances: sqrt(2 / N) and sqrt(1 / N).
    assert np.abs(np.diag(covariance) - 1).max() < 5 * math.sqrt(2 / 400)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 5 * math.sqrt(1 / 400)


@both
def test_mean_variance_and_covariance_are_the_analytic_ones(boundary: Boundary) -> None:
    number, n = 2000, 12
    fields = sampler(boundary, seed=5)
    values = np.array([fields.field(s.mu, n)[::3, ::3].ravel() for s in fields.suggest(number)])
    modes = formula(fields, n)[:, ::3, ::3].reshape(fields.modes, -1)
    # C(x, y) = sum of lambda_i phi_i(x) phi_i(y).
    exact = modes.T @ modes
    variances = np.diag(exact)
    assert np.abs(values.mean(axis=0) / np.sqrt(variances / number)).max() < 4.5
    # For a Gaussian with known mean zero, N Var(C_xy) = C_xx C_yy + C_xy^2.
    errors = np.sqrt((np.outer(variances, variances) + exact**2) / number)
    assert np.abs((values.T @ values / number - exact) / errors).max() < 4.5


@both
def test_the_mean_square_of_the_field_is_the_sum_of_the_spectrum(boundary: Boundary) -> None:
    number = 2000
    fields = sampler(boundary, seed=6)
    squares = [np.mean(fields.field(s.mu, 16) ** 2) for s in fields.suggest(number)]
    # The integral of a^2 is the sum of lambda_i xi_i^2, whose variance is 2 sum of lambda_i^2.
    error = math.sqrt(2 * (fields.spectrum**2).sum() / number)
    assert abs(np.mean(squares) - fields.spectrum.sum()) < 4 * error


def test_a_periodic_field_is_stationary() -> None:
    # Whole shells of equal wave number only: 1 + 4 + 4 + 4 modes.
    modes = scaled_modes(sampler("periodic", modes=13), 9)
    np.testing.assert_allclose(np.ptp((modes**2).sum(axis=0)), 0, atol=1e-13)


def test_the_defaults_are_the_darcy_data_of_the_fourier_neural_operator() -> None:
    spectrum = GaussianRandomFieldSampler(seed=0, modes=3).spectrum
    np.testing.assert_allclose(spectrum, [9.0**-2] + [(np.pi**2 + 9) ** -2] * 2, rtol=1e-14)


def test_a_field_of_scale_zero_vanishes() -> None:
    fields = GaussianRandomFieldSampler(seed=0, modes=5, sigma=0.0)
    np.testing.assert_array_equal(fields.field(fields.suggest(1)[0].mu, 8), np.zeros((8, 8)))


def test_a_longer_run_starts_with_the_shorter_one() -> None:
    assert sampler("neumann").suggest(20)[:7] == sampler("neumann").suggest(7)


def test_the_seed_decides_the_fields() -> None:
    one, again, other = (sampler("neumann", seed=seed).suggest(3) for seed in (1, 1, 2))
    assert one == again
    assert all(a.mu != b.mu for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("boundary", "needed"), [("neumann", 6), ("periodic", 7)])
def test_a_grid_too_coarse_for_the_modes_is_refused(boundary: Boundary, needed: int) -> None:
    fields = sampler(boundary)
    mu = fields.suggest(1)[0].mu
    assert fields.field(mu, needed).shape == (needed, needed)
    with pytest.raises(UserError, match=f"expected n >= {needed}; refine the grid"):
        fields.field(mu, needed - 1)


@pytest.mark.parametrize("mu", [{}, {"xi_0": 1.0}, {"xi_0": 1.0, "xi_1": 0.0, "radius": 1.0}])
def test_coefficients_of_another_sampler_are_refused(mu: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"expected the coefficients xi_0 \.\. xi_1"):
        sampler("neumann", modes=2).field(mu, 8)


@pytest.mark.parametrize(
    "fields",
    [
        {"modes": 0},
        {"tau": 0.0},
        {"tau": math.nan},
        {"alpha": 1.0},
        {"alpha": math.inf},
        {"sigma": -1.0},
        {"boundary": "dirichlet"},
    ],
)
def test_fields_without_finite_variance_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UserError, match="expected modes >= 1, tau > 0, alpha > 1, sigma >= 0"):
        GaussianRandomFieldSampler(**{"seed": 0, "modes": 4, **fields})  # type: ignore[arg-type]
