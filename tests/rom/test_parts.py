"""Laws of shared out items: blocks cover all, and a basis of blocks is that of the whole.

That the number of processes changes no bit is proven with MPI in ``structures/test_ranks.py``.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from rom.basis import pod
from rom.part_pod import PartBasis, pod_of_parts
from rom.parts import Parts, gathered, raise_together
from rom.products import Diagonal
from rom.reduction import Serial
from rom.truncation import Truncation

type Floats = NDArray[np.float64]
N, K = 1500, 12


@pytest.mark.parametrize("n", [1, 3, 4, 5, 1000, 5000, 50_000])
def test_blocks_cover_all_items_once(n: int) -> None:
    parts = Parts(n)
    numbers = np.concatenate([np.arange(block.start, block.stop) for block in parts.blocks])
    np.testing.assert_array_equal(numbers, np.arange(n))
    np.testing.assert_array_equal(parts.numbers, numbers)
    assert parts.blocks == parts.all_blocks
    assert all(block.start < block.stop for block in parts.blocks)
    assert [parts.place(block.start) for block in parts.blocks] == list(range(len(parts.blocks)))


def test_a_sum_over_blocks_is_that_of_all_items() -> None:
    values = np.random.default_rng(0).standard_normal((5000, 3))
    found = Parts(5000).total(lambda _, block: values[block].sum(axis=0), (3,))
    np.testing.assert_allclose(found, values.sum(axis=0), rtol=1e-12)


def test_among_equal_values_the_first_is_the_largest() -> None:
    values = np.zeros(1000)
    values[[300, 400, 999]] = 2.0
    assert Parts(1000).first_of_largest(values) == (300, 2.0)


def waves() -> Floats:
    """Snapshots (K, N) whose singular values fall quickly."""
    x, t = np.linspace(0.0, 1.0, N), np.linspace(0.5, 1.0, K)[:, np.newaxis]
    return np.exp(-t * x) * np.sin(3.0 * t * x)


def basis(rows: Floats, weights: Floats, truncation: Truncation) -> PartBasis:
    parts = Parts(rows.shape[1])
    roots = [np.sqrt(weights[block])[:, np.newaxis] for block in parts.blocks]
    columns = [rows[:, block].T for block in parts.blocks]
    return pod_of_parts(columns, lambda i, u: roots[i] * u, len(rows), truncation, parts)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-9])
def test_a_basis_of_blocks_is_that_of_the_whole(tolerance: float) -> None:
    rows, weights = waves(), np.random.default_rng(1).uniform(0.5, 2.0, N)
    found = basis(rows, weights, Truncation(None, tolerance))
    one = pod(rows, Diagonal(weights), tolerance=tolerance, centre=False, method="qr")
    modes = np.concatenate(found.modes)
    assert found.rank == one.rank
    np.testing.assert_allclose(found.singular_values, one.singular_values, atol=1e-13)
    # Each mode to the digits that its singular value leaves.
    away = np.abs(modes - one.modes).max(axis=0)
    assert (away <= 1e-14 * found.singular_values[0] / found.singular_values[: one.rank]).all()
    np.testing.assert_allclose(found.coefficients, one.coefficients(rows), atol=1e-12)
    gram = modes.T @ (weights[:, np.newaxis] * modes)
    np.testing.assert_allclose(gram, np.eye(one.rank), atol=1e-13)
    left = rows - found.coefficients @ modes.T
    energy = np.sqrt((weights * left**2).sum() / (weights * rows**2).sum())
    assert energy <= tolerance


def test_modes_below_rounding_are_left_out() -> None:
    rows = np.outer(np.arange(1.0, 6.0), np.linspace(1.0, 2.0, 40))
    found = basis(rows, np.ones(40), Truncation(None, 1e-300))
    assert found.rank == 1


def test_zero_snapshots_are_refused() -> None:
    with pytest.raises(UserError, match="all are zero"):
        basis(np.zeros((3, 40)), np.ones(40), Truncation(None, 1e-3))


def test_one_process_raises_its_own_error_only() -> None:
    raise_together(Serial(), None, UserError)
    with pytest.raises(UserError, match="mine"):
        raise_together(Serial(), UserError("mine"), UserError)
    np.testing.assert_array_equal(gathered(Serial(), np.arange(3.0)), [[0.0, 1.0, 2.0]])
