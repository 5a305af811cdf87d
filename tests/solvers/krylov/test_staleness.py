"""The staleness gate: principal angles from Gram matrices, and what it drops."""

from typing import Any

import numpy as np
import pytest
from scipy import linalg

from solvers.krylov.gcrodr import GCRODR
from solvers.krylov.recycle_space import RecycleSpace
from solvers.krylov.staleness import Gate, principal_sines, whiten


def test_sines_are_those_of_the_principal_angles() -> None:
    rng = np.random.default_rng(0)
    D, C = rng.standard_normal((2, 30, 4))
    C = D @ rng.standard_normal((4, 4)) + 0.1 * C
    sines, weights = principal_sines(D.T @ D, D.T @ C, C.T @ C)
    expected = np.sort(np.sin(linalg.subspace_angles(D, C)))
    np.testing.assert_allclose(sines, expected, atol=1e-9)
    vectors = C @ weights
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=1e-10)
    basis, _ = np.linalg.qr(D)
    left = np.linalg.norm(vectors - basis @ (basis.T @ vectors), axis=0)
    np.testing.assert_allclose(left, sines, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e100])
def test_whitening_reveals_the_rank_whatever_the_lengths(scale: float) -> None:
    A = np.random.default_rng(1).standard_normal((20, 3))
    A = np.column_stack([A, A[:, 0] + A[:, 1], np.zeros(20)])
    A *= np.array([1.0, 1e-12, 1e12, 1.0, 1.0]) * np.sqrt(scale)
    weights = whiten(A.T @ A)
    made = A @ weights
    np.testing.assert_allclose(made.T @ made, np.eye(weights.shape[1]), atol=1e-3)
    assert weights.shape[1] == 3


def test_the_gate_keeps_what_turned_less_than_the_limit() -> None:
    angles = np.array([0.0, 0.2, 0.7, 1.5])
    eye = np.eye(4)
    cross = np.diag(np.cos(angles))
    for limit in (0.0, 0.1, 0.5, 0.9, 1.0):
        weights, mean = Gate(limit)(eye, cross, eye)
        assert weights.shape[1] == (np.sin(angles) <= limit + 1e-12).sum()
        assert mean == pytest.approx(np.sin(angles).mean())


def test_directions_of_a_foreign_matrix_are_dropped(worker: Any) -> None:
    rng, n = np.random.default_rng(2), 400
    U, C, T = np.asfortranarray(rng.standard_normal((3, n, 6)))
    foreign = RecycleSpace(*(np.asfortranarray(array) for array in (U, C, T)))
    operator, b = worker.operator(worker.darcy(20)), np.ones(n)
    cold, kept, dropped = (
        GCRODR(20, 6, limit).solve(operator, b, np.zeros(n), space)
        for limit, space in ((1.0, RecycleSpace.empty(n)), (1.0, foreign), (0.9, foreign))
    )
    assert dropped.stale == kept.stale > 0.9
    assert dropped.iterations == cold.iterations
    assert dropped.recycle_products == kept.recycle_products == 6
