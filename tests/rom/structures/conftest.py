"""Small structures, and a full-order solver of a few lines that shares no solver with the ROM."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import bsr_array, csr_array
from scipy.sparse.linalg import spsolve

from rom.structures.load_vectors import centrifugal_force, pressure_force
from rom.structures.strain_operator import interpolation, strain_operator
from rom.structures.trajectory import Trajectory
from solvers.laws.coefficients import Table
from solvers.laws.elasticity import Elasticity
from solvers.laws.elastoviscoplastic import ElastoViscoPlastic
from solvers.laws.j2 import LinearHardening
from solvers.laws.law import Law, LawResponse, LawStep
from solvers.loads import (
    Amplitude,
    Centrifugal,
    LoadCase,
    Prescribed,
    Pressure,
    TemperatureHistory,
)
from solvers.structure_mesh import StructureMesh
from solvers.structure_quadrature import CellKind

type Floats = NDArray[np.float64]

LOWER, UPPER = slice(None, -1), slice(1, None)
CORNERS = (
    (LOWER, LOWER, LOWER),
    (UPPER, LOWER, LOWER),
    (UPPER, UPPER, LOWER),
    (LOWER, UPPER, LOWER),
    (LOWER, LOWER, UPPER),
    (UPPER, LOWER, UPPER),
    (UPPER, UPPER, UPPER),
    (LOWER, UPPER, UPPER),
)
# Six tetrahedra of a hexahedron around its long diagonal.
SIX = ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6))
EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))


def sets(points: Floats, size: float) -> dict[str, NDArray[np.int64]]:
    """Nodes of the faces x0, x1, of the edge x0 y0 and of the corner."""
    x, y, z = points.T
    masks = {
        "x0": x == 0,
        "x1": x == size,
        "edge": (x == 0) & (y == 0),
        "corner": (x == 0) & (y == 0) & (z == 0),
    }
    return {name: np.flatnonzero(mask).astype(np.int64) for name, mask in masks.items()}


def hexahedra(n: int, size: float = 10.0, shake: float = 0.0) -> StructureMesh:
    axis = np.linspace(0.0, size, n + 1)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange((n + 1) ** 3).reshape(n + 1, n + 1, n + 1)
    cells = np.stack([number[c].ravel() for c in CORNERS], axis=1).astype(np.int64)
    inside = ((points > 0) & (points < size)).all(axis=1)
    moved = points.copy()
    rng = np.random.default_rng(1)
    moved[inside] += shake * size / n * rng.uniform(-1, 1, (int(inside.sum()), 3))
    faces = {}
    for name, i in (("x0", 0), ("x1", n)):
        plane = number[i]
        faces[name] = np.stack(
            [plane[LOWER, LOWER], plane[UPPER, LOWER], plane[UPPER, UPPER], plane[LOWER, UPPER]],
            axis=-1,
        ).reshape(-1, 4)
    return StructureMesh(moved, cells, "hexahedron", faces, sets(points, size))


def tetrahedra(n: int, quadratic: bool, size: float = 10.0) -> StructureMesh:
    base = hexahedra(n, size)
    cells = np.concatenate([base.cells[:, corners] for corners in SIX])
    sides = np.sort(cells[:, [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]].reshape(-1, 3), axis=1)
    all_sides = np.unique(sides, axis=0)
    points = base.points
    if quadratic:
        pairs = np.sort(cells[:, EDGES].reshape(-1, 2), axis=1)
        edges, inverse = np.unique(pairs, axis=0, return_inverse=True)
        middle = len(points) + inverse.reshape(-1, 6)
        points = np.concatenate([points, points[edges].mean(axis=1)])
        cells = np.concatenate([cells, middle], axis=1)
        number = {tuple(edge): len(base.points) + i for i, edge in enumerate(edges.tolist())}
    faces = {}
    for name, x in (("x0", 0.0), ("x1", size)):
        found = all_sides[(points[all_sides, 0] == x).all(axis=1)]
        if quadratic:
            middles = [
                [number[tuple(sorted((int(s[a]), int(s[b]))))] for a, b in ((0, 1), (1, 2), (2, 0))]
                for s in found
            ]
            found = np.concatenate([found, np.array(middles)], axis=1)
        faces[name] = found.astype(np.int64)
    kind: CellKind = "tetrahedron10" if quadratic else "tetrahedron"
    return StructureMesh(points, cells.astype(np.int64), kind, faces, sets(points, size))


@dataclass(frozen=True)
class Full:
    """Implicit steps of the whole mesh by Newton's method with a direct solver."""

    mesh: StructureMesh
    law: Law
    loads: LoadCase

    def run(self, times: Iterable[float], tolerance: float = 1e-11) -> Trajectory:
        times = list(times)
        frames = [np.zeros(self.mesh.points.shape)]
        state, T = self._virgin(times[0])
        for before, after in pairwise(times):
            u, response, T = self.step(frames[-1], state, T, before, after, tolerance)
            state = response.state
            frames.append(u)
        return Trajectory(np.array(times), np.array(frames), self.loads)

    def _virgin(self, time: float) -> tuple[Floats, Floats]:
        return self.law.initial_state(self.mesh.n_material_points), self.temperature(time)

    def temperature(self, time: float) -> Floats:
        reference = self.law.reference_temperature
        nodal = self.loads.temperature_at(time, self.mesh.n_nodes, reference)
        return np.asarray(interpolation(self.mesh) @ nodal)

    def force(self, time: float) -> Floats:
        f = np.zeros(3 * self.mesh.n_nodes)
        for p in self.loads.pressures:
            f += p.at(time) * pressure_force(self.mesh, p.region)
        c = self.loads.centrifugal
        if c is not None:
            f += c.amplitude(time) * centrifugal_force(self.mesh, c)
        return f

    def step(
        self, u: Floats, state: Floats, T: Floats, before: float, after: float, tolerance: float
    ) -> tuple[Floats, LawResponse, Floats]:
        B, omega = strain_operator(self.mesh), self.mesh.material_weights
        number, starts = np.arange(len(omega)), np.arange(len(omega) + 1)
        mask, values = self.loads.fixed(self.mesh, after)
        free = np.flatnonzero(mask.reshape(-1) == 0)
        old = (B @ u.reshape(-1)).reshape(-1, 6)
        new = np.where(mask > 0, values, u).reshape(-1)
        T_after, f = self.temperature(after), self.force(after)
        for _ in range(40):
            strain = (B @ new).reshape(-1, 6)
            response = self.law.integrate(LawStep(old, strain, T, T_after, state, after - before))
            inner = B.T @ (omega[:, np.newaxis] * response.stress).reshape(-1)
            left = (f - inner)[free]
            scale = np.abs(B.T) @ np.abs(omega[:, np.newaxis] * response.stress).reshape(-1)
            if np.linalg.norm(left) <= tolerance * max(np.linalg.norm(scale), 1e-12):
                return new.reshape(-1, 3), response, T_after
            C = bsr_array((omega[:, np.newaxis, np.newaxis] * response.tangent, number, starts))
            K = csr_array(B.T @ (C @ B))[free][:, free]
            new = new.copy()
            new[free] += spsolve(K.tocsc(), left)
        raise AssertionError(f"no convergence: {np.linalg.norm(left) / np.linalg.norm(scale)}")


