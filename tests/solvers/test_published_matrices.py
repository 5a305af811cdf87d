"""The correct finite-volume matrices, and what is wrong with the published ones beside them."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse.linalg import eigs, norm, spsolve

from infra.errors import UserError
from solvers.boxes import unit_points
from solvers.fields import RandomField, grid_tables
from solvers.mesh import FloatArray
from solvers.published_matrices import darcy_5_point, darcy_7_point, skr_darcy, skr_helmholtz


def coefficient(s: int, seed: int = 0) -> FloatArray:
    """Return exp of a field with alpha = 2.5 and tau = 7, as the published fields."""
    field = RandomField(2, 256, 7.0, 2.5)
    numbers = np.random.default_rng(seed).standard_normal(field.modes)
    mu = dict(zip(field.names, numbers.tolist(), strict=True))
    points = unit_points(s + 1)[1:-1]
    return np.exp(7.0**1.5 * field.evaluate(mu, grid_tables([points] * 2, field.largest)))


def face_by_face(K: FloatArray) -> FloatArray:
    """Return the finite-volume matrix with plain loops over cells and faces."""
    matrix = np.zeros((K.size, K.size))
    numbers = np.arange(K.size).reshape(K.shape)
    for place in product(*map(range, K.shape)):
        i = numbers[place]
        for axis, step in product(range(K.ndim), (-1, 1)):
            other = tuple(p + step * (a == axis) for a, p in enumerate(place))
            if not all(0 <= p < n for p, n in zip(other, K.shape, strict=True)):
                matrix[i, i] += 2 * K[place]
                continue
            face = 2 * K[place] * K[other] / (K[place] + K[other])
            matrix[i, i] += face
            matrix[i, numbers[other]] -= face
    return matrix


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (1, 4)])
def test_five_points_are_the_sums_over_faces(shape: tuple[int, int]) -> None:
    K = np.random.default_rng(1).uniform(1, 100, shape)
    np.testing.assert_allclose(darcy_5_point(K).toarray(), face_by_face(K), rtol=1e-14)


def test_seven_points_are_the_sums_over_faces() -> None:
    K = np.random.default_rng(2).uniform(1, 100, (3, 4, 2))
    np.testing.assert_allclose(darcy_7_point(K).toarray(), face_by_face(K), rtol=1e-14)


def test_correct_matrices_are_symmetric_positive_definite_of_one_pattern() -> None:
    matrices = [darcy_5_point(np.random.default_rng(s).uniform(1, 1e3, (6, 6))) for s in range(3)]
    for matrix in matrices:
        assert abs(matrix - matrix.T).max() == 0
        assert np.linalg.eigvalsh(matrix.toarray()).min() > 0
        np.testing.assert_array_equal(matrix.indices, matrices[0].indices)
        np.testing.assert_array_equal(matrix.indptr, matrices[0].indptr)


@pytest.mark.parametrize("K", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones(9)])
def test_impossible_permeability_is_refused(K: FloatArray) -> None:
    with pytest.raises(UserError, match="permeability: expected a positive, finite array"):
        darcy_5_point(K)


def test_the_published_matrix_is_a_column_scaled_laplacian_but_for_one_diagonal() -> None:
    a = coefficient(12)
    found, s = skr_darcy(a).toarray(), 12
    laplacian = darcy_5_point(np.ones((s, s))).toarray()
    np.fill_diagonal(laplacian, 4.0)
    difference = found - laplacian * a.ravel()
    rows, columns = np.nonzero(np.abs(difference) > 1e-14)
    assert set(rows - columns) == {s}
    wrong = np.minimum(columns + 2, a.size - 1)
    np.testing.assert_allclose(found[rows, columns], -a.ravel()[wrong])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_published_matrix_is_slightly_asymmetric_and_nearly_singular(seed: int) -> None:
    matrix = skr_darcy(coefficient(100, seed)).tocsc()
    skew = norm(matrix - matrix.T) / (2 * norm(matrix))
    assert 0.005 < skew < 0.02
    smallest = eigs(matrix, k=4, sigma=0, v0=np.ones(matrix.shape[0]))[0]
    # The Laplacian's own smallest eigenvalue, of coefficients of one, is 2 pi^2 h^2.
    assert np.abs(smallest).min() < 2 * np.pi**2 / 101**2
    assert smallest.real.min() < 0 < smallest.real.max()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_its_solution_changes_sign_and_that_of_the_correct_one_does_not(seed: int) -> None:
    a = coefficient(100, seed)
    right = np.full(a.size, 1.0)
    published, correct = (spsolve(f(a).tocsc(), right) for f in (skr_darcy, darcy_5_point))
    assert published.min() < 0 < published.max()
    assert correct.min() > 0


def test_no_wave_fits_into_the_published_helmholtz_problem() -> None:
    a = coefficient(100)
    still, waves = (skr_helmholtz(a, k) for k in (0.0, 1.0))
    assert abs(still - skr_darcy(a)).max() == 0
    assert abs(waves - still).max() == pytest.approx(1.0 / 101**2, rel=1e-9)
