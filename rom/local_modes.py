r"""Regression of trajectories on local bases with a smooth hand-over.

The coefficients z of a basis that holds all local ones are

.. math:: z(\mu, t) \approx \sum_k w_k(\mu, t) \, \big(m_k + V_k\, a_k(\mu, t)\big)

with the weights w of `rom.local.hand_over`, the means m and modes V of the clusters
(`rom.local.spans`), and coefficients a that `rom.time_modes.TimeModes` learns for each cluster
from the trajectories that pass through it alone: what is far away does not disturb it. A query
costs the clusters that have a weight, mostly one. The weights have a derivative where the scores
of the classifier have one; it is taken by differences.

Which frames belong to which cluster is given (`rom.local.division`); `refit` keeps it, and learns
classifier, bases and coefficients anew. Without a division there is one cluster.
"""

from collections.abc import Mapping
from copy import copy
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from scipy.spatial.distance import cdist

from infra.records import Json
from rom.local.classifiers import classifier_from_state
from rom.local.division import Division, clock_of, places_of
from rom.local.hand_over import transition_zone, weights_of
from rom.local.spans import Span, joint_directions
from rom.regression.settings import RegressorSettings
from rom.regression.state import Arrays, Floats, State, entry, nest, part
from rom.regression.time_regressor import Outlook, TimeRegressor
from rom.time_modes import TimeModes, TimeModesSettings

__all__ = ["LocalModes", "LocalModesSettings"]

# Step of the differences of the weights, in unit coordinates.
_STEP = 1e-6


@final
class LocalModesSettings(RegressorSettings):
    """Settings of `LocalModes`.

    Attributes
    ----------
    n_modes
        Most modes of each local basis; None: all.
    centre
        Whether each has the mean of its frames as centre.
    classifier
        Name of the classifier (`rom.local.classifiers`).
    share
        Share of the frames that lies in a transition between clusters.
    tolerance, regressor, options
        As in `rom.time_modes.TimeModesSettings`, for each cluster.
    """

    n_modes: PositiveInt | None = None
    centre: bool = True
    classifier: str = "nearest-medoid"
    share: float = Field(0.15, ge=0.0, lt=1.0)
    tolerance: float = Field(1e-3, ge=0.0, lt=1.0)
    regressor: str = "gp"
    options: dict[str, Json] = Field(default_factory=dict)


