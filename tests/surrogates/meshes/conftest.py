"""Meshes and field spaces for the networks on meshes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from infra.field_space import FieldInfo, FieldSpace, Prescribed
from solvers.grids import rectangle, structured
from solvers.mesh import FloatArray, IntArray, ReferenceMesh
from surrogates.batch import Batch
from surrogates.inputs import InputSpec
from surrogates.surrogate import Surrogate

type Mesh = tuple[FloatArray, IntArray]


@pytest.fixture
def square() -> Callable[[int], Mesh]:
    """Points and triangles of the unit square with n x n crooked rectangles."""

    def make(n: int) -> Mesh:
        points, cells = structured(np.linspace(0, 1, n + 1), np.linspace(0, 1, n + 1))
        inside = ((points > 0) & (points < 1)).all(axis=1)
        shift = np.random.default_rng(1).uniform(-0.15 / n, 0.15 / n, points.shape)
        return points + shift * inside[:, None], cells

    return make


@pytest.fixture
def plate() -> Mesh:
    """A square with a square hole in the middle."""
    x = np.linspace(0, 1, 25)
    keep = np.ones((24, 24), np.bool_)
    keep[9:15, 9:15] = False
    return structured(x, x, keep)


@pytest.fixture
def inputs() -> InputSpec:
    return InputSpec.of({"left": (100.0, 500.0), "source": (0.5, 2.0)}, (0.0, 1.0))


@pytest.fixture
def heated(square: Callable[[int], Mesh]) -> FieldSpace:
    """One field on 81 vertices; the left side by a parameter, the right one a number."""
    points, cells = square(8)
    return FieldSpace(
        (FieldInfo("temperature", "K", len(points), "vertex"),),
        {"vertex": points},
        {"vertex": cells},
        (
            Prescribed("temperature", np.flatnonzero(points[:, 0] == 0), "left"),
            Prescribed("temperature", np.flatnonzero(points[:, 0] == 1), None, 273.15),
        ),
    )


@pytest.fixture
def channel() -> ReferenceMesh:
    x = np.linspace(0, 1, 5)
    return rectangle(2 * x, x)


@pytest.fixture
def flow(channel: ReferenceMesh) -> FieldSpace:
    """Velocity on the quadratic nodes, at rest on the walls; pressure on the vertices."""
    walls = np.union1d(channel.facet_nodes("top"), channel.facet_nodes("bottom"))
    inlet = np.setdiff1d(channel.facet_nodes("left"), walls)
    return FieldSpace(
        (
            FieldInfo("velocity_x", "m s-1", channel.n_nodes, "node"),
            FieldInfo("velocity_y", "m s-1", channel.n_nodes, "node"),
            FieldInfo("pressure", "m2 s-2", channel.n_vertices, "vertex"),
        ),
        {"node": channel.node_positions(channel.points), "vertex": channel.points},
        {"node": channel.triangles, "vertex": channel.cells},
        (
            Prescribed("velocity_x", inlet, "source"),
            Prescribed("velocity_x", walls),
            Prescribed("velocity_y", walls),
        ),
    )


@pytest.fixture(params=["heated", "flow"])
def space(request: pytest.FixtureRequest) -> FieldSpace:
    """Each of the two spaces."""
    found: FieldSpace = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def batch_of() -> Callable[[Surrogate, int], Batch]:
    """Random items for a surrogate, which observes them: a smooth frame, and a next one."""

    def make(model: Surrogate, size: int) -> Batch:
        rng = np.random.default_rng(7)
        low, high = np.array(model.inputs.low), np.array(model.inputs.high)
        rows = rng.uniform(low, high, (size, len(low)))
        waves = [_wave(model.space.points_of(f.location), rows) for f in model.space.fields]
        state = torch.tensor(np.concatenate(waves, axis=1), dtype=torch.float32)
        target = 0.9 * state + torch.tensor(rows[:, 1:2] * 10, dtype=torch.float32)
        given = state if model.autoregressive else None
        batch = Batch.of(torch.tensor(rows, dtype=torch.float32), target, given)
        model.observe(batch)
        return batch

    return make


def _wave(points: FloatArray, rows: FloatArray) -> FloatArray:
    """Return values (B, n) that depend on place and inputs."""
    return rows[:, :1] * (1 + 0.5 * np.sin(3 * points.sum(axis=1) + rows[:, 1:2]))
