"""The search space of local bases: units and their dissimilarities, and one way to divide them."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.local.classifier import Classifier
from rom.local.classifiers import make_classifier
from rom.local.dissimilarity import (
    euclidean_dissimilarity,
    sine_dissimilarity,
    subspace_dissimilarity,
)
from rom.local.hand_over import transition_zone, weights_of
from rom.local.medoids import Clustering
from rom.local.samples import LocalSamples
from rom.local.settings import LocalSettings
from rom.products import InnerProduct

__all__ = ["Partition", "Units"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# The products of all snapshots, and some copies, must fit into memory: 128 MB each at this number.
_MOST = 4000


@final
@dataclass(frozen=True, eq=False)
class Units:
    """What is clustered; see `rom.local.samples`.

    Attributes
    ----------
    gram
        Products of all k snapshots, (k, k).
    places
        The snapshots of each of the m units.
    costs
        Squared dissimilarities of the units, (m, m).
    x
        Unit coordinates, (m, d).
    groups
        Trajectories, (m,).
    """

    gram: _Floats
    places: tuple[_Ints, ...]
    costs: _Floats
    x: _Floats
    groups: _Ints

    @classmethod
    def of(cls, samples: LocalSamples, product: InnerProduct, settings: LocalSettings) -> Self:
        """Return the units of snapshots.

        Raises
        ------
        UserError
            If there are too many snapshots, or distances of trajectories are asked for.
        """
        if len(samples.rows) > _MOST:
            raise UserError(
                f"Expected at most {_MOST} snapshots for the choice of local bases; received "
                f"{len(samples.rows)}. Take every second output time, or fewer."
            )
        gram = product.gram(samples.rows.T)
        single = all(len(unit) == 1 for unit in samples.units)
        if single:
            order = np.concatenate(samples.units)
            part = gram[np.ix_(order, order)]
            sine = settings.dissimilarity == "sine"
            distances = sine_dissimilarity(part) if sine else euclidean_dissimilarity(part)
        elif settings.dissimilarity == "euclidean":
            raise UserError(
                "Expected `sine` as the dissimilarity of trajectories; received `euclidean`. Make "
                "the time a coordinate to compare single snapshots by their distance."
            )
        else:
            distances = subspace_dissimilarity(gram, samples.units, settings.trajectory_modes)
        return cls(gram, samples.units, distances**2, samples.unit_x, samples.unit_groups)

    def snapshots(self, units: _Ints) -> _Ints:
        """Return the places of the snapshots of some units."""
        return np.concatenate([self.places[unit] for unit in units])


@final
@dataclass(frozen=True, eq=False)
class Partition:
    """Clusters of some units, and who takes a new point where.

    Attributes
    ----------
    units
        The units that were divided, (m,).
    clustering
        Of these: its places count in `units`.
    classifier, zone
        As in `rom.local.local_bases.LocalBases`.
    supports
        Which units each basis is made from, (m, K): those of its cluster, and those for which it
        is used.
    """

    units: _Ints
    clustering: Clustering
    classifier: Classifier
    zone: float
    supports: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        all_units: Units,
        units: _Ints,
        clustering: Clustering,
        classifier: str,
        share: float,
        rng: np.random.Generator,
    ) -> Self:
        """Return the partition that a clustering and a kind of classifier make."""
        x, labels = all_units.x[units], clustering.labels
        fitted = make_classifier(classifier).fit(x, labels, clustering.medoids, rng)
        scores = fitted.scores(x)
        zone = transition_zone(scores, share)
        own = labels[:, None] == np.arange(len(clustering.medoids))
        return cls(units, clustering, fitted, zone, own | (weights_of(scores, zone) > 0))

    @property
    def n_clusters(self) -> int:
        """The number K of clusters."""
        return len(self.clustering.medoids)

    def members(self, cluster: int) -> _Ints:
        """Return the units of the basis of a cluster."""
        return self.units[self.supports[:, cluster]]
