"""Bases from products alone are those from fields."""

from typing import Any

import numpy as np
import pytest

from rom.basis import pod
from rom.local.gram_pod import GramBasis


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("rank", [1, 4, 50])
def test_errors_from_products_are_errors_of_fields(
    spd: Any, rng: Any, centred: bool, rank: int
) -> None:
    product, rows = spd(30, condition=10.0), rng.standard_normal((20, 30)) + 2.0
    inside, outside = np.arange(0, 20, 2), np.arange(1, 20, 2)
    basis = pod(rows[inside], product, rank=min(rank, 10 - centred), centre=centred)
    gram = product.gram(rows.T)
    found = GramBasis.of(gram, inside, rank, centred=centred)
    assert found.rank == basis.rank
    for places in (inside, outside):
        np.testing.assert_allclose(
            np.sqrt(found.squared_errors(gram, places)),
            basis.projection_error(rows[places], relative=False),
            rtol=1e-6, atol=1e-5,
        )  # fmt: skip


def test_copies_of_one_snapshot_have_no_mode_beside_the_centre(rng: Any) -> None:
    rows = np.vstack([np.tile(rng.standard_normal(30), (4, 1)), rng.standard_normal((1, 30))])
    found = GramBasis.of(rows @ rows.T, np.arange(4), 3, centred=True)
    assert found.rank == 0
    errors = np.sqrt(found.squared_errors(rows @ rows.T, np.arange(5)))
    assert errors[:4].max() < 1e-6
    assert errors[4] == pytest.approx(np.linalg.norm(rows[4] - rows[0]))
