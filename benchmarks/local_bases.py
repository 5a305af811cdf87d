"""Local bases against one basis of the same number of modes, on held-out parameters.

The clusters of sines of angles are compared with k-medoids of distances and with k-means, and the
criterion g, which decides before anything is built, with what was gained in the end.
"""

import sys
from dataclasses import dataclass, replace
from time import perf_counter
from typing import final

import numpy as np
from _local_problems import CONTROLS, PROBLEMS, LocalProblem
from _report import Report, arguments, number
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from infra.errors import UserError
from rom.basis import Basis, pod
from rom.local.choice import Choice, choose_bases, local_bases
from rom.local.local_bases import LocalBases
from rom.local.medoids import Clustering
from rom.local.partition import Partition, Units
from rom.local.samples import LocalSamples
from rom.local.settings import LocalSettings
from rom.products import Euclidean, InnerProduct

__all__ = ["main"]

type _Floats = NDArray[np.float64]

# Frames of a trajectory of the timed problem: it gets fewer trajectories.
_FRAMES = 8
# Errors below are the same: ratios of rounding say nothing.
_ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class Case:
    """One problem with its data and its global basis."""

    problem: LocalProblem
    train: LocalSamples
    test: LocalSamples
    product: InnerProduct
    basis: Basis

    @classmethod
    def of(cls, problem: LocalProblem, count: int) -> "Case":
        """Compute samples: `count` of a steady problem, less of one with frames."""
        count = max(count // _FRAMES, 4) if problem.timed else count
        train, test = problem.samples(count, 1), problem.samples(count, 2)
        product = Euclidean(train.rows.shape[1])
        basis = pod(train.rows, product, rank=problem.n_modes)
        return cls(problem, train, test, product, basis)

    def chosen(self, settings: LocalSettings) -> tuple[Basis | LocalBases, Choice, float]:
        """Return what is chosen, why, and the seconds of the choice."""
        start = perf_counter()
        rng = np.random.default_rng(0)
        bases, choice = choose_bases(
            self.train, self.product, self.problem.n_modes, rng, settings
        )  # fmt: skip
        return bases, choice, perf_counter() - start

    def means(self, k: int) -> LocalBases:
        """Return the bases of k clusters of k-means, with the same classifiers and hand-over."""
        units = Units.of(self.train, self.product, LocalSettings())
        rows = self.train.rows[[unit[0] for unit in units.places]]
        found = KMeans(k, n_init=10, random_state=0).fit(rows)
        distances = found.transform(rows)
        labels = found.labels_.astype(np.int64)
        medoids = np.array([
            np.where(labels == j, distances[:, j], np.inf).argmin() for j in range(k)
        ])  # fmt: skip
        everyone, rng = np.arange(len(rows)), np.random.default_rng(0)
        clusters = Clustering(medoids, labels, float(found.inertia_))
        part = Partition.of(units, everyone, clusters, "nearest-members", 0.15, rng)
        return local_bases(self.train, units, part, self.product, self.problem.n_modes)

    def errors(self, bases: Basis | LocalBases, *, switched: bool = True) -> _Floats:
        """Return the relative errors on the held-out snapshots, with the predicted clusters."""
        if isinstance(bases, Basis):
            errors = bases.projection_error(self.test.rows)
        else:
            used = bases.switched() if switched else bases
            errors = used.projection_error(self.test.rows, self.test.x)
        return np.maximum(errors, _ROUNDING)

    def ratio(self, bases: Basis | LocalBases, *, switched: bool = True) -> float:
        """Return how many times larger the 90 % quantile of the global basis is."""
        ours = np.quantile(self.errors(bases, switched=switched), 0.9)
        return float(np.quantile(self.errors(self.basis), 0.9) / ours)

    def mean_ratio(self, bases: LocalBases) -> float:
        """Return the same for the mean error, which the criterion predicts."""
        return float(self.errors(self.basis).mean() / self.errors(bases).mean())


def study(report: Report, cases: list[Case]) -> tuple[int, int]:
    """Add the tables; return problems won, and uses where the criterion fails on new data."""
    head = ["problem", "snapshots", "modes", "K", "classifier", "pi", "g, predicted"]
    head += ["mean ratio", "q90, one basis", "**q90 ratio**", "handed over", "choice, s"]
    rows, others, reasons, won, failed = [], [], [], 0, 0
    for case in cases:
        bases, choice, seconds = case.chosen(LocalSettings())
        ratio = case.ratio(bases)
        won += case.problem in PROBLEMS and ratio >= 1.2
        row: list[object] = [case.problem.name, len(case.train.rows), case.problem.n_modes]
        if isinstance(bases, LocalBases) and choice.chosen is not None:
            c, mean = choice.chosen, case.mean_ratio(bases)
            failed += c.gain <= 1 or mean <= 1
            row += [c.n_clusters, c.classifier, c.misclassified, c.gain, mean]
        else:
            row += [1, "", "", max((c.gain for c in choice.candidates), default=""), ""]
        row += [float(np.quantile(case.errors(case.basis), 0.9)), f"**{number(ratio, 3)}**"]
        rows.append([*row, case.ratio(bases, switched=False), seconds])
        others.append(_others(case, choice.n_clusters, ratio))
        reasons.append(f"{case.problem.name}: {choice.reason}")
    report.table(head, rows)
    report.note("Why: " + " ".join(reasons))
    report.section("The same with Euclidean clusters: q90 ratios")
    report.note(
        "k-means has the K of the sines, or 4, or the largest below for which no cluster is too "
        "small; the others choose K by g."
    )
    report.table(["problem", "sines", "distances", "k-means"], others)
    return won, failed


def _others(case: Case, k: int, ratio: float) -> list[object]:
    far, choice, _ = case.chosen(LocalSettings(dissimilarity="euclidean"))
    most = k if k > 1 else 4
    means, count = _means(case, most)
    pairs = ((number(ratio, 3), k), (number(case.ratio(far), 3), choice.n_clusters), (means, count))
    return [case.problem.name, *(f"{value} (K = {n})" for value, n in pairs)]


def _means(case: Case, most: int) -> tuple[str, int]:
    """Return the ratio of k-means with the most clusters that have enough snapshots, and these."""
    for k in range(most, 1, -1):
        try:
            return number(case.ratio(case.means(k)), 3), k
        except UserError:  # a cluster is too small for its modes
            continue
    return "1", 1


def main() -> int:
    """Compare on five problems and on controls where clusters cannot pay."""
    quick = arguments(__doc__).quick
    report = Report("local_bases", "Local bases against one basis", quick=quick)
    count = 128 if quick else 512
    report.section("Five problems, and controls where clusters cannot pay")
    report.note(
        "Relative projection errors on held-out parameters, on the basis of the PREDICTED cluster; "
        "both sides have the same number of modes. Handed over: with the smooth hand-over, which "
        "uses two or more bases between clusters."
    )
    few = replace(PROBLEMS[1], name="carried pulse, 16 samples")
    cases = [Case.of(problem, count) for problem in (*PROBLEMS, *CONTROLS)]
    won, failed = study(report, [*cases, Case.of(few, 16)])
    report.at_least("local-bases-problems-won", won, 3)
    report.at_most("used-where-criterion-fails", failed, 0)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
