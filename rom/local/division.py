"""Which frames of trajectories belong to which cluster: what a regression on local bases is given.

Letters: m trajectories, d unit coordinates, T output times, f of them that are looked at, K
clusters. A place is the coordinates of a frame: parameters and, if there is more than one output
time, the clock, which runs from 0 to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from rom.local.classifier import Classifier
from rom.local.classifiers import make_classifier

__all__ = ["Division", "clock_of", "places_of"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]


def clock_of(times: _Floats, first: float, last: float) -> _Floats:
    """Return the times (k,) on a scale from 0 to 1."""
    return np.asarray((times - first) / (last - first if last > first else 1.0))


def places_of(x: _Floats, clock: _Floats, *, timed: bool) -> _Floats:
    """Return the places (m k, d or d + 1) of frames, those of a trajectory behind each other.

    Parameters
    ----------
    x
        Unit coordinates, (m, d).
    clock
        Of the frames, (k,).
    timed
        Whether the clock is a coordinate.
    """
    rows = np.repeat(x, len(clock), axis=0)
    return np.column_stack([rows, np.tile(clock, len(x))]) if timed else rows


@final
@dataclass(frozen=True, eq=False)
class Division:
    """See the module.

    Attributes
    ----------
    x
        Unit coordinates of the trajectories, (m, d).
    labels
        Clusters of their frames, (m, f), from 0 to K - 1.
    medoids
        Places of the medoids, (K, d or d + 1).
    frames
        Places of the f frames among the output times, (f,).
    """

    x: _Floats
    labels: _Ints
    medoids: _Floats
    frames: _Ints

    @classmethod
    def whole(cls, x: _Floats, n_times: int) -> Self:
        """Return the division of everything into one cluster."""
        timed = n_times > 1
        medoids = places_of(x[:1], np.zeros(1), timed=timed)
        return cls(x, np.zeros((len(x), 1), np.int64), medoids, np.zeros(1, np.int64))

    @property
    def n_clusters(self) -> int:
        """The number K of clusters."""
        return len(self.medoids)

    def moved(self, x: _Floats) -> tuple[Self, _Ints]:
        """Return the division of other trajectories, and its clusters' numbers in this one, (K',).

        A trajectory keeps its clusters; one that is not known has those of the nearest one. A
        cluster whose last frame has gone is gone.
        """
        known = {row.tobytes(): i for i, row in enumerate(self.x + 0.0)}
        nearest = cdist(x, self.x).argmin(axis=1)
        own = [known.get(row.tobytes(), int(i)) for row, i in zip(x + 0.0, nearest, strict=True)]
        kept, labels = np.unique(self.labels[own], return_inverse=True)
        shape = (len(x), self.labels.shape[1])
        return type(self)(x, labels.reshape(shape), self.medoids[kept], self.frames), kept

    def classifier(self, kind: str, clock: _Floats, rng: np.random.Generator) -> Classifier:
        """Return the classifier of a kind that has learnt the division.

        Parameters
        ----------
        kind
            Its name.
        clock
            Of all output times, (T,).
        rng
            Source of its random choices.
        """
        places, labels = self.places(clock), self.labels.ravel()
        away = cdist(self.medoids, places)
        # The medoid of a trajectory that was left out gives way to the member next to it.
        away[labels != np.arange(self.n_clusters)[:, np.newaxis]] = np.inf
        return make_classifier(kind).fit(places, labels, away.argmin(axis=1), rng)

    def places(self, clock: _Floats) -> _Floats:
        """Return the places of all frames that are looked at, for the clock of all times (T,)."""
        return places_of(self.x, clock[self.frames], timed=len(clock) > 1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the numbers from which `restored` makes it again."""
        return {"x": self.x, "labels": self.labels, "medoids": self.medoids, "frames": self.frames}

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the division that `arrays` came from."""
        return cls(
            np.array(arrays["x"], np.float64),
            np.array(arrays["labels"], np.int64),
            np.array(arrays["medoids"], np.float64),
            np.array(arrays["frames"], np.int64),
        )
