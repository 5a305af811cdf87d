r"""How good a reduced model is on simulations that it was not built from.

The error of a trajectory is the one that the indicator speaks of,

.. math::
   E = \Big( \sum_t w_t \|u(t) - \tilde u(t)\|^2 \Big/ \sum_t w_t \|u(t)\|^2 \Big)^{1/2},

in the norm of the model, with the weights of the trapezoidal rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from infra.errors import UserError
from rom.model_card import mesh_digest
from rom.reduced_model import ReducedModel
from rom.snapshots import Progress, Snapshots, Trajectory
from rom.trust.statistic import trapezoid
from solvers.parameters import ParameterSpace

__all__ = [
    "Evaluation",
    "Separation",
    "auroc",
    "evaluate",
    "outside",
    "predicted_frames",
    "require_same_mesh",
    "separation",
]

type _Floats = NDArray[np.float64]

# How far queries out of range lie outside the box, in its widths.
_MARGIN = 0.5
_QUERIES = 1000


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """See the module; m trajectories, r modes.

    Attributes
    ----------
    samples : (m,) their indices
    mus : (m, d) values of the free parameters
    errors, eta : (m,) true relative error and indicator
    in_range : (m,) whether the model calls them in range
    projection : (m, r) relative error of the best approximation by the first 1 to r modes
    truncated : (m, r) relative error of the model with so many modes; empty if it has no such
    quantities : by name: root mean square error over the quantity's own deviation
    """

    samples: tuple[int, ...]
    mus: _Floats
    errors: _Floats
    eta: _Floats
    in_range: NDArray[np.bool_]
    projection: _Floats
    truncated: _Floats
    quantities: Mapping[str, float]

    @property
    def covered(self) -> float:
        """Part of the trajectories whose error is at most the indicator."""
        return float((self.errors <= self.eta).mean())

    @property
    def sharpness(self) -> float:
        """Median of indicator over error."""
        return float(np.median(self.eta / np.maximum(self.errors, 1e-300)))

    @property
    def worst(self) -> NDArray[np.intp]:
        """Places of the trajectories, the largest error first."""
        return np.argsort(-self.errors, kind="stable")


@final
@dataclass(frozen=True, eq=False)
class Separation:
    """How well queries inside and outside the trained box are told apart.

    Attributes
    ----------
    inside, outside : scores of the range test, up to 1 in range
    by_score, by_indicator : area under the ROC curve, by that score and by the error indicator
    """

    inside: _Floats
    outside: _Floats
    by_score: float
    by_indicator: float


def evaluate(
    model: ReducedModel, snapshots: Snapshots, progress: Progress | None = None
) -> Evaluation:
    """Compare a model with true trajectories, one at a time.

    Raises
    ------
    UserError
        If they live on another mesh than the model.
    """
    require_same_mesh(model, snapshots)
    mus = model.parameters.space.array(
        [dict(zip(snapshots.names, row, strict=True)) for row in snapshots.mus.tolist()]
    )
    weights, basis = trapezoid(model.times), model.basis
    judged = model.judge(mus)
    squares, sizes = np.empty(len(mus)), np.empty(len(mus))
    projection = np.empty((len(mus), basis.rank))
    truncated: list[_Floats] = []
    for i, trajectory in enumerate(snapshots.read(progress=progress)):
        away = trajectory.values - predicted_frames(model, mus[i])
        squares[i] = weights @ basis.product.norms(away.T) ** 2
        sizes[i] = weights @ basis.product.norms(trajectory.values.T) ** 2
        projection[i], left_out = _by_modes(model, trajectory, mus[i], weights)
        truncated += [] if left_out is None else [left_out]
    sizes = np.where(sizes > 0, sizes, sizes.mean() or 1.0)
    return Evaluation(
        samples=snapshots.indices,
        mus=mus,
        errors=np.sqrt(squares / sizes),
        eta=judged.eta,
        in_range=judged.place.in_range,
        projection=np.sqrt(projection / sizes[:, np.newaxis]),
        truncated=np.sqrt(np.array(truncated) / sizes[:, np.newaxis])
        if truncated
        else np.empty((0, 0)),
        quantities=_quantity_errors(model, snapshots, mus),
    )


def require_same_mesh(model: ReducedModel, snapshots: Snapshots) -> None:
    """Check that fields and mesh are those of the model.

    Raises
    ------
    UserError
        If they are not.
    """
    if mesh_digest(snapshots.space) != model.card.mesh:
        raise UserError(
            f"Expected simulations on the mesh of the model {model.name}, with the fields "
            f"{', '.join(f.name for f in model.card.fields)}; received others. Use the dataset "
            "that the model was built from, or build the model again."
        )


def predicted_frames(model: ReducedModel, mu: _Floats) -> _Floats:
    """Return all fields at all times for one row of free parameters (d,), shape (T, n)."""
    values = model.query(mu, select="fields", policy="flag").values
    return np.concatenate([values[f.name][0] for f in model.parts.space.fields], axis=1)


def outside(space: ParameterSpace, n: int, rng: np.random.Generator) -> _Floats:
    """Return n values (n, d) uniform in the box stretched by half its width, without the box."""
    low, high = np.array([(p.low, p.high) for p in space.free]).T
    log = np.array([p.scale == "log" for p in space.free])
    found = np.empty((0, len(low)))
    while len(found) < n:
        u = rng.uniform(-_MARGIN, 1 + _MARGIN, (4 * n, len(low)))
        found = np.concatenate([found, u[((u < 0) | (u > 1)).any(axis=1)]])
    u = found[:n]
    ratio = np.divide(high, low, out=np.ones_like(low), where=log)
    return np.asarray(np.where(log, low * ratio**u, low + u * (high - low)))


def separation(model: ReducedModel, rng: np.random.Generator) -> Separation:
    """Draw queries inside the box and outside of it, and judge them."""
    space = model.parameters.space
    within = space.from_unit(rng.random((_QUERIES, space.dimension)))
    inner, outer = model.judge(within), model.judge(outside(space, _QUERIES, rng))
    return Separation(
        inner.place.score,
        outer.place.score,
        auroc(inner.place.score, outer.place.score),
        auroc(inner.eta, outer.eta),
    )


def auroc(low: _Floats, high: _Floats) -> float:
    """Return the probability that a number of `high` is above one of `low`, ties counted half."""
    ranks = rankdata(np.concatenate([low, high]))[len(low) :]
    n = len(high)
    return float((ranks.sum() - n * (n + 1) / 2) / (n * len(low)))


def _by_modes(
    model: ReducedModel, trajectory: Trajectory, mu: _Floats, weights: _Floats
) -> tuple[_Floats, _Floats | None]:
    """Return the squared errors (r,) of projection and model, by number of modes."""
    basis = model.basis
    true = basis.coefficients(trajectory.values)
    centred = trajectory.values if basis.centre is None else trajectory.values - basis.centre
    whole = basis.product.norms(centred.T)[:, np.newaxis] ** 2
    left = np.maximum(whole - np.cumsum(true**2, axis=1), 0.0)
    if model.card.local is not None:  # it has no first r modes
        return weights @ left, None
    guess = model.query(mu, select="coefficients", policy="flag").values["coefficients"][0]
    return weights @ left, weights @ (left + np.cumsum((true - guess) ** 2, axis=1))


def _quantity_errors(
    model: ReducedModel, snapshots: Snapshots, mus: _Floats
) -> dict[str, float]:  # fmt: skip
    names = model.parts.quantities.names
    if not names:
        return {}
    guesses = model.query(mus, select="quantities", policy="flag").values
    rows = [snapshots.quantities(index) for index in snapshots.indices]
    errors = {}
    for name in names:
        true = np.array([row[name] for row in rows])
        off = float(np.sqrt(np.nanmean((guesses[name] - true) ** 2)))
        # A constant has no deviation: its size stands for it.
        errors[name] = off / (float(np.nanstd(true)) or float(np.nanmax(np.abs(true))) or 1.0)
    return errors
