"""Small meshes, products and studies for the tests of reduced models."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product as combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import Delaunay

from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.model_card import TrainingCard
from rom.products import SparseProduct
from rom.structures.card import StructureTexts, structure_card
from rom.structures.held_out import calibrated
from rom.structures.life import LifeSettings
from rom.structures.offline import build_structure
from rom.structures.published import PublishedStructure
from rom.structures.published_parts import StructureParts
from rom.structures.settings import StructureSettings
from rom.structures.trajectory import Trajectory
from solvers.backend import MPI
from solvers.laws.description import law_from
from solvers.problems.structures.cube import Cube, CubeSettings
from solvers.structures.model import StructureModel
from solvers.structures.state_files import History

type Floats = NDArray[np.float64]
type Mesh = tuple[Floats, NDArray[np.int64]]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def spd() -> Callable[..., SparseProduct]:
    """Give a function that makes a product of a random full SPD matrix with a condition number."""

    def make(n: int, seed: int = 0, condition: float = 1e4) -> SparseProduct:
        rng = np.random.default_rng(seed)
        Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
        M = (Q * np.logspace(0, np.log10(condition), n)) @ Q.T
        return SparseProduct(csr_array((M + M.T) / 2))

    return make


@pytest.fixture
def decaying() -> Callable[..., Floats]:
    """Give a function that makes rows with given singular values in a product."""

    def make(product: SparseProduct, k: int, sigma: Floats, seed: int = 1) -> Floats:
        rng = np.random.default_rng(seed)
        L = np.linalg.cholesky(product.apply(np.eye(product.n)))
        U, _ = np.linalg.qr(rng.standard_normal((product.n, len(sigma))))
        V, _ = np.linalg.qr(rng.standard_normal((k, len(sigma))))
        return np.ascontiguousarray(((np.linalg.solve(L.T, U) * sigma) @ V.T).T)

    return make


@pytest.fixture
def random_mesh() -> Callable[..., Mesh]:
    """Give a function that cuts the unit interval, square or cube into random simplices."""

    def make(dimension: int, n: int, seed: int = 0) -> Mesh:
        rng = np.random.default_rng(seed)
        corners = np.array(list(combinations((0.0, 1.0), repeat=dimension)))
        points = np.concatenate([corners, rng.random((n, dimension))])
        if dimension == 1:
            order = np.argsort(points[:, 0])
            return points, np.stack([order[:-1], order[1:]], axis=1).astype(np.int64)
        cells = Delaunay(points).simplices.astype(np.int64)
        volumes = np.abs(np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]]))
        return points, cells[volumes > 1e-12]  # some on the hull are flat

    return make


@pytest.fixture
def square_mesh() -> Callable[[int], Mesh]:
    """Give a function that cuts the unit square into 2 x cells^2 triangles."""

    def make(cells: int) -> Mesh:
        axis = np.linspace(0.0, 1.0, cells + 1)
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        number = np.arange(len(points)).reshape(cells + 1, cells + 1)
        a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
        halves = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
        return points, np.concatenate(halves).astype(np.int64)

    return make


@pytest.fixture
def two_fields(square_mesh: Callable[[int], Mesh]) -> Callable[..., FieldSpace]:
    """Give a function that makes a space of a temperature (K) and a fraction (1) on a square."""

    def make(cells: int = 6) -> FieldSpace:
        points, triangles = square_mesh(cells)
        fields = (
            FieldInfo("temperature", "K", len(points), "vertex"),
            FieldInfo("fraction", "1", len(points), "vertex"),
        )
        return FieldSpace(fields, {"vertex": points}, {"vertex": triangles})

    return make


@pytest.fixture
def pulses(square_mesh: Callable[[int], Mesh]) -> Callable[..., ArraySnapshots]:
    """Give a function that makes trajectories of a pulse that moves and grows on a square."""

    def make(n_samples: int = 8, n_times: int = 10, cells: int = 12) -> ArraySnapshots:
        points, triangles = square_mesh(cells)
        space = FieldSpace(
            (FieldInfo("u", "K", len(points), "vertex"),),
            {"vertex": points},
            {"vertex": triangles},
        )
        mus = np.linspace([0.2, 0.1], [0.8, 0.3], n_samples)
        times = np.linspace(0.0, 1.0, n_times)
        values = np.array([[_pulse(points, *mu, t) for t in times] for mu in mus])
        drag = values.mean(axis=2)
        return ArraySnapshots(
            space, ("y", "width"), mus, values, times, quantities={"drag": drag}
        )  # fmt: skip

    return make


def _pulse(points: Floats, y: float, width: float, time: float) -> Floats:
    away = (points[:, 0] - 0.2 - 0.6 * time) ** 2 + (points[:, 1] - y) ** 2
    return 1.0 + (1 + time) * np.exp(-away / width**2)


@dataclass(frozen=True)
class Made:
    """A structure that is ready to be published, and runs that it has not seen."""

    model: PublishedStructure
    training: list[Trajectory]
    unseen: dict[str, float]
    truth: Trajectory


@pytest.fixture(scope="session")
def made_structure() -> Made:
    """A small cube that creeps, over pressure and heat; full-order runs by DOLFINx."""
    cube = Cube(CubeSettings(cells=2, cycles=2, increments=8))
    mesh, law = cube.mesh(), law_from(cube.case().law)
    bounds = {"pressure": (-120.0, -80.0), "temperature_rise": (500.0, 700.0)}
    space = cube.space().restrict(
        {**cube.defaults, **{k: {"low": a, "high": b} for k, (a, b) in bounds.items()}}
    )

    def full(mu: dict[str, float]) -> Trajectory:
        case, history = cube.case(mu, mesh), History()
        solver = StructureModel(mesh, law, case.loads, MPI.COMM_SELF)
        solver.run(case.times, history)
        solver.destroy()
        return Trajectory(case.times, history.displacement, case.loads)

    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5]])
    mus = [space.mu(row) for row in space.from_unit(points)]
    training = [full(mu) for mu in mus]
    settings = StructureSettings(
        displacement_tolerance=1e-5,
        stress_tolerance=1e-4,
        cubature_tolerance=1e-5,
        dual_tolerance=1e-5,
    )
    model, _ = build_structure(mesh, law, training, settings)
    parts = StructureParts(
        model=model,
        indicator=calibrated(mesh, law, training, settings),
        problem="cube",
        settings=cube.settings.model_dump(mode="json"),
        times=training[0].times,
        steps=8,
        points=points,
        life=LifeSettings(ductility=0.3, exponent=-0.6),
    )
    texts = StructureTexts(
        name="hot-cube",
        description="A cube that is pulled and heated.",
        space=space,
        settings=settings,
        tolerance=0.05,
        training=TrainingCard(trajectories=len(training), snapshots=85, digest="0" * 64),
        errors={"largest_plasticity": 0.01},
        lineage={"dataset": "in memory"},
    )
    unseen = {"pressure": -95.0, "temperature_rise": 570.0}
    published = PublishedStructure(structure_card(parts, texts), parts)
    return Made(published, training, unseen, full({**space.mu([-95.0, 570.0])}))
