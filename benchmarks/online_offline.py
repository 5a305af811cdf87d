"""Fresh simulations against a fixed small data set that is trained on for many epochs.

``python benchmarks/online_offline.py [--quick]``. The question of Meyer et al. (2023),
arXiv:2306.16133, on their three kinds of surrogate. Online, live MPI simulations stream into the
trainer; offline, the same trainer has a few of these simulations on disk. Model, steps, batch,
schedule, seed and held-out trajectories are the same.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from _papers_cases import Case, cases
from _papers_figure import draw
from _papers_runs import Run, live, stored
from _report import ROOT, Report, arguments

__all__ = ["main"]

_LABELS = {
    "offline": "offline, few simulations",
    "online": "online, fresh simulations",
    "all stored": "offline, all simulations stored",
}
_HEAD = (
    *("way", "seed", "simulations", "unique items", "views of each", "steps"),
    *("solver s", "training s", "waiting s", "whole s", "data left, MB"),
    *("error", "lowest error", "error of rollouts"),
)


def all_runs(case: Case, folder: Path, seeds: Sequence[int]) -> list[Run]:
    """Train online and offline with each seed, and once with everything stored.

    The first online training is archived: its simulations are the stored ones.
    """
    first, archive = live(case, seeds[0], folder, archive=True)
    fresh = [first, *(live(case, seed, folder, archive=False)[0] for seed in seeds[1:])]

    def from_disk(seed: int | None) -> Run:
        if seed is None:
            samples = range(case.many)
            return stored("all stored", seeds[0], samples, archive, folder / "all-stored")
        return stored("offline", seed, case.small_set(seed), archive, folder / f"offline-{seed}")

    with ThreadPoolExecutor(2) as pool:  # one on each core, as online one core has simulations
        *offline, whole = pool.map(from_disk, [*seeds, None])
    return [*offline, *fresh, whole]


def improvements(runs: Sequence[Run], metric: str) -> list[float]:
    """Return the relative improvement of a metric by online training, %, for each seed."""
    offline, online = (
        {run.seed: run.metrics[metric] for run in runs if run.way == way}
        for way in ("offline", "online")
    )
    return [100.0 * (offline[seed] - online[seed]) / offline[seed] for seed in offline]


def tell(report: Report, case: Case, runs: Sequence[Run]) -> None:
    """Add the table and the target of one kind."""
    report.section(case.title)
    metrics = runs[0].metrics
    report.note(
        f"{case.few} stored simulations against {case.many} fresh ones (1:"
        f"{case.many / case.few:.0f}), batch {case.training['batch']}; {case.held_out} held-out "
        f"trajectories; {metrics['baseline']} has an error of {metrics['baseline_error']:.4f}."
    )
    report.table(_HEAD, [_row(run) for run in runs])
    report.at_least(f"improvement-{case.name}", median(improvements(runs, _ERROR)), 0.0)


_ERROR, _SQUARE, _ROLLOUT = "validation_error", "validation_mse", "rollout_error"


def _row(run: Run) -> list[object]:
    m = run.metrics
    return [
        *(run.way, run.seed, run.simulations, m["items"] - m["never_seen"]),
        *(f"{m['mean_views']:.1f}", m["steps"], f"{run.simulated:.1f}"),
        *(f"{m['seconds']:.1f}", f"{m['starving_seconds']:.1f}"),
        *(f"{run.wall:.1f}", f"{run.kept / 1e6:.1f}"),
        *(f"{m[_ERROR]:.5f}", f"{min(run.errors):.5f}", f"{m[_ROLLOUT]:.5f}"),
    ]


def summary(report: Report, results: dict[Case, list[Run]]) -> None:
    """Add the table beside the papers' numbers."""
    report.section("Improvement of the validation error by fresh simulations")
    rows = []
    for case, runs in results.items():
        error = improvements(runs, _ERROR)
        stored_all = next(run for run in runs if run.way == "all stored")
        first = next(run for run in runs if run.way == "online" and run.seed == stored_all.seed)
        rows.append(
            [
                case.title,
                f"{case.published:.0f} %",
                f"**{median(error):.0f} %**",
                ", ".join(f"{value:.0f}" for value in error),
                f"{median(improvements(runs, _SQUARE)):.0f} %",
                f"{median(improvements(runs, _ROLLOUT)):.0f} %",
                f"{first.metrics[_ERROR] / stored_all.metrics[_ERROR]:.2f}",
                f"{first.kept / 1e6:.1f} / {stored_all.kept / 1e6:.1f}",
            ]
        )
    report.table(
        (
            *(
                "surrogate",
                "papers",
                "here, median",
                "each seed, %",
                "of the square",
                "of rollouts",
            ),
            *("online over all stored, error", "MB left: online / all stored"),
        ),
        rows,
    )


def main() -> int:
    """Ask the question for all kinds."""
    quick = arguments(__doc__).quick
    report = Report("online_offline", "Fresh simulations against a fixed data set", quick=quick)
    seeds = (0,) if quick else (0, 1, 2)
    report.note(
        "`error` is the relative error on whole held-out trajectories after the last step: of the "
        "field (MLP), or of one step from the true state before (the others), mean over the "
        "fields. `lowest error` is what ideal early stopping would have kept. Online, simulations "
        "run on one core as MPI jobs and stream into the trainer on another; offline, two "
        "trainings run side by side and draw from memory. `solver s` is the time of the "
        "simulations that are trained on, `training s` that of the trainer, `waiting s` the part "
        "that it waited for data, `whole s` that from the first simulation to the model with all "
        "starts of processes. `data left` is all that is on disk at the end but the model; for "
        "online training that is the last checkpoint, with the items in its reservoir, and what "
        "is left of the journal, whose segments of 256 MB are removed as wholes."
    )
    results: dict[Case, list[Run]] = {}
    folder = Path(tempfile.mkdtemp(prefix="romflow-papers-"))
    try:
        for case in cases(quick=quick):
            results[case] = all_runs(case, folder / case.name, seeds)
            tell(report, case, results[case])
            shutil.rmtree(folder / case.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    summary(report, results)
    report.note(
        "Papers: 250 simulations with 100 epochs against 20 000 to 25 000 fresh ones with 1.2 "
        "views of each item. Here the ratio is the same, but the small sets have 3 to 10 "
        "simulations, which leave far more of the parameters' box empty: the percentages say how "
        "small the small set is as much as how good fresh samples are. And what helps are the "
        "fresh samples, not the stream as such: training from the same simulations stored as a "
        "whole has the error of the row `all stored`, and needs the space named there."
    )
    name = "online_offline-quick.png" if quick else "online_offline.png"
    draw(results, _LABELS, ROOT / "results" / name)
    report.note(f"![Validation error over steps]({name})")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
