"""One basis or local ones: the choice, and why."""

from dataclasses import asdict, dataclass
from typing import final

import numpy as np

from infra.records import Json
from rom.basis import Basis, pod
from rom.local.criterion import Efficiency
from rom.local.cross_validation import measure
from rom.local.local_bases import LocalBases
from rom.local.medoids import Clustering
from rom.local.partition import Partition, Units
from rom.local.samples import LocalSamples
from rom.local.settings import LocalSettings
from rom.products import InnerProduct

__all__ = ["Choice", "choose_bases", "local_bases"]


@final
@dataclass(frozen=True)
class Choice:
    """What was compared and what was taken.

    Attributes
    ----------
    candidates
        All that were measured.
    chosen
        The one that was taken; None: one basis.
    reason
        In words.
    """

    candidates: tuple[Efficiency, ...]
    chosen: Efficiency | None
    reason: str

    @property
    def n_clusters(self) -> int:
        """The number K of clusters; 1 for one basis."""
        return 1 if self.chosen is None else self.chosen.n_clusters

    def describe(self) -> dict[str, Json]:
        """Return it for JSON, with the criterion g of each candidate."""
        rows: list[Json] = [
            {**asdict(e), "gain": e.gain, "refusal": e.refusal} for e in self.candidates
        ]
        place = None if self.chosen is None else self.candidates.index(self.chosen)
        return {"candidates": rows, "chosen": place, "reason": self.reason}


def choose_bases(
    samples: LocalSamples,
    product: InnerProduct,
    n_modes: int,
    rng: np.random.Generator,
    settings: LocalSettings | None = None,
) -> tuple[Basis | LocalBases, Choice]:
    """Return local bases of `n_modes` modes each where they pay, else one basis of as many.

    Whether they pay is measured by cross-validation (`rom.local.criterion`); the number of
    clusters and the classifier are those of the largest g. They need as many coefficients for a
    query as one basis, two or more times as many within a transition.

    Parameters
    ----------
    samples
        Snapshots, their unit coordinates and trajectories.
    product
        The inner product of all bases and errors.
    n_modes
        Number of modes of each basis, >= 1.
    rng
        Source of folds and starts of the clustering.
    settings
        By default those of `LocalSettings`.

    Raises
    ------
    UserError
        If there are too few snapshots for one basis, or too many for the choice.
    """
    settings = settings or LocalSettings()
    # First, because it checks the snapshots.
    basis = pod(samples.rows, product, rank=n_modes, centre=settings.centre)
    if len(np.unique(samples.groups)) < 2:
        return basis, Choice((), None, "cross-validation needs at least 2 trajectories")
    units = Units.of(samples, product, settings)
    found = measure(units, n_modes, settings, rng)
    choice, clustering = _chosen(found, n_modes, len(samples.rows))
    if choice.chosen is None or clustering is None:
        return basis, choice
    everyone = np.arange(len(units.places))
    name, share = choice.chosen.classifier, settings.share
    part = Partition.of(units, everyone, clustering, name, share, rng)
    return local_bases(samples, units, part, product, n_modes, centre=settings.centre), choice


def local_bases(
    samples: LocalSamples,
    units: Units,
    part: Partition,
    product: InnerProduct,
    n_modes: int,
    *,
    centre: bool = True,
) -> LocalBases:
    """Return the bases of a partition, for example of clusters that were found elsewhere.

    Parameters
    ----------
    samples, product, n_modes
        As in `choose_bases`.
    units, part
        Of these samples.
    centre
        As in `rom.basis.pod`.

    Raises
    ------
    UserError
        If a cluster has too few snapshots.
    """
    rows = (samples.rows[units.snapshots(part.members(k))] for k in range(part.n_clusters))
    bases = tuple(pod(block, product, rank=n_modes, centre=centre) for block in rows)
    return LocalBases(bases, part.classifier, part.zone)


def _chosen(
    found: tuple[tuple[Efficiency, Clustering], ...], n_modes: int, n_snapshots: int
) -> tuple[Choice, Clustering | None]:
    measured = tuple(efficiency for efficiency, _ in found)
    if not found:
        why = f"{n_snapshots} snapshots are too few for clusters with {2 * n_modes} each"
        return Choice((), None, f"One basis: {why}."), None
    paying = [pair for pair in found if pair[0].pays]
    if not paying:
        best = max(measured, key=lambda efficiency: efficiency.gain)
        why = f"with {best.n_clusters} clusters, the best of all, {best.refusal}"
        return Choice(measured, None, f"One basis: {why}."), None
    best, clustering = max(paying, key=lambda pair: pair[0].gain)
    return Choice(
        measured,
        best,
        f"{best.n_clusters} local bases: the expected gain is g = {best.gain:.3g}, with "
        f"{100 * best.misclassified:.1f} % of the points in another cluster than theirs.",
    ), clustering
