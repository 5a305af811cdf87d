"""One basis or local ones: what a model keeps of the wide basis, and how well it predicts.

Both are compared by the errors of trajectories that were left out, besides the criterion of
`rom.local.criterion`, which speaks of bases alone: a regression has fewer samples for each of
several bases. Where a regressor is dear to fit, interpolation by radial functions is compared
first: mostly it tells that local bases do not help.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from infra.records import Json
from rom.basis import Basis
from rom.leave_one_out import Coordinates, leave_one_out
from rom.local.choice import Choice, choose_partition
from rom.local.division import Division, clock_of, places_of
from rom.local.samples import LocalSamples
from rom.local.settings import LocalSettings
from rom.local_modes import LocalModes, LocalModesSettings
from rom.model_card import LocalCard
from rom.products import Euclidean
from rom.regression.time_registry import make_time_regressor
from rom.regression.time_regressor import TimeRegressor
from rom.settings import ReducedModelSettings
from rom.trust.indicator import Pairs
from rom.trust.statistic import Offset

__all__ = ["Representation", "one_basis", "regressor_of", "with_local_bases"]

type _Floats = NDArray[np.float64]

_CHEAP = "rbf"
# Snapshots that the choice of clusters looks at: its time grows with their number's cube.
_MOST = 600


@final
@dataclass(frozen=True, eq=False)
class Representation:
    """See the module.

    Attributes
    ----------
    rank
        Number R of coefficients.
    directions
        Those of the wide basis that are kept, (number of its modes, R); None: its first R modes.
    regressor
        Of the coefficients.
    pairs
        Of trajectories that were left out.
    discarded
        Relative projection error of the training.
    local
        What is said about local bases; None for one basis.
    notes
        Why, in words.
    """

    rank: int
    directions: _Floats | None
    regressor: TimeRegressor
    pairs: Pairs
    discarded: float
    local: LocalCard | None = None
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """Mean relative error of the trajectories that were left out."""
        return float(self.pairs.errors.mean())

    def of_columns(self, values: _Floats) -> _Floats:
        """Return what is kept of an array whose last axis counts the modes of the wide basis."""
        if self.directions is None:
            return np.asarray(values[..., : self.rank])
        return np.asarray(values @ self.directions)

    def offset(self, wide: Offset) -> Offset:
        """Return the centre as norms need it."""
        return Offset(wide.square, np.array(self.of_columns(wide.slope)))


def regressor_of(settings: ReducedModelSettings) -> TimeRegressor:
    """Return what learns coefficients on one basis, not fitted."""
    own: dict[str, Json] = {"regressor": settings.regressor, "options": settings.options}
    if settings.time == "autoregressive":
        return make_time_regressor("operator-inference", own)
    return make_time_regressor("time-modes", {"tolerance": _time_tolerance(settings), **own})


def one_basis(
    data: Coordinates,
    wide: Basis,
    rank: int,
    x: _Floats,
    regressor: TimeRegressor,
    rng: np.random.Generator,
) -> Representation:
    """Return the representation on the first modes.

    Parameters
    ----------
    data
        All trajectories in the wide basis.
    wide
        That basis.
    rank
        How many of its modes.
    x
        Unit coordinates of the trajectories, (m, d).
    regressor
        Fitted to the coefficients.
    rng
        For methods that draw numbers.
    """
    pairs = leave_one_out(data, x, regressor.times, rank, regressor, rng)
    return Representation(rank, None, regressor, pairs, wide.truncated(rank).discarded)


def with_local_bases(
    plain: Representation,
    data: Coordinates,
    x: _Floats,
    settings: ReducedModelSettings,
    rng: np.random.Generator,
) -> Representation:
    """Return the representation on local bases where they pay, else `plain` with the reason.

    Parameters
    ----------
    plain
        On one basis; local ones have as many modes each.
    data, x, rng
        As in `one_basis`.
    settings
        Of the model: ``local`` says whether they must pay.

    Raises
    ------
    UserError
        If local bases are asked for that cannot be.
    """
    forced = settings.local == "always"
    if settings.time == "autoregressive":
        if forced:
            raise UserError(
                "Expected time `modes` for local bases; received `autoregressive`, whose state "
                "would have to change its basis on the way. Set `local` to `never`."
            )
        return plain
    times = plain.regressor.times
    division, choice, classifier = _clusters(data, x, times, plain.rank, settings, rng)
    if division is None:
        if forced:
            raise UserError(f"Expected local bases to be possible; they are not. {choice.reason}")
        return _noted(plain, choice.reason)
    learner = _Learner(data, x, times, plain.rank, division, classifier)
    if not forced and settings.regressor != _CHEAP:
        cheap = settings.model_copy(update={"regressor": _CHEAP, "options": {}})
        before, after = learner.error_on_one(cheap, rng), learner.on_local(cheap, rng).error
        if after >= before:
            return _noted(plain, _worse(choice, before, after, "interpolated, "))
    local = learner.on_local(settings, rng)
    if forced or local.error < plain.error:
        return _noted(_carded(local, choice), choice.reason)
    return _noted(plain, _worse(choice, plain.error, local.error, ""))


def _clusters(
    data: Coordinates,
    x: _Floats,
    times: _Floats,
    n_modes: int,
    settings: ReducedModelSettings,
    rng: np.random.Generator,
) -> tuple[Division | None, Choice, str]:
    """Return the clusters of frames, why they are taken or not, and the classifier's name."""
    m, n_times = len(x), len(times)
    count = min(n_times, max(2, _MOST // m))
    frames = np.unique(np.linspace(0, n_times - 1, count).round().astype(np.int64))
    clock = clock_of(times, times[0], times[-1])[frames]
    rows = _isometric(data, frames)
    places = places_of(x, clock, timed=n_times > 1)
    samples = LocalSamples(rows, places, np.repeat(np.arange(m), len(frames)))
    units, part, choice = choose_partition(
        samples,
        Euclidean(rows.shape[1]),
        n_modes,
        rng,
        LocalSettings(centre=settings.centre),
        forced=settings.local == "always",
    )
    if units is None or part is None:
        return None, choice, ""
    # Frames at one place of the parameter space belong together: they are one unit.
    labels = np.empty(len(rows), np.int64)
    for unit, label in zip(units.places, part.clustering.labels, strict=True):
        labels[unit] = label
    medoids = units.x[part.clustering.medoids]
    division = Division(x, labels.reshape(m, len(frames)), medoids, frames)
    return division, choice, part.classifier.name


def _isometric(data: Coordinates, frames: NDArray[np.int64]) -> _Floats:
    """Return rows whose Euclidean products are those of the fields, (m f, R + 1).

    The centre has a part in the basis, and one at a right angle.
    """
    offset = data.offset
    rows = data.values[:, frames] + offset.slope
    rows = rows.reshape(-1, rows.shape[2])
    left = max(offset.square - float(offset.slope @ offset.slope), 0.0)
    return np.column_stack([rows, np.full(len(rows), np.sqrt(left))])


@final
@dataclass(frozen=True, eq=False)
class _Learner:
    """Makes representations of the same trajectories; attributes as in `one_basis` above."""

    data: Coordinates
    x: _Floats
    times: _Floats
    rank: int
    division: Division
    classifier: str

    def error_on_one(self, settings: ReducedModelSettings, rng: np.random.Generator) -> float:
        """Return the mean error of trajectories that are left out, on one basis."""
        own = np.ascontiguousarray(self.data.values[:, :, : self.rank])
        fitted = regressor_of(settings).fit(self.x, self.times, own, rng)
        pairs = leave_one_out(self.data, self.x, self.times, self.rank, fitted, rng)
        return float(pairs.errors.mean())

    def on_local(
        self, settings: ReducedModelSettings, rng: np.random.Generator
    ) -> Representation:  # fmt: skip
        """Return the representation on local bases."""
        data, x, times = self.data, self.x, self.times
        own = LocalModesSettings(
            n_modes=self.rank,
            centre=settings.centre,
            classifier=self.classifier,
            share=LocalSettings().share,
            tolerance=_time_tolerance(settings),
            regressor=settings.regressor,
            options=settings.options,
        )
        fitted = LocalModes(own, self.division).fit(x, times, data.values, rng)
        pairs = leave_one_out(data, x, times, None, fitted, rng)
        near = fitted.projected(x, times, data.values)
        lost = ((data.values - near) ** 2).sum() + (data.residuals**2).sum()
        centre = data.values.mean(axis=(0, 1)) if data.centred else 0.0
        size = ((data.values - centre) ** 2).sum() + (data.residuals**2).sum()
        directions, reduced = fitted.reduced()
        discarded = float(np.sqrt(lost / size))
        return Representation(directions.shape[1], directions, reduced, pairs, discarded)


def _time_tolerance(settings: ReducedModelSettings) -> float:
    # The parts of the tolerance add up as squares.
    return settings.tolerance if settings.time_tolerance is None else settings.time_tolerance


def _worse(choice: Choice, before: float, after: float, how: str) -> str:
    gain = 1.0 if choice.chosen is None else choice.chosen.gain
    return (
        f"One basis: {choice.n_clusters} local ones would represent the solutions better (g = "
        f"{gain:.3g}), but not predict them better: {how}trajectories that were left out have the "
        f"mean error {after:.3g} in place of {before:.3g}."
    )


def _carded(local: Representation, choice: Choice) -> Representation:
    if choice.chosen is None or not isinstance(local.regressor, LocalModes):
        return local
    card = LocalCard(
        clusters=local.regressor.n_clusters,
        ranks=local.regressor.ranks,
        classifier=choice.chosen.classifier,
        gain=choice.chosen.gain,
        misclassified=choice.chosen.misclassified,
    )
    return replace(local, local=card)


def _noted(found: Representation, note: str) -> Representation:
    return replace(found, notes=(*found.notes, note))
