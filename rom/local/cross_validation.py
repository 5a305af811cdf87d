"""What local bases would gain, measured on trajectories that were left out.

All from the products of the snapshots: see `rom.local.gram_pod`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from rom.local.criterion import Efficiency
from rom.local.gram_pod import GramBasis
from rom.local.medoids import Clustering, k_medoids
from rom.local.partition import Partition, Units
from rom.local.settings import LocalSettings

__all__ = ["measure"]

type _Floats = NDArray[np.float64]
type _Ints = NDArray[np.int64]

# Errors are relative to the size of the snapshot, or to this part of the mean size if it is less:
# a solution that starts at zero has no error of its own.
_LEAST_SIZE = 1e-3


@final
@dataclass
class _Tally:
    """Errors of one candidate over all folds, by snapshot that was left out."""

    local: list[_Floats] = field(default_factory=list)
    other: list[_Floats] = field(default_factory=list)
    wrong: list[NDArray[np.bool_]] = field(default_factory=list)


def measure(
    units: Units, n_modes: int, settings: LocalSettings, rng: np.random.Generator
) -> tuple[tuple[Efficiency, Clustering], ...]:
    """Return the efficiency and the clustering of all units for each candidate.

    Parameters
    ----------
    units
        With at least two trajectories.
    n_modes
        Of each basis.
    settings
        The candidates: all pairs of a number of clusters and a classifier. Numbers that cannot
        have 2 `n_modes` snapshots in each cluster are left out.
    rng
        Source of folds and starts.
    """
    most = len(units.gram) // (2 * n_modes)
    numbers = [k for k in settings.candidates if k <= min(most, len(units.places))]
    tallies = {(k, name): _Tally() for k in numbers for name in settings.classifiers}
    sizes = _sizes(units.gram)
    errors: list[_Floats] = []
    for inside, outside in _folds(units.groups, settings.folds, rng):
        tested = units.snapshots(outside)
        basis = GramBasis.of(
            units.gram, units.snapshots(inside), n_modes, centred=settings.centre
        )  # fmt: skip
        errors.append(_relative(basis, units.gram, tested, sizes))
        for k in numbers:
            if k > len(inside):
                continue
            costs = units.costs[np.ix_(inside, inside)]
            clustering = k_medoids(costs, k, rng, starts=settings.starts)
            for name in settings.classifiers:
                part = Partition.of(units, inside, clustering, name, settings.share, rng)
                _count(tallies[k, name], units, part, outside, n_modes, settings, sizes)
    e_global = float(np.concatenate(errors).mean())
    whole = {k: k_medoids(units.costs, k, rng, starts=settings.starts) for k in numbers}
    return tuple(
        (
            replace(
                _efficiency(tally, units, whole[k], n_modes),
                classifier=name,
                e_global=e_global,
                least_gain=settings.least_gain,
            ),
            whole[k],
        )
        for (k, name), tally in tallies.items()
        if tally.local
    )


def _count(
    tally: _Tally,
    units: Units,
    part: Partition,
    outside: _Ints,
    n_modes: int,
    settings: LocalSettings,
    sizes: _Floats,
) -> None:
    """Add the errors of the units outside on the bases of a partition."""
    tested = units.snapshots(outside)
    errors = np.column_stack([
        _relative(
            GramBasis.of(
                units.gram, units.snapshots(part.members(k)), n_modes, centred=settings.centre
            ),
            units.gram,
            tested,
            sizes,
        )
        for k in range(part.n_clusters)
    ])  # fmt: skip
    medoids = part.units[part.clustering.medoids]
    ranking = np.argsort(-part.classifier.scores(units.x[outside]), axis=1, kind="stable")
    right = units.costs[np.ix_(outside, medoids)].argmin(axis=1)
    wrong = ranking[:, 0] != right
    other = np.where(wrong, ranking[:, 0], ranking[:, min(1, part.n_clusters - 1)])
    counts = [len(units.places[unit]) for unit in outside]
    rows = np.arange(len(tested))
    tally.local.append(errors[rows, np.repeat(right, counts)])
    tally.other.append(errors[rows, np.repeat(other, counts)])
    tally.wrong.append(np.repeat(wrong, counts))


def _efficiency(tally: _Tally, units: Units, whole: Clustering, n_modes: int) -> Efficiency:
    wrong, other = np.concatenate(tally.wrong), np.concatenate(tally.other)
    clusters = [
        units.snapshots(np.flatnonzero(whole.labels == k)) for k in range(len(whole.medoids))
    ]
    varied = all(GramBasis.of(units.gram, c, 1, centred=True).rank == 1 for c in clusters)
    return Efficiency(
        n_clusters=len(whole.medoids),
        classifier="",
        n_modes=n_modes,
        e_global=0.0,
        e_local=float(np.concatenate(tally.local).mean()),
        e_wrong=float((other[wrong] if wrong.any() else other).mean()),
        misclassified=float(wrong.mean()),
        smallest=min(len(cluster) for cluster in clusters),
        varied=varied,
    )


def _folds(
    groups: _Ints, n_folds: int, rng: np.random.Generator
) -> Iterator[tuple[_Ints, _Ints]]:  # fmt: skip
    """Yield the units inside and outside of each fold; a trajectory is never on both sides."""
    names = rng.permutation(np.unique(groups))
    for left_out in np.array_split(names, min(n_folds, len(names))):
        outside = np.isin(groups, left_out)
        yield np.flatnonzero(~outside), np.flatnonzero(outside)


def _sizes(gram: _Floats) -> _Floats:
    squares = np.maximum(np.diag(gram), 0.0)
    return np.asarray(np.sqrt(np.maximum(squares, _LEAST_SIZE**2 * squares.mean())))


def _relative(basis: GramBasis, gram: _Floats, places: _Ints, sizes: _Floats) -> _Floats:
    errors = np.sqrt(basis.squared_errors(gram, places))
    return np.divide(
        errors, sizes[places], out=np.zeros_like(errors), where=sizes[places] > 0
    )  # fmt: skip
