"""A reduced model of a field of 10^5 values, built from formulas, and a folder that holds it."""

from pathlib import Path

import numpy as np
from scipy.stats import qmc

from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.registry import Registry
from rom.settings import ReducedModelSettings
from solvers.parameters import Parameter, ParameterSpace

__all__ = ["NAME", "publish"]

NAME = "plate"
_PARAMETERS = ParameterSpace(
    (
        Parameter("height", 0.2, 0.8, "m", "of the middle"),
        Parameter("width", 0.2, 0.6, "m", "of the bump"),
        Parameter("power", 1.0, 10.0, "W", "of the source"),
    )
)


def publish(root: Path, points: int, samples: int = 40, rank: int = 20) -> None:
    """Build the model on a square of about so many points, and add it to a folder of models."""
    cells = max(2, round(points**0.5) - 1)
    space = _square(cells)
    p = space.points["vertex"]
    u = qmc.Sobol(3, rng=np.random.default_rng(1)).random(64)[:samples]
    mu = _PARAMETERS.from_unit(u)
    height, width, power = (mu[:, i, np.newaxis] for i in range(3))
    away = (p[:, 0] - 0.4) ** 2 + (p[:, 1] - height) ** 2
    frames = 300.0 + power * np.exp(-away / width**2)
    snapshots = ArraySnapshots(
        space,
        tuple(q.name for q in _PARAMETERS.parameters),
        mu,
        frames[:, np.newaxis],
        np.zeros(1),
        bounds={q.name: (q.low, q.high) for q in _PARAMETERS.parameters},
        units=[q.unit for q in _PARAMETERS.parameters],
        quantities={"mean": frames.mean(axis=1), "largest": frames.max(axis=1)},
        quantity_units={"mean": "K", "largest": "K"},
    )
    settings = ReducedModelSettings(
        product="euclidean", tolerance=1e-12, rank=rank, options={"restarts": 0}
    )
    model = build(snapshots, settings, np.random.default_rng(0), name=NAME, parameters=_PARAMETERS)
    Registry(root).publish(model)


def _square(cells: int) -> FieldSpace:
    axis = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    triangles = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))]
    fields = (FieldInfo("temperature", "K", len(points), "vertex"),)
    return FieldSpace(fields, {"vertex": points}, {"vertex": np.concatenate(triangles)})
