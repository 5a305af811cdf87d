"""A coefficient that jumps is told from one that is smooth, on a grid and on a mesh."""

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from solvers.backend import MPI, PETSc
from solvers.chunk import make_problem
from solvers.linear_space import distribute_linear
from solvers.published_matrices import darcy_5_point
from solvers.sampling import make_sampler
from solvers.sequence.configurations import Plan, configurations, ranked
from solvers.sequence.roughness import is_rough
from solvers.sequence.system import System
from solvers.sequence.traits import Traits
from solvers.steady_case import SteadyCase
from solvers.transport_system import TransportSystem

CELLS = 64
DIFFUSION = Traits(symmetric=True, definite=True)


def field() -> Any:
    smooth = ndimage.gaussian_filter(
        np.random.default_rng(3).standard_normal((CELLS, CELLS)), 6, mode="wrap"
    )
    return (smooth - smooth.min()) / np.ptp(smooth)


def system(permeability: Any) -> System:
    matrix = darcy_5_point(permeability).tocsr()
    matrix.sort_indices()
    places = (matrix.indptr.astype(PETSc.IntType), matrix.indices.astype(PETSc.IntType))
    petsc: Any = PETSc.Mat().createAIJ(matrix.shape, csr=(*places, matrix.data))
    petsc.assemble()
    petsc.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    return System(petsc, DIFFUSION)


@pytest.mark.parametrize("contrast", [3.0, 25.0, 1000.0])
def test_a_smooth_coefficient_is_not_rough_whatever_its_contrast(contrast: float) -> None:
    assert not is_rough(system(contrast ** field()))


@pytest.mark.parametrize("contrast", [25.0, 1000.0])
def test_a_coefficient_with_two_values_is_rough(contrast: float) -> None:
    assert is_rough(system(np.where(field() > 0.5, contrast, 1.0)))


def test_a_matrix_without_values_is_not_rough() -> None:
    empty = system(np.ones((CELLS, CELLS)))
    empty.matrix.zeroEntries()
    assert not is_rough(empty)


def test_gambles_on_smoothness_come_last_where_the_coefficient_jumps() -> None:
    plan = Plan(200, 0, clock=False)
    orders = []
    for permeability in (25.0 ** field(), np.where(field() > 0.5, 25.0, 1.0)):
        one = system(permeability)
        offered = configurations(one, plan)
        names = [c.name for c in ranked(offered, one, plan, rough=is_rough(one))]
        orders.append([names.index("fast-poisson"), names.index("lagged-factor-rescaled")])
        assert names[0] in ("ssor", "direct")
    assert max(orders[0]) < min(orders[1])


@pytest.mark.parametrize("name", ["thermal", "darcy"])
def test_a_mesh_is_no_jump(name: str) -> None:
    problem = make_problem(name, {})
    space = problem.space()
    mu = make_sampler("uniform", space, 1).suggest(1)[0].mu
    mesh = problem.reference_mesh()
    case = problem.case(mu, mesh)
    assert isinstance(case, SteadyCase)
    steady = TransportSystem(distribute_linear(mesh, MPI.COMM_SELF), case)
    steady.refill(case)
    assert not is_rough(System(steady.matrix, DIFFUSION))
