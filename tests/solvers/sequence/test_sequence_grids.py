"""Grids found in patterns, and the coarse grid of the fast Poisson solver."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from solvers.published_matrices import darcy_5_point, darcy_7_point
from solvers.sequence.coarse_grid import CoarseGrid
from solvers.sequence.grid_matrix import GridMatrix, find_grid
from solvers.sequence.traits import Grid, Traits

SHAPES = [(40,), (12, 20), (21, 8), (6, 7, 9), (4, 30, 5)]
SPD = Traits(symmetric=True, definite=True)


def coupled(shape: tuple[int, ...], weights: list[float], seed: int | None = None) -> Any:
    """Return a matrix that couples neighbours: -div(K grad), zero values around."""
    rng = np.random.default_rng(seed)
    total: Any = sp.csr_array((int(np.prod(shape)),) * 2)
    for axis, (n, w) in enumerate(zip(shape, weights, strict=True)):
        one = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
        before, after = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
        total = total + w * sp.kron(sp.kron(sp.eye_array(before), one), sp.eye_array(after))
    if seed is None:
        return sp.csr_array(total)
    scale = sp.diags_array(rng.uniform(0.5, 2.0, total.shape[0]))
    return sp.csr_array(scale @ total @ scale)


def basis(coarse: CoarseGrid, shape: tuple[int, ...]) -> Any:
    """Return the hat functions, zero at both ends of each axis, from their definition."""
    total = np.ones((1, 1))
    for n, m in zip(shape, coarse.hats, strict=True):
        x, nodes = (np.arange(n) + 0.5) / n, np.arange(m + 2) / (m + 1)
        hats = [np.interp(x, nodes, np.eye(m + 2)[k]) for k in range(1, m + 1)]
        total = np.kron(total, np.array(hats).T)
    return total


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_a_grid_is_found_with_its_spacing(worker: Any, shape: tuple[int, ...]) -> None:
    weights = [1.0, 4.0, 9.0][: len(shape)]
    found = find_grid(worker.to_petsc(coupled(shape, weights)))
    assert found is not None
    assert found.shape == shape
    spacing = np.array(found.spacing)
    np.testing.assert_allclose(spacing[0] / spacing, np.sqrt(weights))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_a_pattern_without_values_gives_square_cells(worker: Any, shape: tuple[int, ...]) -> None:
    matrix = worker.to_petsc(coupled(shape, [1.0] * len(shape)))
    matrix.zeroEntries()
    assert find_grid(matrix) == Grid(shape, (1.0,) * len(shape))


def periodic(n: int) -> Any:
    one = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    ring = one.tolil()
    ring[0, n - 1] = ring[n - 1, 0] = -1.0
    return sp.csr_array(sp.kron(ring, sp.eye_array(n)) + sp.kron(sp.eye_array(n), one))


def renumbered(matrix: Any) -> Any:
    places = np.random.default_rng(0).permutation(matrix.shape[0])
    return sp.csr_array(matrix[places][:, places])


@pytest.mark.parametrize(
    "matrix",
    [
        renumbered(coupled((9, 8), [1.0, 1.0])),
        periodic(8),
        sp.csr_array(coupled((9, 8), [1.0, 1.0]) @ coupled((9, 8), [1.0, 1.0])),
        coupled((40,), [1.0]),
        sp.csr_array(coupled((3, 9), [1.0, 1.0])),
        sp.csr_array(sp.eye_array(64)),
        sp.csr_array(sp.block_diag([coupled((8, 4), [1.0, 1.0])] * 2)),
    ],
    ids=["renumbered", "periodic", "wide", "line", "thin", "diagonal", "apart"],
)
def test_other_patterns_are_not_taken_for_grids(worker: Any, matrix: Any) -> None:
    assert find_grid(worker.to_petsc(matrix)) is None


@pytest.mark.parametrize("shape", SHAPES)
def test_the_coarse_correction_is_galerkins(worker: Any, shape: tuple[int, ...]) -> None:
    B = coupled(shape, [1.0, 3.0, 0.5][: len(shape)], seed=5)
    entries = GridMatrix.of(worker.to_petsc(B), shape)
    assert entries is not None
    coarse = CoarseGrid(shape)
    diagonal, *couplings = entries.values(worker.to_petsc(B))
    coarse.compute(diagonal, couplings)
    P = basis(coarse, shape)
    residual = np.random.default_rng(1).standard_normal(shape)
    expected = P @ np.linalg.solve(P.T @ (B @ P), P.T @ residual.ravel())
    np.testing.assert_allclose(coarse.correct(residual).ravel(), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_corrected_residual_needs_no_correction(worker: Any, shape: tuple[int, ...]) -> None:
    B = coupled(shape, [1.0] * len(shape), seed=2)
    matrix = worker.to_petsc(B)
    entries, coarse = GridMatrix.of(matrix, shape), CoarseGrid(shape)
    assert entries is not None
    diagonal, *couplings = entries.values(matrix)
    coarse.compute(diagonal, couplings)
    residual = np.random.default_rng(4).standard_normal(shape)
    once = coarse.correct(residual)
    again = coarse.correct(residual - (B @ once.ravel()).reshape(shape))
    assert np.abs(again).max() < 1e-12 * np.abs(once).max()


@pytest.mark.parametrize(("shape", "most"), [((48, 48), 0.6), ((16, 14, 15), 0.75)])
@pytest.mark.parametrize("known", [True, False])
def test_the_coarse_grid_saves_iterations_where_the_contrast_is_large(
    worker: Any, shape: tuple[int, ...], most: float, known: bool
) -> None:
    assemble = darcy_5_point if len(shape) == 2 else darcy_7_point
    K = worker.permeability(shape, 1000.0, 0)
    grid = Grid(shape, (1.0,) * len(shape)) if known else None
    traits = Traits(symmetric=True, definite=True, dimension=len(shape), grid=grid)
    run = worker.Run(assemble(K), traits, method="fast-poisson", guess="given")
    b = np.ones(K.size)
    without = run.solve(b)
    run.refill(assemble(K) * 2.0)
    run.x.zeroEntries()
    report = run.solve(b)
    assert without.work.iterations > 10
    assert report.work.iterations < most * without.work.iterations
    assert run.residual(b) <= 1e-8
    run.destroy()


def test_another_pattern_than_the_grids_has_no_coarse_grid(worker: Any) -> None:
    grid = Grid((30, 31), (1.0, 1.0))
    darcy = darcy_5_point(worker.permeability((30, 31), 1000.0, 0))
    matrix = sp.csr_array(darcy + 1e-9 * periodic_like(30, 31))
    traits = Traits(symmetric=True, definite=True, grid=grid)
    run = worker.Run(matrix, traits, method="fast-poisson", guess="given")
    for number, factor in enumerate((1.0, 2.0, 3.0)):
        run.refill(matrix * factor)
        run.x.zeroEntries()
        work = run.solve(b := worker.right_hand_side(930, number)).work
        assert work.iterations > 10
        assert work.operator <= work.iterations + 1  # a coarse grid takes one more in each
        assert run.residual(b) <= 1e-8
    run.destroy()


def periodic_like(rows: int, columns: int) -> Any:
    """Return couplings of diagonal neighbours, symmetric."""
    step = sp.kron(sp.eye_array(rows, k=1), sp.eye_array(columns, k=1))
    return sp.csr_array(step + step.T)