def fixed_corner(moved: Prescribed | None = None) -> tuple[Prescribed, ...]:
    held = (Prescribed("x0", 0), Prescribed("edge", 1), Prescribed("corner", 2))
    return held if moved is None else (*held, moved)


def cycle(
    mesh: StructureMesh, heat: float = 100.0, pressure: float = -240.0, speed: float = 5e3
) -> LoadCase:
    """Loads of the reference cube: traction, rotation from t = 1 on, a temperature that varies."""
    x, y, _ = mesh.points.T
    cold = np.full(mesh.n_nodes, 20.0)
    hot = cold + heat * (0.5 + 0.3 * x / x.max() + 0.2 * (y / y.max()) ** 2)
    times = np.arange(0.0, 9.0)
    fields = np.stack([hot if i % 2 else cold for i in range(len(times))])
    ramp = Amplitude((0.0, 0.1), (0.0, 1.0))
    spin = Amplitude((0.0, 1.0), (0.0, 1.0))
    return LoadCase(
        prescribed=fixed_corner(),
        pressures=(Pressure("x1", pressure, ramp),),
        centrifugal=Centrifugal((3.5, -20.0, 1.5), (0.0, 0.0, 1.0), speed, 1e-8, spin),
        temperature=TemperatureHistory(times, fields),
    )


def viscous() -> ElastoViscoPlastic:
    c = Table.constant
    elasticity = Elasticity(Table.of([20, 900], [2e5, 1.6e5]), c(0.3), c(2e-5))
    return ElastoViscoPlastic(
        elasticity, c(300.0), c(30.0), c(1e5), c(1000.0), c(10.0), c(0.0), c(0.0), c(0.0)
    )


def hardening() -> LinearHardening:
    c = Table.constant
    return LinearHardening(Elasticity(c(2e5), c(0.2), c(2e-5)), c(10.0), c(100.0))


TIMES = np.linspace(0.0, 2.0, 11)


@pytest.fixture(scope="session")
def make_mesh() -> Callable[..., StructureMesh]:
    def make(kind: str = "hexahedron", n: int = 2, shake: float = 0.0) -> StructureMesh:
        if kind == "hexahedron":
            return hexahedra(n, shake=shake)
        return tetrahedra(n, kind == "tetrahedron10")

    return make


@pytest.fixture(scope="session")
def make_full() -> type[Full]:
    return Full


@pytest.fixture(scope="session")
def make_cycle() -> Callable[..., LoadCase]:
    return cycle


@pytest.fixture(scope="session")
def viscous_law() -> ElastoViscoPlastic:
    return viscous()


@pytest.fixture(scope="session")
def hardening_law() -> LinearHardening:
    return hardening()


@pytest.fixture(scope="session")
def cube() -> StructureMesh:
    return hexahedra(3)


@pytest.fixture(scope="session")
def cube_run(cube: StructureMesh) -> Trajectory:
    return Full(cube, viscous(), cycle(cube)).run(TIMES)
