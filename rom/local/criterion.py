r"""Whether local bases pay, before any of them is built: our criterion.

.. math:: g = \frac{e_G}{(1 - \pi)\, e_{loc} + \pi\, e_{wrong}}

from cross-validation over whole trajectories, all with the same number n of modes:

- e_G: mean relative projection error on a global basis;
- e_loc: the same on the basis of the cluster whose medoid is most similar;
- pi: how often the classifier takes another cluster;
- e_wrong: the mean error on the basis that it takes where it errs; where it never does, on the
  one it would take next.

Clusters pay if g > 1, by the margin that the search among candidates asks for, and if the smallest
one has at least 2 n snapshots and a mode at all. It speaks of bases only: a regression has fewer
samples for each of them. This is our own criterion, not the one of arXiv:2103.13683.
"""

from dataclasses import dataclass
from typing import final

__all__ = ["Efficiency"]

# Relative errors below are rounding of the products that they are computed from.
_ROUNDING = 1e-7


@final
@dataclass(frozen=True)
class Efficiency:
    """What was measured for one number of clusters and one classifier.

    Attributes
    ----------
    n_clusters
        K.
    classifier
        Its name.
    n_modes
        Of the global basis and of each local one.
    e_global, e_local, e_wrong
        Mean relative projection errors on trajectories that were left out.
    misclassified
        pi, in [0, 1].
    smallest
        Number of snapshots of the smallest cluster.
    least_gain
        The g above which clusters pay, >= 1.
    varied
        Whether no cluster consists of copies of one snapshot.
    """

    n_clusters: int
    classifier: str
    n_modes: int
    e_global: float
    e_local: float
    e_wrong: float
    misclassified: float
    smallest: int
    least_gain: float = 1.0
    varied: bool = True

    @property
    def gain(self) -> float:
        """The criterion g; 1 where nothing can be gained because all errors are rounding."""
        pi = self.misclassified
        expected = (1 - pi) * self.e_local + pi * self.e_wrong
        return (self.e_global + _ROUNDING) / (expected + _ROUNDING)

    @property
    def refusal(self) -> str:
        """Why these clusters do not pay, in words; empty if they do."""
        if not self.gain > self.least_gain:
            return f"the expected gain g = {self.gain:.3g} is not above {self.least_gain:.3g}"
        return self.obstacle

    @property
    def obstacle(self) -> str:
        """Why these clusters cannot carry bases, whatever they gain; empty if they can."""
        if self.smallest < 2 * self.n_modes:
            return (
                f"the smallest cluster has {self.smallest} snapshots, and {self.n_modes} modes "
                f"need {2 * self.n_modes}"
            )
        if not self.varied:
            return "a cluster consists of copies of one snapshot"
        return ""

    @property
    def pays(self) -> bool:
        """Whether clusters pay."""
        return not self.refusal
