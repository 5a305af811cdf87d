"""Laws of recycled solves, on one rank in this process and on 2 and 3 real MPI ranks."""

from typing import Any

import numpy as np
import pytest
from scipy.linalg import subspace_angles

pytestmark = pytest.mark.mpi

TINY = ("tiny", "tiny-cg")
CASES = ("cg", "spd", "nonsymmetric", "indefinite")
RANKS = (1, 2, 3)
each_case = pytest.mark.parametrize("case", CASES)
each_ranks = pytest.mark.parametrize("ranks", RANKS)


@pytest.mark.parametrize("case", CASES + TINY)
@each_ranks
def test_recycled_solutions_are_the_direct_ones(measured: Any, ranks: int, case: str) -> None:
    for solve in measured(ranks)[0][case]:
        assert solve["reason"] == "converged"
        assert solve["residual"] <= 1e-9
        assert solve["claimed"] == pytest.approx(solve["residual"], rel=1e-4)
        assert solve["error"] <= 1e-8


@each_case
@each_ranks
def test_the_space_is_normalised_and_its_image_right(measured: Any, ranks: int, case: str) -> None:
    for solve in measured(ranks)[0][case]:
        assert solve["size"] == 6
        assert solve["normal"] <= (1e-9 if case == "cg" else 1e-13)
        assert solve["image"] <= 1e-11


@each_case
@each_ranks
def test_a_step_costs_one_reduction(measured: Any, ranks: int, case: str) -> None:
    for solve in measured(ranks)[0][case]:
        # CG measures its last residual with the reduction of the step that it does not take.
        extra = 1 if case == "cg" else 0
        assert solve["inner"] == solve["iterations"] + extra * solve["cycles"]
        assert solve["reductions"] - solve["inner"] <= 2 * solve["cycles"] + 4


@each_case
@each_ranks
def test_only_a_new_matrix_costs_products_to_recycle(measured: Any, ranks: int, case: str) -> None:
    recycled = [solve["recycled"] for solve in measured(ranks)[0][case]]
    assert recycled == [0, 0, 6, 0]


@each_case
@pytest.mark.parametrize("ranks", RANKS[1:])
def test_the_number_of_ranks_changes_neither_counts_nor_space(
    measured: Any, ranks: int, case: str
) -> None:
    (alone, space), (parallel, spread) = measured(1), measured(ranks)
    for one, other in zip(alone[case], parallel[case], strict=True):
        for count in ("iterations", "reductions", "cycles", "products"):
            assert one[count] == other[count], count
    # Sums in another order differ by rounding, which four solves of a nonsymmetric system amplify.
    assert np.sin(subspace_angles(space[case], spread[case])).max() <= 1e-4
