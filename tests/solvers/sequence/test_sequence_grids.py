"""Grids found in patterns, and the parts of the fast Poisson solver."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from solvers.published_matrices import darcy_5_point, darcy_7_point
from solvers.sequence.fast_poisson import poisson_eigenvalues
from solvers.sequence.grid_matrix import find_grid
from solvers.sequence.sine_modes import SineModes
from solvers.sequence.sine_transform import SineTransform, sines
from solvers.sequence.traits import Grid, Traits

SHAPES = [(40,), (12, 20), (21, 8), (6, 7, 9), (4, 30, 5)]


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


@pytest.mark.parametrize("shape", [*SHAPES, (150, 60), (30, 220)])
def test_the_transform_is_orthonormal_and_diagonalises_the_laplacian(
    shape: tuple[int, ...],
) -> None:
    transform, rng = SineTransform(shape), np.random.default_rng(3)
    x = rng.standard_normal(shape).astype(np.float32)
    waves = transform.forward(x.copy())
    assert np.linalg.norm(waves) == pytest.approx(float(np.linalg.norm(x)), rel=1e-5)
    np.testing.assert_allclose(transform.backward(waves.copy()), x, atol=1e-5)
    expected = x.astype(float)
    for axis, n in enumerate(shape):
        expected = np.moveaxis(np.tensordot(sines(n, n).T, expected, (1, axis)), 0, axis)
    np.testing.assert_allclose(waves, expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_block_of_the_low_modes_is_galerkins(shape: tuple[int, ...]) -> None:
    eigenvalues = poisson_eigenvalues(Grid(shape, tuple(1.0 / n for n in shape)))
    potential = 100.0 * np.random.default_rng(5).standard_normal(shape)
    modes = SineModes(eigenvalues)
    V = np.ones((1, 1))
    for n, low in zip(shape, modes.low, strict=True):
        V = np.kron(V, sines(n, low.stop))
    expected = np.diag(eigenvalues[modes.low].ravel()) + V.T @ (potential.ravel()[:, None] * V)
    np.testing.assert_allclose(modes.matrix(potential), expected, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_inverse_is_that_of_a_constant_potential(shape: tuple[int, ...]) -> None:
    eigenvalues = poisson_eigenvalues(Grid(shape, tuple(1.0 / n for n in shape)))
    modes = SineModes(eigenvalues)
    inverse = modes.inverse(np.full(shape, 7.0))
    assert inverse is not None
    expected = np.diag(1.0 / (eigenvalues[modes.low].ravel() + 7.0))
    np.testing.assert_allclose(np.triu(inverse), expected, rtol=1e-5, atol=1e-8)
    assert modes.inverse(np.full(shape, -2.0 * float(eigenvalues.max()))) is None


@pytest.mark.parametrize(("shape", "most"), [((48, 48), 0.75), ((16, 14, 15), 0.85)])
@pytest.mark.parametrize("known", [True, False])
def test_the_potential_saves_iterations_where_the_contrast_is_large(
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
    assert without.work.iterations > 7
    assert report.work.iterations < most * without.work.iterations
    assert run.residual(b) <= 1e-8
    run.destroy()
