"""Laws of the single methods: scalings, fast transforms, relaxation."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from solvers.published_matrices import darcy_5_point, skr_darcy
from solvers.sequence.fast_poisson import poisson_eigenvalues
from solvers.sequence.scaling import ScaledMean
from solvers.sequence.ssor import omega_candidates
from solvers.sequence.system import System
from solvers.sequence.traits import Grid, Traits

SPD = Traits(symmetric=True, definite=True)


@pytest.fixture
def run_of(worker: Any) -> Callable[..., Any]:
    """Give a function (matrix, traits, ...) that returns a runner which starts from x as it is."""
    return lambda matrix, traits=SPD, **how: worker.Run(matrix, traits, guess="given", **how)


def ones(run: Any) -> Any:
    """Solve for a vector of ones from zero; return the report."""
    run.x.zeroEntries()
    return run.solve(np.ones(run.scipy.shape[0]))


LAGGED = ["lagged-factor", "lagged-factor-rescaled"]


@pytest.mark.parametrize("arm", LAGGED)
@pytest.mark.parametrize("contrast", [1.0, 1000.0])
def test_the_factor_of_the_very_same_matrix_converges_at_once(
    worker: Any, run_of: Callable[..., Any], arm: str, contrast: float
) -> None:
    run = run_of(darcy_5_point(worker.permeability((30, 30), contrast, 0)), method=arm)
    assert ones(run).work.iterations <= 2
    run.refill(run.scipy * 3.0)
    assert ones(run).work.iterations <= 2
    run.destroy()


@pytest.mark.parametrize("arm", LAGGED)
def test_a_factor_that_another_method_has_renewed_is_used_as_it_is(
    worker: Any, families: Any, arm: str
) -> None:
    # Both share the factor: the scaling must follow when the direct method computes it anew.
    family = families["spd-2d"]
    run = worker.Run(family.matrix(0), family.traits, method=arm, guess="given")
    ones(run)
    run.refill(family.matrix(1))
    assert ones(run).work.iterations > 5
    block = worker.to_dense(np.ones((run.scipy.shape[0], 1)))
    run.solver.solve_many(block, block.duplicate())
    report = ones(run)
    assert report.work.iterations <= 2
    assert report.work.setups == 0
    run.destroy()


@pytest.mark.parametrize("arm", ["lagged-factor-rescaled", "lagged-gamg-rescaled", "fast-poisson"])
def test_the_contrast_of_smooth_fields_hardly_matters_after_rescaling(
    worker: Any, run_of: Callable[..., Any], arm: str
) -> None:
    counts = []
    for contrast in (3.0, 1000.0):
        fields = [worker.permeability((40, 40), contrast, seed) for seed in range(12)]
        traits = Traits(symmetric=True, definite=True, grid=Grid((40, 40), (1.0, 1.0)))
        run = run_of(darcy_5_point(fields[0]), traits, method=arm)
        iterations = []
        for field in fields:
            run.refill(darcy_5_point(field))
            iterations.append(ones(run).work.iterations)
        counts.append(float(np.mean(iterations[8:])))
        run.destroy()
    low, high = counts
    assert high <= 3.0 * low


def test_rescaling_saves_iterations_where_the_contrast_is_high(
    worker: Any, run_of: Callable[..., Any]
) -> None:
    counts = {}
    for arm in LAGGED:
        fields = [worker.permeability((40, 40), 1000.0, seed) for seed in range(2)]
        run = run_of(darcy_5_point(fields[0]), method=arm)
        ones(run)
        run.refill(darcy_5_point(fields[1]))
        counts[arm] = ones(run).work.iterations
        run.destroy()
    assert 4 * counts["lagged-factor-rescaled"] < counts["lagged-factor"]


def test_the_scaled_mean_of_one_matrix_is_that_matrix_scaled(
    worker: Any, families: Any, dense: Callable[[Any], Any]
) -> None:
    matrix = families["spd-2d"].matrix(3)
    run = worker.Run(matrix, SPD)
    system, mean = System(run.matrix, SPD), ScaledMean()
    system.refilled()
    mean.add(system)
    found = dense(mean.matrix(system))
    scale = 1.0 / np.sqrt(matrix.diagonal())
    np.testing.assert_allclose(
        found, scale[:, None] * matrix.toarray() * scale, rtol=1e-14, atol=1e-15
    )
    np.testing.assert_allclose(np.diagonal(found), 1.0, rtol=1e-15)
    np.testing.assert_array_equal(dense(run.matrix), matrix.toarray())
    run.destroy()


def test_the_scaled_mean_averages_and_ignores_a_factor(
    worker: Any, families: Any, dense: Callable[[Any], Any]
) -> None:
    matrices = [families["spd-2d"].matrix(i) for i in range(3)]
    run = worker.Run(matrices[0], SPD)
    system, mean = System(run.matrix, SPD), ScaledMean()
    expected = np.zeros(matrices[0].shape)
    for factor, matrix in enumerate(matrices, 1):
        run.refill(matrix * factor)
        system.refilled()
        mean.add(system)
        scale = 1.0 / np.sqrt(matrix.diagonal())
        expected += scale[:, None] * matrix.toarray() * scale / len(matrices)
        mean.add(system)  # the same matrix again: not counted
    assert mean.count == 3
    np.testing.assert_allclose(dense(mean.matrix(system)), expected, rtol=1e-13, atol=1e-15)
    run.destroy()


GRIDS = [
    Grid((9,), (0.3,)),
    Grid((7, 5), (0.5, 0.2)),
    Grid((4, 3, 5), (1.0, 0.4, 0.7)),
    Grid((1, 6), (1.0, 2.0)),
]


def laplacian(grid: Grid) -> Any:
    """Return -Laplacian on cells with zero boundary values, half a cell from the outer centres."""
    parts = []
    for axis, (n, h) in enumerate(zip(grid.shape, grid.spacing, strict=True)):
        one = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        one[0, 0] += 1
        one[-1, -1] += 1
        before, after = math.prod(grid.shape[:axis]), math.prod(grid.shape[axis + 1 :])
        parts.append(np.kron(np.kron(np.eye(before), one / h**2), np.eye(after)))
    return sum(parts)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_eigenvalues_of_the_laplacian_are_known(grid: Grid) -> None:
    expected = np.linalg.eigvalsh(laplacian(grid))
    np.testing.assert_allclose(np.sort(poisson_eigenvalues(grid).ravel()), expected, rtol=1e-12)


@pytest.mark.parametrize("grid", [GRIDS[1], GRIDS[2], Grid((30, 20), (0.1, 0.2))])
def test_the_fast_solver_inverts_the_laplacian_to_single_precision(
    run_of: Callable[..., Any], grid: Grid
) -> None:
    """One iteration gains seven digits, two reach 1e-8."""
    traits = Traits(symmetric=True, definite=True, grid=grid, dimension=len(grid.shape))
    run = run_of(sp.csr_array(laplacian(grid)), traits, method="fast-poisson")
    report = run.solve(np.random.default_rng(0).standard_normal(grid.size))
    assert report.work.iterations <= 2
    assert report.work.setups == 1
    assert run.solve(np.random.default_rng(1).standard_normal(grid.size)).work.setups == 0
    run.destroy()


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 100, 10_000, 10_000_000])
def test_relaxation_factors_are_distinct_and_admissible(size: int, dimension: int) -> None:
    found = omega_candidates(size, dimension)
    assert found
    assert all(0 < omega < 2 for omega in found)
    assert len({f"{omega:.4f}" for omega in found}) == len(found)


@pytest.mark.parametrize("rtol", [1e-4, 1e-8, 1e-11])
def test_ssor_aims_at_the_true_residual_though_it_iterates_on_another(
    run_of: Callable[..., Any], families: Any, rtol: float
) -> None:
    run = run_of(families["spd-2d"].matrix(0), method="ssor", rtol=rtol)
    found = []
    for number in range(8):
        run.refill(families["spd-2d"].matrix(number) * 10.0**number)
        found.append(ones(run).residual)
    run.destroy()
    assert max(found) <= rtol
    # Calibrated after the first one: it does not solve far beyond the tolerance either.
    assert np.median(found[1:]) >= 0.02 * rtol


def test_the_published_matrices_are_solved_too(worker: Any, run_of: Callable[..., Any]) -> None:
    # Nonsymmetric, indefinite and nearly singular.
    fields = [worker.permeability((30, 30), 3.0, seed) for seed in range(5)]
    run = run_of(skr_darcy(fields[0]), Traits())
    for field in fields:
        run.refill(skr_darcy(field))
        b = np.ones(900)
        run.solve(b)
        assert run.residual(b) <= 1.001e-8
    run.destroy()