@final
class LocalModes(TimeRegressor):
    """See the module.

    Parameters
    ----------
    settings
        By default `LocalModesSettings()`.
    division
        Of the trajectories that it will learn from; None: one cluster.

    Raises
    ------
    UserError
        If the regressor is unknown or its options are wrong.
    """

    name = "local-modes"
    Settings = LocalModesSettings
    settings: LocalModesSettings

    def __init__(
        self, settings: LocalModesSettings | None = None, division: Division | None = None
    ) -> None:
        super().__init__(settings or LocalModesSettings())
        self._division = division
        self._spans: tuple[Span, ...] = ()
        self._parts: tuple[TimeModes, ...] = ()
        self._coefficients()  # refuses wrong options

    @property
    def n_clusters(self) -> int:
        """The number K of clusters; 0 before the fit."""
        return len(self._spans)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The number of modes of each local basis."""
        return tuple(span.rank for span in self._spans)

    def weights(self, x: Floats, times: Floats) -> Floats:
        """Return the weights (q, k, K) of the clusters at inputs (q, d) and times (k,)."""
        if self.n_clusters == 1 or not len(x) or not len(times):
            return np.ones((len(x), len(times), self.n_clusters))
        scores = self._classifier.scores(self._places(x, times))
        return weights_of(scores, self._zone).reshape(len(x), len(times), -1)

    def projected(self, x: Floats, times: Floats, z: Floats) -> Floats:
        """Return what the local bases make of coefficients z (q, k, R) at x (q, d), times (k,)."""
        weights = self.weights(x, times)[..., np.newaxis]
        found = np.zeros_like(z)
        for j, span in enumerate(self._spans):
            found += weights[:, :, j] * span.lift(span.coefficients(z))
        return found

    def reduced(self) -> tuple[Floats, Self]:
        """Return directions (R, R') that hold all local bases, and the same in their coordinates.

        The directions are orthonormal; R' is at most the number of all local modes and means.
        """
        directions = joint_directions(self._spans)
        arrays, text = self._learnt
        spans = [span.turned(directions) for span in self._spans]
        other = copy(self)
        other._sizes = (self.n_inputs, directions.shape[1])
        other._take(({**arrays, **_written(spans)}, text))
        return directions, other

    # What a regressor of trajectories gives ---------------------------------------------------

    def _learn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:
        given = self._division
        if given is None or given.n_clusters == 1:
            given = Division.whole(x, len(times))
        division, _ = given.moved(x)
        return self._fit(division, x, times, y, rng, ())

    def _relearn(self, x: Floats, times: Floats, y: Floats, rng: np.random.Generator) -> State:
        given = self._division or Division.whole(x, len(times))
        division, kept = given.moved(x)
        return self._fit(division, x, times, y, rng, tuple(self._parts[k] for k in kept))

    def _fit(
        self,
        division: Division,
        x: Floats,
        times: Floats,
        y: Floats,
        rng: np.random.Generator,
        known: tuple[TimeModes, ...],
    ) -> State:
        """Learn everything; `known` are coefficients whose hyperparameters are kept."""
        clock = clock_of(times, times[0], times[-1])
        classifier = division.classifier(self.settings.classifier, clock, rng)
        zone = transition_zone(classifier.scores(division.places(clock)), self.settings.share)
        scores = classifier.scores(places_of(x, clock, timed=len(times) > 1))
        used = weights_of(scores, zone).reshape(len(x), len(times), -1) > 0
        spans, parts = [], []
        for k in range(division.n_clusters):
            members = used[:, :, k]
            members[:, division.frames] |= division.labels == k
            span = Span.of(y[members], self.settings.n_modes, centre=self.settings.centre)
            own = _with_neighbours(x, members.any(axis=1))
            part_of = known[k] if known else self._coefficients()
            if part_of.fitted and part_of.n_outputs != span.rank:
                part_of = self._coefficients()
            parts.append(part_of.refit(x[own], times, span.coefficients(y[own]), rng))
            spans.append(span)
        found, kind = classifier.state()
        arrays: Arrays = {
            **_written(spans),
            "zone": np.array([zone]),
            **nest("classifier", found),
            **nest("division", division.arrays()),
        }
        text: dict[str, Json] = {"classifier": {**kind}}
        for k, learnt in enumerate(parts):
            own_arrays, text[f"cluster{k}"] = learnt.state()
            arrays |= nest(f"cluster{k}", own_arrays)
        return arrays, text

    def _install(self, arrays: Arrays, text: Mapping[str, Json]) -> None:
        self._division = Division.restored(part("division", arrays))
        self._classifier = classifier_from_state(
            part("classifier", arrays), entry(text, "classifier")
        )
        self._zone = float(arrays["zone"][0])
        self._spans = _read(arrays)
        self._parts = tuple(
            TimeModes.from_state(part(f"cluster{k}", arrays), entry(text, f"cluster{k}"))
            for k in range(len(self._spans))
        )

    def _evaluate(self, x: Floats, times: Floats) -> Floats:
        weights = self.weights(x, times)[..., np.newaxis]
        result = np.zeros((len(x), len(times), self.n_outputs))
        for j, used in self._used(weights):
            a = self._parts[j].predict(x[used], times)
            result[used] += weights[used, :, j] * self._spans[j].lift(a)
        return result

    def _slope(self, x: Floats, times: Floats) -> Floats:
        weights = self.weights(x, times)[..., np.newaxis]
        moves = self._weight_slopes(x, times)
        result = np.zeros((len(x), len(times), self.n_outputs, self.n_inputs))
        for j, used in self._used(weights):
            span, learnt = self._spans[j], self._parts[j]
            z = span.lift(learnt.predict(x[used], times))
            turned = span.modes @ learnt.jacobian(x[used], times)
            result[used] += weights[used, :, j, np.newaxis] * turned
            result[used] += moves[used, :, j, np.newaxis] * z[..., np.newaxis]
        return result

    def _spread(self, x: Floats, times: Floats) -> Floats | None:
        """Take the deviations of clusters and of their modes as independent."""
        weights = self.weights(x, times)[..., np.newaxis]
        result = np.zeros((len(x), len(times), self.n_outputs))
        for j, used in self._used(weights):
            deviation = self._parts[j].deviation(x[used], times)
            if deviation is None:
                return None
            result[used] += weights[used, :, j] ** 2 * (deviation**2 @ self._spans[j].modes.T ** 2)
        return np.sqrt(result)

    def _look(self, x: Floats, times: Floats, places: NDArray[np.int64]) -> Outlook:
        known = self._times[places]
        at_times, at_known = (self.weights(x, t)[..., np.newaxis] for t in (times, known))
        values = np.zeros((len(x), len(times), self.n_outputs))
        own = np.zeros((len(x), len(known), self.n_outputs))
        variances: Floats | None = np.zeros((len(x), len(known)))
        for j, used in self._used(np.concatenate([at_times, at_known], axis=1)):
            found, span = self._parts[j].outlook(x[used], times, places), self._spans[j]
            values[used] += at_times[used, :, j] * span.lift(found.values)
            own[used] += at_known[used, :, j] * span.lift(found.own)
            if found.variances is None or variances is None:
                variances = None
            else:  # modes are orthonormal
                variances[used] += at_known[used, :, j, 0] ** 2 * found.variances
        return Outlook(values, own, variances)

    def _used(self, weights: Floats) -> list[tuple[int, NDArray[np.int64]]]:
        """Return the clusters that have a weight, and at which queries."""
        pairs = [(j, np.flatnonzero(weights[:, :, j].any(axis=(1, 2)))) for j in
                 range(self.n_clusters)]  # fmt: skip
        return [(j, used) for j, used in pairs if len(used)] or [(0, np.arange(0))]

    def _weight_slopes(self, x: Floats, times: Floats) -> Floats:
        """Return the derivatives (q, k, K, d) of the weights."""
        slopes = [
            (self.weights(x + step, times) - self.weights(x - step, times)) / (2 * _STEP)
            for step in _STEP * np.eye(self.n_inputs)
        ]
        return np.stack(slopes, axis=-1)

    def _places(self, x: Floats, times: Floats) -> Floats:
        clock = clock_of(times, self._times[0], self._times[-1])
        return places_of(x, clock, timed=len(self._times) > 1)

    def _coefficients(self) -> TimeModes:
        """Return the regressor of a cluster's coefficients, not fitted."""
        s = self.settings
        return TimeModes(
            TimeModesSettings(tolerance=s.tolerance, regressor=s.regressor, options=s.options)
        )


def _with_neighbours(x: Floats, own: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the trajectories (m,) of a cluster, and the next ones if they are very few."""
    fewest = min(2 * x.shape[1] + 4, len(x))
    if own.sum() >= fewest:
        return np.flatnonzero(own)
    away = cdist(x, x[own]).min(axis=1)
    return np.sort(np.argsort(away, kind="stable")[:fewest])


def _written(spans: list[Span]) -> Arrays:
    return {
        "means": np.stack([span.mean for span in spans]),
        "modes": np.concatenate([span.modes for span in spans], axis=1),
        "ranks": np.array([span.rank for span in spans]),
    }


def _read(arrays: Arrays) -> tuple[Span, ...]:
    ends = np.cumsum(arrays["ranks"])[:-1]
    blocks = np.split(arrays["modes"], ends, axis=1)
    return tuple(
        Span(mean, np.ascontiguousarray(block))
        for mean, block in zip(arrays["means"], blocks, strict=True)
    )
