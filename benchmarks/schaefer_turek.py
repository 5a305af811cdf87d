"""Flow around a cylinder against the benchmark of Schaefer and Turek: 2D-1 and 2D-3.

Schaefer and Turek (1996, 10.1007/978-3-322-89849-4_39); 2D-3 with the reference of John (2004,
10.1002/fld.679): drag maximum 2.950921575, lift maximum 0.47795, pressure difference at 8 s
-0.1116. Drag and lift are reactions of the discrete momentum equation.
"""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from _report import Report, arguments

from infra.provenance import collect, utc_now
from infra.records import Sample
from infra.stream import MemorySink, Trajectory
from solvers.backend import MPI
from solvers.chunk import make_problem
from solvers.model import FlowModel
from solvers.settings import SolverSettings, TimeSettings
from solvers.snapshots import flow_layout

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent


@final
@dataclass(frozen=True)
class Run:
    """A mesh (edge length at the cylinder and far away, m) and a step (s), or a Courant number."""

    size: float
    far_size: float
    step: float | None = None
    cfl: float | None = None


@final
@dataclass(frozen=True)
class Benchmark:
    """A case with its limits, and the runs of the full and of the quick report.

    The first run is the setting that we recommend, the cheapest one that is inside with room;
    its values are the targets. The others show how the values converge.
    """

    title: str
    short: str
    settings: dict[str, Any]
    mu: dict[str, float]
    end: float
    limits: dict[str, tuple[float, float]]
    full: tuple[Run, ...]
    quick: tuple[Run, ...]


STEADY = Benchmark(
    title="2D-1: Re 20, steady",
    short="2d1",
    settings={"mean_velocity": 0.2},
    mu={"reynolds": 20.0, "amplitude": 0.0},
    end=10.0,
    limits={
        "drag": (5.57, 5.59),
        "lift": (0.0104, 0.0110),
        "pressure_difference": (0.1172, 0.1176),
    },
    full=(
        Run(0.0045, 0.035, cfl=2.0),
        Run(0.0125, 0.035, cfl=2.0),
        Run(0.008, 0.035, cfl=2.0),
        Run(0.003, 0.03, cfl=2.0),
        Run(0.0045, 0.035, cfl=1.0),
        Run(0.0045, 0.02, cfl=2.0),
    ),
    quick=(Run(0.005, 0.035, cfl=3.0),),
)
PULSE = Benchmark(
    title="2D-3: Re 100 at the peak of a pulse of 8 s",
    short="2d3",
    settings={"mean_velocity": 1.0, "inflow": "pulse", "start": "rest"},
    mu={"reynolds": 100.0, "frequency": 1 / 16},
    end=8.0,
    limits={
        "drag_max": (2.93, 2.97),
        "lift_max": (0.47, 0.49),
        "pressure_difference": (-0.115, -0.105),
    },
    full=(
        Run(0.008, 0.035, cfl=0.7),
        Run(0.0125, 0.035, cfl=1.0),
        Run(0.0125, 0.035, cfl=0.5),
        Run(0.0125, 0.035, cfl=0.25),
        Run(0.008, 0.035, cfl=1.0),
        Run(0.008, 0.035, cfl=0.35),
        Run(0.0045, 0.03, cfl=1.0),
        Run(0.0045, 0.03, cfl=0.5),
    ),
    quick=(Run(0.0125, 0.035, cfl=0.5),),
)
# Output interval, s: frames bound the adaptive step while the flow starts from rest.
FRAME = 0.1


def solve(case: Benchmark, run: Run) -> dict[str, float]:
    """Run one case to its end and return last values and extremes, its cost and its size."""
    clock = time.perf_counter()
    sizes = {"size": run.size, "far_size": run.far_size}
    problem = make_problem("cylinder", {**case.settings, **sizes})
    mesh = problem.reference_mesh()
    frames = 1 + round(case.end / FRAME)
    times = TimeSettings(end=case.end, frames=frames, step=run.step, cfl=run.cfl, courant_limit=5.0)
    sample = Sample(0, {**problem.defaults, **case.mu}, 0)
    layout = flow_layout("run", problem, problem.space(), [sample], mesh, times.times(), {})
    model = FlowModel(problem, mesh, MPI.COMM_SELF, times, SolverSettings(), positions=False)
    shelf: dict[int, Trajectory] = {}
    with MemorySink(layout.description, sample, shelf) as sink:
        report = model.solve(sample, sink)
        sink.commit(report, collect(model.options, 0, 1, utc_now(), (), ROOT))
    last = {name: float(v[-1]) for name, v in shelf[0].values.items() if v.ndim == 1}
    cost = {"seconds": time.perf_counter() - clock, "steps": float(report.steps)}
    return {**last, **report.values, **cost, "nodes": float(mesh.n_nodes)}


def compare(report: Report, case: Benchmark, runs: tuple[Run, ...]) -> None:
    """Run a benchmark's settings, the recommended one first, and report them."""
    report.section(case.title)
    found = [solve(case, run) for run in runs]
    head = ["size, m", "far, m", "step", "nodes", "steps", "largest CFL", *case.limits, "seconds"]
    rows = [_row(run, values, case.limits) for run, values in zip(runs, found, strict=True)]
    report.table(head, rows)
    limits = ", ".join(f"{name} [{low:g}, {high:g}]" for name, (low, high) in case.limits.items())
    report.note(f"Limits: {limits}. The first row is the recommended setting and is the target.")
    for name, (low, high) in case.limits.items():
        report.within(f"{case.short}_{name}", found[0][name], low, high)


def _row(run: Run, found: dict[str, float], names: Iterable[str]) -> list[object]:
    step = f"{run.step:g} s" if run.step is not None else f"CFL {run.cfl:g}"
    counts = [int(found["nodes"]), int(found["steps"]), found["courant_max"]]
    values = [f"{found[name]:.5f}" for name in names]
    return [run.size, run.far_size, step, *counts, *values, f"{found['seconds']:.0f}"]


def main() -> int:
    """Run both cases."""
    quick = arguments(__doc__).quick
    report = Report("schaefer_turek", "Schaefer-Turek benchmarks 2D-1 and 2D-3", quick=quick)
    for case in (STEADY, PULSE):
        compare(report, case, case.quick if quick else case.full)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
