"""Small studies with analytic solutions, and the models that are built from them once."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.reduced_model import ReducedModel
from rom.regions import Region
from rom.settings import ReducedModelSettings
from solvers.parameters import Parameter, ParameterSpace

type Floats = NDArray[np.float64]

PARAMETERS = ParameterSpace(
    (
        Parameter("height", 0.2, 0.8, "m", "of the source"),
        Parameter("power", 1.0, 10.0, "W", "of the source", scale="log"),
        Parameter("gravity", 9.81, 9.81, "m s-2", "fixed"),
    )
)


def square(cells: int) -> FieldSpace:
    axis = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    halves = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    fields = (
        FieldInfo("temperature", "K", len(points), "vertex"),
        FieldInfo("flux", "W m-2", len(points), "vertex"),
    )
    return FieldSpace(fields, {"vertex": points}, {"vertex": np.concatenate(halves)})


def truth(space: FieldSpace, mus: Floats, times: Floats) -> Floats:
    """Frames (m, T, n): a hot spot that spreads, and a flux of other units."""
    p = space.points["vertex"]
    height, power = (mus[:, i, np.newaxis, np.newaxis] for i in (0, 1))
    t = times[:, np.newaxis]
    away = (p[:, 0] - 0.3 - 0.2 * t) ** 2 + (p[:, 1] - height) ** 2
    hot = 300.0 + power * (1 + t) * np.exp(-4.0 * away)
    return np.concatenate([hot, 1e4 * power * p[:, 0] * height * (1 + t**2)], axis=-1)


def study(
    m: int = 24, times: Floats | None = None, cells: int = 8, seed: int = 3
) -> ArraySnapshots:
    grid = np.zeros(1) if times is None else times
    u = qmc.Sobol(2, rng=np.random.default_rng(seed)).random(32)[:m]
    values = PARAMETERS.from_unit(u)
    space = square(cells)
    frames = truth(space, values, grid)
    n = len(space.points["vertex"])
    names = tuple(p.name for p in PARAMETERS.parameters)
    mus = np.column_stack([values, np.full(m, 9.81)])
    return ArraySnapshots(
        space,
        names,
        mus,
        frames,
        grid,
        bounds={p.name: (p.low, p.high) for p in PARAMETERS.parameters},
        units=[p.unit for p in PARAMETERS.parameters],
        quantities={"mean": frames[:, :, :n].mean(axis=2), "total": values[:, 1] * values[:, 0]},
        quantity_units={"mean": "K", "total": "W m"},
    )


def make(snapshots: ArraySnapshots, **settings: object) -> ReducedModel:
    n = len(snapshots.space.points["vertex"])
    options = {"restarts": 0} if settings.get("regressor", "gp") == "gp" else {}
    return build(
        snapshots,
        ReducedModelSettings.model_validate({"options": options} | settings),
        np.random.default_rng(0),
        name="spot",
        parameters=PARAMETERS,
        regions={"corner": Region("vertex", np.array([0, 1, n - 1]))},
        lineage={"dataset": "analytic"},
    )


@pytest.fixture(scope="session")
def model() -> ReducedModel:
    """A steady model."""
    return make(study())


@pytest.fixture(scope="session")
def moving() -> ReducedModel:
    """A model in time."""
    return make(study(16, np.linspace(0.0, 1.0, 9)), tolerance=1e-3)


@pytest.fixture
def studies() -> Callable[..., ArraySnapshots]:
    return study


@pytest.fixture
def makes() -> Callable[..., ReducedModel]:
    return make


@pytest.fixture
def truths() -> Callable[..., Floats]:
    return truth
