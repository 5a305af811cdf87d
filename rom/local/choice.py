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

__all__ = ["Choice", "choose_bases", "choose_partition", "local_bases"]


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
    units, part, choice = choose_partition(samples, product, n_modes, rng, settings)
    if units is None or part is None:
        return basis, choice
    return local_bases(samples, units, part, product, n_modes, centre=settings.centre), choice


def choose_partition(
    samples: LocalSamples,
    product: InnerProduct,
    n_modes: int,
    rng: np.random.Generator,
    settings: LocalSettings,
    *,
    forced: bool = False,
) -> tuple[Units | None, Partition | None, Choice]:
    """Return the units and the clusters that pay, if any, and what was compared.

    Parameters
    ----------
    samples, product, n_modes, rng, settings
        As in `choose_bases`.
    forced
        Whether the best clusters are taken whether they pay or not.

    Raises
    ------
    UserError
        If there are too many snapshots.
    """
    if len(np.unique(samples.groups)) < 2:
        return (
            None,
            None,
            Choice((), None, "One basis: cross-validation needs at least 2 trajectories."),
        )
    if len(samples.rows) < 2 * min(settings.candidates) * n_modes:
        return None, None, _too_few(n_modes, len(samples.rows))
    units = Units.of(samples, product, settings)
    found = measure(units, n_modes, settings, rng)
    choice, clustering = _chosen(found, n_modes, len(samples.rows), forced=forced)
    if choice.chosen is None or clustering is None:
        return units, None, choice
    everyone, name = np.arange(len(units.places)), choice.chosen.classifier
    part = Partition.of(units, everyone, clustering, name, settings.share, rng)
    return units, part, choice


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
    found: tuple[tuple[Efficiency, Clustering], ...],
    n_modes: int,
    n_snapshots: int,
    *,
    forced: bool,
) -> tuple[Choice, Clustering | None]:
    measured = tuple(efficiency for efficiency, _ in found)
    if not found:
        return _too_few(n_modes, n_snapshots), None
    paying = [pair for pair in found if not (pair[0].obstacle if forced else pair[0].refusal)]
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


def _too_few(n_modes: int, n_snapshots: int) -> Choice:
    why = f"{n_snapshots} snapshots are too few for clusters with {2 * n_modes} each"
    return Choice((), None, f"One basis: {why}.")
