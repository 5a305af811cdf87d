"""Random fields at points, on grids and in space agree with the sampler's and with their laws."""

from itertools import product

import numpy as np
import pytest

from infra.errors import UserError
from solvers.boxes import cell_centres
from solvers.fields import RandomField, cosine_tables, grid_tables
from solvers.mesh import FloatArray
from solvers.samplers.random_field import GaussianRandomFieldSampler

SHAPES = {2: (9, 12), 3: (5, 7, 6)}


def coefficients(field: RandomField, seed: int = 0) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    return dict(zip(field.names, rng.standard_normal(field.modes).tolist(), strict=True))


def on_grid(field: RandomField, mu: dict[str, float], n: int) -> FloatArray:
    axes = [cell_centres(n)] * field.dimension
    return field.evaluate(mu, grid_tables(axes, field.largest))


def test_the_field_is_the_samplers_without_its_constant_mode() -> None:
    field, n = RandomField(2, 40, 3.0, 2.0), 16
    mu = coefficients(field)
    numbers = {"xi_0": 0.0} | {f"xi_{i + 1}": mu[f"xi_{i}"] for i in range(40)}
    expected = GaussianRandomFieldSampler(0, 41, tau=3.0, alpha=2.0).field(numbers, n)
    np.testing.assert_allclose(on_grid(field, mu, n), expected, atol=1e-14)


@pytest.mark.parametrize("dimension", [2, 3])
def test_points_and_grids_give_the_same_field(dimension: int) -> None:
    field = RandomField(dimension, 50, 3.0, 2.0)
    mu, axes = coefficients(field), [cell_centres(n) for n in SHAPES[dimension]]
    points = np.array(list(product(*axes)))
    at_points = field.evaluate(mu, cosine_tables(points, field.largest))
    whole = field.evaluate(mu, grid_tables(axes, field.largest))
    assert whole.shape == SHAPES[dimension]
    np.testing.assert_allclose(at_points, whole.ravel(), atol=1e-14)


@pytest.mark.parametrize(("dimension", "modes"), [(2, 1), (2, 64), (3, 1), (3, 64), (3, 300)])
def test_modes_are_distinct_and_the_smoothest_ones(dimension: int, modes: int) -> None:
    found = RandomField(dimension, modes, 3.0, 2.0).wave_numbers
    assert found.shape == (modes, dimension)
    assert len(np.unique(found, axis=0)) == modes
    squares = (found**2).sum(axis=1)
    assert (np.diff(squares) >= 0).all()
    assert squares[0] == 1
    left_out = np.array(list(product(range(12), repeat=dimension)))
    inside = int((((left_out**2).sum(axis=1) < squares[-1]) & left_out.any(axis=1)).sum())
    assert inside <= modes


@pytest.mark.parametrize("dimension", [2, 3])
def test_weights_have_the_l2_distance_of_the_fields(dimension: int) -> None:
    field = RandomField(dimension, 20, 3.0, 2.0)
    one, other = (coefficients(field, seed) for seed in (1, 2))
    difference = on_grid(field, one, 16) - on_grid(field, other, 16)
    expected = np.sqrt((difference**2).mean())
    found = np.linalg.norm(field.coefficients(one) - field.coefficients(other))
    assert found == pytest.approx(expected, rel=1e-12)


def test_every_field_has_the_mean_zero() -> None:
    field = RandomField(2, 30, 3.0, 2.0)
    assert on_grid(field, coefficients(field), 32).mean() == pytest.approx(0.0, abs=1e-15)


def test_more_modes_refine_the_same_field() -> None:
    few, many = RandomField(2, 10, 3.0, 2.0), RandomField(2, 60, 3.0, 2.0)
    np.testing.assert_array_equal(many.wave_numbers[:10], few.wave_numbers)
    np.testing.assert_array_equal(many.amplitudes[:10], few.amplitudes)


def test_the_default_is_not_constant() -> None:
    field = RandomField(3, 5, 3.0, 2.0)
    assert np.ptp(on_grid(field, dict(field.defaults), 8)) > 0


@pytest.mark.parametrize(
    "numbers",
    [(2, 0, 3.0, 2.0), (2, 4, 0.0, 2.0), (2, 4, 3.0, 1.0), (3, 4, 3.0, 1.5), (4, 4, 3, 3)],
)
def test_impossible_statistics_are_refused(numbers: tuple[int, int, float, float]) -> None:
    with pytest.raises(UserError, match="random field: expected dimension 2 or 3"):
        RandomField(*numbers)
