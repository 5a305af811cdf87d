"""Tables and picture of `scaling`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import final

import numpy as np
from _report import Report, middle
from _scaling_model import Costs, Outcome, Study

__all__ = ["Curve", "Point", "draw", "tell_costs", "tell_points", "tell_predictions"]

_WORDS = {
    "startup": "start of a chunk's MPI job up to its first sample, set-up included",
    "idle": "of that, the time in which no processor works for it",
    "opening": "the start, more for each sample of the dataset",
    "ending": "from the last commit to the end of the MPI job",
    "element": "start of the batch job's Python",
    "store": "a commit's wait for the disk, which others may have to await, at most",
    "looking": "look whether a sample is left to do, more for each that is committed",
    "flow": "start and end of the flow of chunks, once",
    "task": "flow and Prefect's server, each chunk",
    "crowd": "the same, more for each chunk that is open in the flow",
    "controller": "Slurm for each job of a crowd, from the first one's start to the last one's end",
    "first": "Slurm from sbatch to the job's first line, in the mean",
    "cadence": "between two times at which Slurm starts elements that wait in their array",
    "frame": "trainer for each frame",
    "prepare": "preparation of a study, once",
    "prepare_each": "the same, each sample",
    "publish": "statistics, figure and catalogue entry, once",
    "publish_each": "the same, each sample",
}


@final
@dataclass(frozen=True)
class Point:
    """A real run beside its prediction.

    Attributes
    ----------
    way : who gave the chunks to the nodes
    workers : chunks side by side
    measured : seconds, one for each repetition
    predicted : seconds
    """

    way: str
    workers: int
    measured: tuple[float, ...]
    predicted: float

    @property
    def error(self) -> float:
        """Relative error of the prediction against the median."""
        return abs(self.predicted / middle(self.measured) - 1.0)


@final
@dataclass(frozen=True)
class Curve:
    """Predictions of one way for one kind of samples.

    Attributes
    ----------
    way, workload : of the samples
    outcomes : one for each number of nodes
    """

    way: str
    workload: str
    outcomes: tuple[Outcome, ...]


def tell_costs(report: Report, costs: Costs, remarks: Mapping[str, str]) -> None:
    """Write what was measured."""
    report.section("Measured costs")
    each = np.asarray(costs.samples)
    rows: list[list[object]] = [
        ["samples", "from one commit to the next", f"{each.mean():.4g} ({each.min():.4g} to "
         f"{each.max():.4g}, deviation {each.std() / each.mean():.1%})"]
    ]  # fmt: skip
    names = [one.name for one in fields(costs) if one.name in _WORDS]
    rows += [[name, _WORDS[name], f"{getattr(costs, name):.3g}"] for name in names]
    report.table(["cost", "meaning", "seconds"], rows)
    for text in filter(None, remarks.values()):
        report.note(text)


def tell_points(report: Report, points: Sequence[Point], study: str) -> None:
    """Write how predictions and real runs compare, with a target for each."""
    report.section("Validation")
    report.note(study)
    rows = [
        [p.way, p.workers, f"{middle(p.measured):.1f}",
         f"{min(p.measured):.1f} to {max(p.measured):.1f}", f"{p.predicted:.1f}",
         f"{p.predicted / middle(p.measured) - 1.0:+.1%}"]
        for p in points
    ]  # fmt: skip
    report.table(
        ["way", "side by side", "measured, s", "least to largest", "predicted, s", "error"], rows
    )
    for point in points:
        name = "" if point.way == "flow here" else "submitted_"
        report.at_most(f"{name}prediction_error_w{point.workers}", point.error, 0.15)


def tell_predictions(report: Report, curves: Sequence[Curve], study: Study) -> None:
    """Write efficiencies and what is full first."""
    nodes = [outcome.nodes for outcome in curves[0].outcomes]
    report.section("Prediction")
    report.note(
        f"Efficiency for {study.samples:,} samples in chunks of {study.chunk}: seconds of the "
        "samples alone over nodes times seconds of the whole study, with preparation and "
        f"publication. Online, each sample gives {study.frames} frames to the trainer."
    )
    report.table(
        ["samples", "way", *(f"{n:,}" for n in nodes)],
        [[c.workload, c.way, *(f"{o.efficiency:.3f}" for o in c.outcomes)] for c in curves],
    )
    report.section("What is full first")
    report.note(
        "Load: what a shared resource has to do, over the time in which the nodes would compute "
        "the samples without any overhead. It grows with the nodes; above 1 the resource sets the "
        "time. Preparation and publication are done once, by one process."
    )
    names = list(dict.fromkeys(name for c in curves for name in c.outcomes[-1].busy))
    for count in (n for n in nodes if n >= 1000):
        rows = []
        for curve in curves:
            outcome = next(o for o in curve.outcomes if o.nodes == count)
            loads = outcome.loads()
            cells = [f"{loads[name]:.3f}" if name in loads else "-" for name in names]
            rows.append([curve.workload, curve.way, *cells, _first(outcome)])
        report.note(f"Loads with {count:,} nodes:")
        report.table(["samples", "way", *names, "first bottleneck"], rows)


def _first(outcome: Outcome) -> str:
    """Name the resource that is full first, and where."""
    full = outcome.full_at()
    name = min(full, key=lambda key: full[key])
    return f"{name}, at {full[name]:,.0f} nodes"


def draw(points: Sequence[Point], curves: Sequence[Curve], path: Path) -> None:
    """Draw the real runs beside their predictions, and the predicted efficiencies."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.0))
    for way, marker in zip(dict.fromkeys(p.way for p in points), "os", strict=False):
        mine = [p for p in points if p.way == way]
        workers = [p.workers for p in mine]
        (line,) = left.plot(workers, [p.predicted for p in mine], label=f"{way}, predicted")
        for p in mine:
            left.plot([p.workers] * len(p.measured), p.measured, marker, color=line.get_color())
        left.plot([], [], marker, color=line.get_color(), label=f"{way}, measured")
    left.set_xscale("log", base=2)
    left.set_xticks([p.workers for p in points], [str(p.workers) for p in points])
    left.set_ylim(bottom=0.0)
    left.set_xlabel("chunks side by side on this machine")
    left.set_ylabel("seconds")
    left.legend(fontsize=7)
    for curve in curves:
        nodes = [o.nodes for o in curve.outcomes]
        style = "-" if curve.workload == curves[0].workload else "--"
        right.semilogx(nodes, [o.efficiency for o in curve.outcomes], style,
                       label=f"{curve.way}, {curve.workload}")  # fmt: skip
    right.set_ylim(0.0, 1.05)
    right.set_xlabel("nodes")
    right.set_ylabel("predicted efficiency")
    right.grid(alpha=0.3)
    right.legend(fontsize=7, loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
