"""Small studies of a hot spot with analytic fields, and models that are built from them."""

import numpy as np
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


def space_of(points: Floats, cells: NDArray[np.int64]) -> FieldSpace:
    fields = (
        FieldInfo("temperature", "K", len(points), "vertex"),
        FieldInfo("flux", "W m-2", len(points), "vertex"),
    )
    return FieldSpace(fields, {"vertex": points}, {"vertex": cells})


def square(cells: int) -> FieldSpace:
    axis = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    halves = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    return space_of(points, np.concatenate(halves))


def values_of(m: int, seed: int = 3) -> Floats:
    """Height and power of m samples, (m, 2)."""
    return PARAMETERS.from_unit(qmc.Sobol(2, rng=np.random.default_rng(seed)).random(32)[:m])


def truth(space: FieldSpace, mus: Floats, times: Floats) -> Floats:
    """Frames (m, T, n): a hot spot that spreads, and a flux of other units."""
    p = space.points["vertex"]
    height, power = (mus[:, i, np.newaxis, np.newaxis] for i in (0, 1))
    t = times[:, np.newaxis]
    away = (p[:, 0] - 0.3 - 0.2 * t) ** 2 + (p[:, 1] - height) ** 2
    hot = 300.0 + power * (1 + t) * np.exp(-4.0 * away)
    return np.concatenate([hot, 1e4 * power * p[:, 0] * height * (1 + t**2)], axis=-1)


def mean_of(space: FieldSpace, frames: Floats) -> Floats:
    """Mean temperature of frames (..., n)."""
    return frames[..., : len(space.points["vertex"])].mean(axis=-1)


def snapshots_of(
    space: FieldSpace, values: Floats, frames: Floats, times: Floats
) -> ArraySnapshots:
    return ArraySnapshots(
        space,
        tuple(p.name for p in PARAMETERS.parameters),
        np.column_stack([values, np.full(len(values), 9.81)]),
        frames,
        times,
        bounds={p.name: (p.low, p.high) for p in PARAMETERS.parameters},
        units=[p.unit for p in PARAMETERS.parameters],
        quantities={"mean": mean_of(space, frames), "total": values[:, 1] * values[:, 0]},
        quantity_units={"mean": "K", "total": "W m"},
    )


def study(
    m: int = 24, times: Floats | None = None, cells: int = 8, seed: int = 3
) -> ArraySnapshots:
    grid = np.zeros(1) if times is None else times
    space, values = square(cells), values_of(m, seed)
    return snapshots_of(space, values, truth(space, values, grid), grid)


def make(
    snapshots: ArraySnapshots, name: str = "spot", description: str = "", **settings: object
) -> ReducedModel:
    n = len(snapshots.space.points["vertex"])
    options = {"restarts": 0} if settings.get("regressor", "gp") == "gp" else {}
    return build(
        snapshots,
        ReducedModelSettings.model_validate({"options": options} | settings),
        np.random.default_rng(0),
        name=name,
        description=description,
        parameters=PARAMETERS,
        regions={"corner": Region("vertex", np.array([0, 1, n - 1]))},
        lineage={"dataset": "analytic"},
    )
