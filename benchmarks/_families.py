"""Families of linear systems: random parameters in, one refilled PETSc matrix out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from solvers.backend import MPI, PETSc
from solvers.chunk import make_problem
from solvers.linear_space import distribute_linear
from solvers.ordering import order
from solvers.published_matrices import darcy_5_point, darcy_7_point, skr_darcy, skr_helmholtz
from solvers.sampling import make_sampler
from solvers.sequence.traits import Traits
from solvers.steady_case import SteadyCase
from solvers.transport_system import TransportSystem

__all__ = ["Family", "darcy", "gaussian_field", "of_problem", "published"]


@final
@dataclass
class Family:
    """A sequence of systems, sorted, one at a time in `matrix` and `b`.

    Attributes
    ----------
    name : for tables
    traits : what holds for all matrices
    fill : fills `matrix` with the values of a system, and `b` if it changes
    matrix, b : PETSc matrix and right-hand side
    tour : the order in which the systems are solved
    """

    name: str
    traits: Traits
    fill: Callable[[int], None]
    matrix: Any
    b: Any
    tour: NDArray[np.int64]

    def renumbered(self) -> "Family":
        """Return the same systems with the unknowns as a mesh would number them.

        Reverse Cuthill-McKee hides a grid. `fill` permutes what is in this family's matrix: call
        its own `fill` before.
        """
        places: Any = self.matrix.getOrdering("rcm")[0]
        matrix = self.matrix.permute(places, places)
        b = self.b.copy()
        b.permute(places)

        def fill(_index: int) -> None:
            values = self.matrix.permute(places, places)
            values.copy(matrix, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
            values.destroy()
            self.b.copy(b)
            b.permute(places)

        return Family(f"{self.name}, renumbered", self.traits, fill, matrix, b, self.tour)

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return int(self.matrix.getSize()[0])


def gaussian_field(
    n: int, dimension: int, rng: np.random.Generator, alpha: float = 2.5, tau: float = 7.0
) -> NDArray[np.float64]:
    """Return a Gaussian random field on the cells of the unit square or cube, as SKR's data use.

    Covariance ``tau^(2 alpha - 2) (-Laplacian + tau^2)^(-alpha)``, zero normal derivative, zero
    mean.
    """
    waves = np.meshgrid(*[np.arange(n)] * dimension, indexing="ij")
    squares = np.pi**2 * sum(k**2 for k in waves) + tau**2
    amplitudes = tau ** (alpha - 1) * squares ** (-alpha / 2) * rng.standard_normal(squares.shape)
    amplitudes.flat[0] = 0.0
    return np.asarray(n ** (dimension / 2) * fft.idctn(amplitudes, type=2, norm="ortho"))


def darcy(n: int, dimension: int, contrast: float, samples: int, *, jumps: bool = False) -> Family:
    """Return finite-volume Darcy systems with K from 1 to `contrast`, f = 1.

    Parameters
    ----------
    n, dimension : cells per axis, 2 or 3 axes
    contrast : largest over smallest permeability in each sample
    samples : number of systems
    jumps : whether K takes its two extreme values only
    """
    rng = np.random.default_rng(2026)
    fields = [gaussian_field(n, dimension, rng) for _ in range(samples)]
    assemble = darcy_5_point if dimension == 2 else darcy_7_point

    def permeability(g: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (g > 0).astype(float) if jumps else (g - g.min()) / (g.max() - g.min())
        return np.asarray(contrast**scaled)

    name = f"Darcy {dimension}D, contrast {contrast:g}" + (", two values" if jumps else "")
    traits = Traits(symmetric=True, definite=True, dimension=dimension)
    return _structured(name, traits, fields, lambda g: assemble(permeability(g)))


def published(kind: str, n: int, samples: int) -> Family:
    """Return the matrices of SKR's published code, which are neither Darcy nor Helmholtz.

    Parameters
    ----------
    kind : ``"darcy"`` or ``"helmholtz"``
    n : points per axis
    samples : number of systems
    """
    rng = np.random.default_rng(2026)
    fields = [np.exp(gaussian_field(n, 2, rng)) for _ in range(samples)]
    numbers = iter(rng.uniform(0.0, 1.0, samples).tolist())
    waves = {id(field): next(numbers) for field in fields}

    def matrix(field: NDArray[np.float64]) -> Any:
        return skr_darcy(field) if kind == "darcy" else skr_helmholtz(field, waves[id(field)])

    return _structured(f"SKR's '{kind.title()}' matrices", Traits(), fields, matrix)


def of_problem(
    name: str, settings: dict[str, Any], samples: int, parameters: dict[str, Any] | None = None
) -> Family:
    """Return the systems of a problem of the library, in linear finite elements.

    Parameters
    ----------
    name, settings : problem and its settings
    samples : number of systems; parameters vary over their whole range
    parameters : ranges or values of some of them
    """
    problem = make_problem(name, settings)
    full = problem.space()
    fixed = {k: v for k, v in problem.defaults.items() if k not in problem.random_parameters}
    space = full.restrict({**fixed, **(parameters or {})})
    mus = [sample.mu for sample in make_sampler("uniform", space, 2026).suggest(samples)]
    mesh = problem.reference_mesh()
    cases: dict[int, SteadyCase] = {}

    def case(index: int) -> SteadyCase:
        if index not in cases:
            cases.clear()
            found = problem.case(mus[index], mesh)
            assert isinstance(found, SteadyCase), "steady problems only"
            cases[index] = found
        return cases[index]

    system = TransportSystem(distribute_linear(mesh, MPI.COMM_SELF), case(0))
    b: Any = system.matrix.createVecLeft()

    def fill(index: int) -> None:
        system.refill(case(index))
        b.setArray(system.right(case(index)))

    features = problem.features(mus)
    tour = order(space.to_unit(space.array(mus)) if features is None else features)
    fill(int(tour[0]))
    return Family(problem.title, case(0).traits, fill, system.matrix, b, tour)


def _structured(
    name: str, traits: Traits, fields: Sequence[NDArray[np.float64]], assemble: Callable[..., Any]
) -> Family:
    first = assemble(fields[0])
    size = first.shape[0]
    matrix: Any = PETSc.Mat().createAIJ((size, size), csr=_csr(first))
    matrix.assemble()
    b: Any = matrix.createVecLeft()
    b.set(1.0 / size)

    def fill(index: int) -> None:
        matrix.setValuesCSR(*_csr(assemble(fields[index])))
        matrix.assemble()

    tour = order(np.array([np.log(np.abs(f) + 1e-300).ravel() if f.min() > 0 else f.ravel()
                           for f in fields]))  # fmt: skip
    return Family(name, traits, fill, matrix, b, tour)


def _csr(matrix: Any) -> tuple[Any, Any, Any]:
    matrix.sort_indices()
    return (
        matrix.indptr.astype(PETSc.IntType),
        matrix.indices.astype(PETSc.IntType),
        matrix.data,
    )
